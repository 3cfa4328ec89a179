#include "guestproof/virtio/device/net/settings.h"

#include "net_fixture.h"

namespace guestproof::virtio::net {
namespace {

constexpr auto kAll = kNetFeatures;

Config of_four() { return {.mac = kMac, .features = kAll, .max_pairs = 4}; }

/// Everything that a driver can set is set.
Settings changed() {
  auto settings = Settings::initial(of_four(), kAll);
  settings.mac_set = true;
  settings.filter.mac = kOther;
  settings.filter.modes = {.promiscuous = true,
                           .all_multicast = false,
                           .all_unicast = true,
                           .no_multicast = false,
                           .no_unicast = true,
                           .no_broadcast = true};
  settings.filter.unicast.count = 1;
  settings.filter.unicast.macs[0] = kOther;
  settings.filter.multicast.overflow = true;
  settings.filter.vlans.set(0);
  settings.filter.vlans.set(4095);
  settings.offloads = bits({VIRTIO_NET_F_GUEST_CSUM});
  settings.pairs = 3;
  settings.announcing = true;
  settings.link_up = false;
  return settings;
}

Bytes bytes_of_settings(const Settings& settings) {
  Bytes bytes;
  append(settings, bytes);
  return bytes;
}

TEST(SavedSettings, ComeBack) {
  const auto bytes = bytes_of_settings(changed());
  EXPECT_EQ(bytes.size(), kSettingsBytes);
  EXPECT_EQ(read_settings(bytes, of_four(), kAll).value(), changed());
}

TEST(SavedSettings, AreThoseOfADriverThatNegotiatedThem) {
  struct Case {
    unsigned feature;
    void (*change)(Settings&);
    std::size_t offset;
  };
  for (const auto& [feature, change, offset] : std::array{
           Case{VIRTIO_NET_F_CTRL_RX, [](Settings& s) { s.filter.modes.promiscuous = true; }, 6},
           Case{VIRTIO_NET_F_CTRL_RX_EXTRA, [](Settings& s) { s.filter.modes.no_unicast = true; },
                6},
           Case{VIRTIO_NET_F_CTRL_MAC_ADDR, [](Settings& s) { s.mac_set = true; }, 7},
           Case{VIRTIO_NET_F_GUEST_ANNOUNCE, [](Settings& s) { s.announcing = true; }, 7},
           Case{VIRTIO_NET_F_CTRL_RX, [](Settings& s) { s.filter.unicast.overflow = true; }, 7},
           Case{VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, [](Settings& s) { s.offloads = 0; }, 8},
           Case{VIRTIO_NET_F_MQ, [](Settings& s) { s.pairs = 2; }, 16},
           Case{VIRTIO_NET_F_CTRL_RX,
                [](Settings& s) {
                  s.filter.unicast.count = 1;
                  s.filter.unicast.macs[0] = kOther;
                },
                18},
           Case{VIRTIO_NET_F_CTRL_VLAN, [](Settings& s) { s.filter.vlans.set(9); }, 792},
       }) {
    auto settings = Settings::initial(of_four(), kAll);
    change(settings);
    const auto bytes = bytes_of_settings(settings);
    EXPECT_TRUE(read_settings(bytes, of_four(), kAll)) << offset;
    const auto without = read_settings(bytes, of_four(), kAll & ~feature_bit(feature));
    ASSERT_FALSE(without) << offset;
    EXPECT_EQ(without.error(), DeviceStateError::kDevice);
    EXPECT_EQ(without.error().limit(), offset);
  }
}

TEST(SavedSettings, RefuseWhatNoDriverCanReach) {
  struct Case {
    std::size_t offset;
    std::uint8_t value;
    std::size_t reported;
  };
  for (const auto& [offset, value, reported] :
       std::array{Case{0, 0x03, 0},     // a multicast address
                  Case{6, 0x40, 6},     // a mode that there is not
                  Case{7, 0x20, 7},     // a flag
                  Case{8, 0x80, 8},     // TSO4 without CSUM
                  Case{9, 0xff, 8},     // offloads that are none
                  Case{16, 0, 16},      // no pairs
                  Case{16, 5, 16},      // more than there are
                  Case{18, 65, 18},     // more addresses than there is room for
                  Case{19, 1, 18},      //
                  Case{20, 1, 20},      // addresses in a table that overflowed
                  Case{22, 1, 22},      // reserved
                  Case{24, 0x01, 24},   // a multicast address among the others
                  Case{24 + 6, 2, 24},  // an address beyond the count
                  Case{408 + 5, 1, 408}}) {
    auto bytes = bytes_of_settings(changed());
    bytes[offset] = std::byte{value};
    const auto read = read_settings(bytes, of_four(), kAll);
    ASSERT_FALSE(read) << offset;
    EXPECT_EQ(read.error(), DeviceStateError::kDevice);
    EXPECT_EQ(read.error().limit(), reported) << offset;
  }
}

TEST(SavedSettings, HaveOneLength) {
  auto bytes = bytes_of_settings(changed());
  bytes.push_back(std::byte{0});
  EXPECT_FALSE(read_settings(bytes, of_four(), kAll));
  bytes.resize(kSettingsBytes - 1);
  EXPECT_FALSE(read_settings(bytes, of_four(), kAll));
  EXPECT_FALSE(read_settings({}, of_four(), kAll));
}

TEST(SavedSettings, TheDevicesOwnAddressIsTheDevices) {
  auto settings = Settings::initial(of_four(), kAll);
  settings.filter.mac = kOther;
  EXPECT_EQ(read_settings(bytes_of_settings(settings), of_four(), kAll).error().limit(), 0U);
}

class SavedDeviceTest : public NetFixture {};
GUESTPROOF_ON_BOTH_RINGS(SavedDeviceTest);

TEST_P(SavedDeviceTest, GoesOnWithWhatTheDriverSet) {
  run(kAll, 2);
  ASSERT_EQ(command(VIRTIO_NET_CTRL_MQ, 0, bytes_of(le16(2))), VIRTIO_NET_OK);
  ASSERT_EQ(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, bytes_of(kOther)),
            VIRTIO_NET_OK);
  ASSERT_EQ(command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, bytes_of(le64(0))), VIRTIO_NET_OK);
  ASSERT_TRUE(device->announce());
  const auto settings = device->settings();
  const auto saved = lifecycle->save().value();

  make(kAll, 2);
  ASSERT_TRUE(lifecycle->restore(saved));

  EXPECT_EQ(device->settings(), settings);
  EXPECT_EQ(network->pairs(), 2);
  EXPECT_EQ(network->guest_offloads(), 0U);
  EXPECT_EQ(fields().mac, kOther);
  EXPECT_EQ(fields().status, VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
  EXPECT_EQ(lifecycle->save().value(), saved);
  add_rx(100, kIn, 2);
  arrive(frame(60, kOther), {}, 1);
  EXPECT_FALSE(lifecycle->work().value());
  EXPECT_EQ(used(2), 72U);
}

TEST_P(SavedDeviceTest, BuffersThatAreHeldAreTheDriversAgain) {
  constexpr auto kMerge = bits({VIRTIO_NET_F_MRG_RXBUF});
  run(kMerge);
  add_rx(40);
  add_rx(40, plus(kIn, 0x100));
  arrive(frame(100));
  host_ready();

  const auto saved = lifecycle->save().value();

  // The device that was saved goes on ...
  add_rx(40, plus(kIn, 0x200));
  EXPECT_FALSE(kick(kRx));
  EXPECT_EQ(read(kIn, 12), bytes_of(VirtioNetHdr{.num_buffers = 3}));
  for (const auto length : {40U, 40U, 32U}) EXPECT_EQ(used(kRx), length);
}

TEST_P(SavedDeviceTest, AFrameWaitsWithoutBuffersWhileMemoryIsOutOfReach) {
  constexpr auto kMerge = bits({VIRTIO_NET_F_MRG_RXBUF});
  run(kMerge);
  add_rx(40);
  add_rx(80, plus(kIn, 0x100));
  arrive(frame(150));
  host_ready();
  ASSERT_EQ(lifecycle->queue(kRx).in_flight(), 2U);

  lifecycle->set_memory_access(false);
  EXPECT_EQ(lifecycle->queue(kRx).in_flight(), 0U);
  add_rx(80, plus(kIn, 0x200));
  EXPECT_FALSE(kick(kRx));
  EXPECT_EQ(used(kRx), std::nullopt);

  lifecycle->set_memory_access(true);
  EXPECT_FALSE(lifecycle->work().value());
  for (const auto length : {40U, 80U, 42U}) EXPECT_EQ(used(kRx), length);
}

TEST_P(SavedDeviceTest, AFrameThatWaitedIsNotSaved) {
  constexpr auto kMerge = bits({VIRTIO_NET_F_MRG_RXBUF});
  run(kMerge);
  add_rx(40);
  arrive(frame(100));
  host_ready();
  ASSERT_TRUE(lifecycle->restore(lifecycle->save().value()));

  arrive(frame(20));
  host_ready();

  EXPECT_EQ(used(kRx), 32U);
  EXPECT_EQ(read(kIn, 32), joined({bytes_of(VirtioNetHdr{.num_buffers = 1}), frame(20)}));
}

TEST_P(SavedDeviceTest, IsNotRestoredFromAnyBytes) {
  run(kAll, 2);
  auto saved = lifecycle->save().value();
  saved[saved.size() - kSettingsBytes + 16] = std::byte{9};  // pairs
  EXPECT_EQ(lifecycle->restore(saved).error(), DeviceStateError::kDevice);
  EXPECT_EQ(lifecycle->status(), 0);
}

TEST_P(SavedDeviceTest, ADeviceThatWasNotStartedIsSaved) {
  make(kAll, 2);
  device->set_link(false);
  const auto saved = lifecycle->save().value();
  device->set_link(true);
  ASSERT_TRUE(lifecycle->restore(saved));
  EXPECT_EQ(fields().status, 0);
}

}  // namespace
}  // namespace guestproof::virtio::net
