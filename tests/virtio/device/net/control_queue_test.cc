#include <errno.h>

#include "net_fixture.h"

namespace guestproof::virtio::net {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kControl = bits({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_VLAN,
                                VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_MAC, VIRTIO_NET_F_STATUS,
                                VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_MQ});

class ControlQueueTest : public NetFixture {
 protected:
  /// Whether a frame reaches the driver.
  bool receives(const Bytes& bytes) {
    arrive(bytes);
    host_ready();
    add_rx(2000);
    kick(kRx);
    if (used(kRx)) return true;
    // The buffer goes to a frame that everybody gets.
    arrive(frame(60, kEverybody));
    host_ready();
    EXPECT_EQ(used(kRx), 72U);
    return false;
  }
  static Bytes one(std::uint8_t value) { return {std::byte{value}}; }
  static Bytes two(std::uint16_t value) { return bytes_of(le16(value)); }
  static Bytes macs(std::initializer_list<MacAddress> all) {
    auto bytes = bytes_of(le32(static_cast<std::uint32_t>(all.size())));
    for (const auto& mac : all) bytes = joined({bytes, bytes_of(mac)});
    return bytes;
  }
};
GUESTPROOF_ON_BOTH_RINGS(ControlQueueTest);

TEST_P(ControlQueueTest, FiltersByAddress) {
  run(kControl);
  EXPECT_TRUE(receives(frame(60)));
  EXPECT_FALSE(receives(frame(60, kOther)));
  EXPECT_FALSE(receives(frame(60, kGroup)));

  EXPECT_EQ(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET,
                    joined({macs({kOther}), macs({kGroup})})),
            VIRTIO_NET_OK);
  EXPECT_TRUE(receives(frame(60, kOther)));
  EXPECT_TRUE(receives(frame(60, kGroup)));

  EXPECT_EQ(
      command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, joined({macs({}), macs({})})),
      VIRTIO_NET_OK);
  EXPECT_EQ(command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, one(1)), VIRTIO_NET_OK);
  EXPECT_TRUE(receives(frame(60, kOther)));
  EXPECT_EQ(command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, one(0)), VIRTIO_NET_OK);
  EXPECT_FALSE(receives(frame(60, kOther)));
}

TEST_P(ControlQueueTest, FiltersByVlan) {
  run(kControl);
  EXPECT_FALSE(receives(tagged_frame(0x3123)));
  EXPECT_EQ(command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, two(0x123)), VIRTIO_NET_OK);
  EXPECT_TRUE(receives(tagged_frame(0x3123)));
  EXPECT_FALSE(receives(tagged_frame(0x122)));
  EXPECT_EQ(command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, two(0x123)), VIRTIO_NET_OK);
  EXPECT_FALSE(receives(tagged_frame(0x123)));
}

TEST_P(ControlQueueTest, SetsTheAddress) {
  run(kControl);
  EXPECT_EQ(fields().mac, kMac);
  const auto generation = lifecycle->config_generation();

  EXPECT_EQ(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, bytes_of(kOther)),
            VIRTIO_NET_OK);

  EXPECT_EQ(fields().mac, kOther);
  EXPECT_NE(lifecycle->config_generation(), generation);
  EXPECT_TRUE(receives(frame(60, kOther)));
  EXPECT_FALSE(receives(frame(60, kMac)));
  lifecycle->reset();
  EXPECT_EQ(fields().mac, kMac);
}

TEST_P(ControlQueueTest, AnAddressThatTheDriverChoseItselfIsNotKnownAtFirst) {
  run(kControl & ~feature_bit(VIRTIO_NET_F_MAC));
  EXPECT_TRUE(receives(frame(60, kOther)));
  EXPECT_EQ(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, bytes_of(kOther)),
            VIRTIO_NET_OK);
  EXPECT_TRUE(receives(frame(60, kOther)));
  EXPECT_FALSE(receives(frame(60, kMac)));
  EXPECT_EQ(fields().mac, kMac);  // §5.1.6.5.2: reflected with VIRTIO_NET_F_MAC
}

TEST_P(ControlQueueTest, AnnouncesUntilTheDriverHasHeard) {
  run(kControl);
  const auto changes = interrupts.config;
  EXPECT_TRUE(device->announce());
  EXPECT_EQ(fields().status, VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
  EXPECT_EQ(interrupts.config, changes + 1);
  EXPECT_EQ(command(VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, {}), VIRTIO_NET_OK);
  EXPECT_EQ(fields().status, VIRTIO_NET_S_LINK_UP);
}

TEST_P(ControlQueueTest, AnnouncesNothingToWhoCannotHear) {
  run(kControl & ~feature_bit(VIRTIO_NET_F_GUEST_ANNOUNCE));
  EXPECT_FALSE(device->announce());
  EXPECT_EQ(fields().status, VIRTIO_NET_S_LINK_UP);
}

TEST_P(ControlQueueTest, ShowsTheLink) {
  run(kControl);
  const auto changes = interrupts.config;
  device->set_link(false);
  EXPECT_EQ(fields().status, 0);
  EXPECT_EQ(interrupts.config, changes + 1);
  device->set_link(false);
  EXPECT_EQ(interrupts.config, changes + 1);
}

TEST_P(ControlQueueTest, RefusesWithAnError) {
  run(kControl);
  EXPECT_EQ(command(VIRTIO_NET_CTRL_RX, 9, one(1)), VIRTIO_NET_ERR);
  EXPECT_EQ(command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, two(1)), VIRTIO_NET_ERR);
  EXPECT_EQ(command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, one(2)), VIRTIO_NET_ERR);
  EXPECT_THAT(host.refusals, ElementsAre(Error(NetControlError::kCommand, 0, 9),
                                         Error(NetControlError::kLength, 2, 1),
                                         Error(NetControlError::kSwitch, 2, 1)));
  EXPECT_FALSE(device->settings().filter.modes.promiscuous);
}

TEST_P(ControlQueueTest, DoesNothingThatItCannotAnswer) {
  run(kControl);
  write(kOut, {std::byte{VIRTIO_NET_CTRL_RX}, std::byte{VIRTIO_NET_CTRL_RX_PROMISC}, std::byte{1}});
  drivers[control()].add_chain({{kOut, 3, false}});
  drivers[control()].add_chain({{kOut, 3, false}, {kReadOnly, 1, true}});
  kick(control());
  EXPECT_EQ(used(control()), 0U);
  EXPECT_EQ(used(control()), 0U);
  EXPECT_THAT(host.refusals, ElementsAre(Error(NetControlError::kNoAck, 3),
                                         Error(MemoryError::kReadOnly, kReadOnly.raw())));
  EXPECT_FALSE(device->settings().filter.modes.promiscuous);
}

TEST_P(ControlQueueTest, AcknowledgesInTheFirstWritableByte) {
  run(kControl);
  write(kOut, {std::byte{VIRTIO_NET_CTRL_RX}, std::byte{VIRTIO_NET_CTRL_RX_PROMISC}, std::byte{1}});
  write(kIn, Bytes(4, std::byte{0xee}));
  drivers[control()].add_chain({{kOut, 1, false},
                                {plus(kOut, 1), 1, false},
                                {plus(kOut, 2), 1, false},
                                {kIn, 2, true},
                                {plus(kIn, 2), 2, true}});
  kick(control());
  EXPECT_EQ(used(control()), 1U);
  EXPECT_EQ(read(kIn, 4), joined({one(VIRTIO_NET_OK), Bytes(3, std::byte{0xee})}));
  EXPECT_TRUE(device->settings().filter.modes.promiscuous);
}

TEST_P(ControlQueueTest, PairsComeIntoUse) {
  run(kControl, 3);
  arrive(frame(60), {}, 2);
  add_rx(100, kIn, 4);
  const auto out = joined({bytes_of(VirtioNetHdr{}), frame(61)});
  write(GuestAddress(0x30000), out);
  drivers[5].add_chain({{GuestAddress(0x30000), 73, false}});
  EXPECT_FALSE(kick(4));
  EXPECT_FALSE(kick(5));
  EXPECT_THAT(network->sent(), IsEmpty());

  EXPECT_EQ(command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, two(3)), VIRTIO_NET_OK);
  EXPECT_EQ(network->pairs(), 3);
  EXPECT_EQ(used(4), 72U);
  EXPECT_EQ(used(5), 0U);
  EXPECT_THAT(network->sent(), ElementsAre(MemoryNetwork::Sent{.pair = 2, .bytes = out}));
}

TEST_P(ControlQueueTest, PairsOutOfUseDropWhatWaits) {
  run(kControl | feature_bit(VIRTIO_NET_F_MRG_RXBUF), 2);
  ASSERT_EQ(command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, two(2)), VIRTIO_NET_OK);
  add_rx(40, kIn, 2);
  arrive(frame(100), {}, 1);
  host_ready();

  EXPECT_EQ(command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, two(1)), VIRTIO_NET_OK);
  add_rx(100, plus(kIn, 100), 2);
  kick(2);
  EXPECT_EQ(used(2), std::nullopt);
  EXPECT_TRUE(lifecycle->save());

  EXPECT_EQ(command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, two(2)), VIRTIO_NET_OK);
  EXPECT_EQ(used(2), std::nullopt);
  arrive(frame(20), {}, 1);
  host_ready();
  EXPECT_EQ(used(2), 32U);
}

TEST_P(ControlQueueTest, RefusesPairsThatThereAreNot) {
  run(kControl, 2);
  EXPECT_EQ(command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, two(0)), VIRTIO_NET_ERR);
  EXPECT_EQ(command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, two(3)), VIRTIO_NET_ERR);
  EXPECT_EQ(network->pairs(), 1);
}

TEST_P(ControlQueueTest, IsTheThirdQueueWithoutMultiqueue) {
  make(kControl, 3);
  negotiate(kControl & ~feature_bit(VIRTIO_NET_F_MQ));
  write(kOut, {std::byte{VIRTIO_NET_CTRL_RX}, std::byte{VIRTIO_NET_CTRL_RX_PROMISC}, std::byte{1}});
  drivers[2].add_chain({{kOut, 3, false}, {kAck, 1, true}});
  EXPECT_FALSE(kick(2));
  EXPECT_EQ(used(2), 1U);
  EXPECT_TRUE(device->settings().filter.modes.promiscuous);
}

TEST_P(ControlQueueTest, IsNotServedWithoutItsFeature) {
  make(kControl);
  negotiate(0);
  drivers[2].add_chain({{kOut, 3, false}, {kAck, 1, true}});
  EXPECT_FALSE(kick(2));
  EXPECT_EQ(used(2), std::nullopt);
}

TEST_P(ControlQueueTest, SetsOffloads) {
  constexpr auto kOffloads = bits({VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4});
  run(kControl | kOffloads | feature_bit(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS));
  EXPECT_EQ(network->guest_offloads(), kOffloads);
  const VirtioNetHdr segmented{.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                               .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                               .gso_size = 20,
                               .csum_start = 14,
                               .csum_offset = 16};
  add_rx(100);
  arrive(frame(60), segmented);
  host_ready();
  EXPECT_EQ(used(kRx), 72U);

  const auto set = [&](std::uint64_t offloads) {
    return command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
                   bytes_of(le64(offloads)));
  };
  EXPECT_EQ(set(bits({VIRTIO_NET_F_GUEST_CSUM})), VIRTIO_NET_OK);
  EXPECT_EQ(network->guest_offloads(), bits({VIRTIO_NET_F_GUEST_CSUM}));
  arrive(frame(60), segmented);
  host_ready();
  EXPECT_THAT(host.refusals, ElementsAre(Error(NetError::kGsoNotNegotiated, 1)));

  EXPECT_EQ(set(bits({VIRTIO_NET_F_GUEST_TSO4})), VIRTIO_NET_ERR);
  EXPECT_EQ(set(bits({VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO6})), VIRTIO_NET_ERR);
  network->fail_with(Error(SystemError::kWrite, EIO));
  EXPECT_EQ(set(kOffloads), VIRTIO_NET_ERR);
  EXPECT_EQ(device->settings().offloads, bits({VIRTIO_NET_F_GUEST_CSUM}));
}

}  // namespace
}  // namespace guestproof::virtio::net
