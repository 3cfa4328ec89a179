#include <errno.h>

#include "net_fixture.h"

namespace guestproof::virtio::net {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kTso = bits({VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4});

class TransmitTest : public NetFixture {
 protected:
  [[nodiscard]] std::vector<Bytes> sent() const {
    std::vector<Bytes> all;
    for (const auto& each : network->sent()) all.push_back(each.bytes);
    return all;
  }
};
GUESTPROOF_ON_BOTH_RINGS(TransmitTest);

TEST_P(TransmitTest, SendsAFrameHoweverItIsCut) {
  run(kTso);
  const VirtioNetHdr header{.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                            .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                            .hdr_len = 54,
                            .gso_size = 1448,
                            .csum_start = 34,
                            .csum_offset = 16,
                            .num_buffers = {}};
  const auto bytes = joined({bytes_of(header), frame(3000)});
  write(kOut, bytes);
  drivers[kTx].add_chain(cut(kOut, {12, 3000}, false));
  drivers[kTx].add_chain(cut(kOut, {3012}, false));
  drivers[kTx].add_chain(cut(kOut, {5, 1, 0, 9, 2997}, false));

  EXPECT_FALSE(kick(kTx));

  EXPECT_THAT(sent(), ElementsAre(bytes, bytes, bytes));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(used(kTx), 0U);
  EXPECT_THAT(host.refusals, IsEmpty());
  EXPECT_THAT(interrupts.used, ElementsAre(kTx));
}

TEST_P(TransmitTest, PassesOnNoFieldThatDoesNotCount) {
  run(kTso);
  const VirtioNetHdr header{.flags = 0xfe,
                            .gso_type = VIRTIO_NET_HDR_GSO_NONE,
                            .hdr_len = 0xffff,
                            .gso_size = 7,
                            .csum_start = 0xffff,
                            .csum_offset = 0xffff,
                            .num_buffers = 9};
  add_tx(joined({bytes_of(header), frame(60)}));
  kick(kTx);
  EXPECT_THAT(sent(), ElementsAre(joined({bytes_of(VirtioNetHdr{}), frame(60)})));
}

TEST_P(TransmitTest, FetchesEachByteOnce) {
  run(kTso);
  add_tx(joined({bytes_of(VirtioNetHdr{}), frame(60)}));
  memory.clear_log();
  kick(kTx);
  for (std::uint64_t i = 0; i < 72; ++i) EXPECT_EQ(memory.fetch_count(plus(kOut, i)), 1);
}

TEST_P(TransmitTest, DropsWhatItRefuses) {
  run(0);
  write(kOut, joined({bytes_of(VirtioNetHdr{.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM}), frame(60)}));
  drivers[kTx].add_chain({{kOut, 72, false}});
  drivers[kTx].add_chain({{kOut, 72, false}, {kIn, 1, true}});
  drivers[kTx].add_chain({{kOut, 11, false}});
  drivers[kTx].add_chain({{kNowhere, 72, false}});
  drivers[kTx].add_chain({{GuestAddress(0x30000), 12, false}, {kNowhere, 60, false}});
  drivers[kTx].add_chain({{GuestAddress(0x30000), 12 + 13, false}});
  drivers[kTx].add_chain({{GuestAddress(0x30000), 72, false}});

  EXPECT_FALSE(kick(kTx));

  EXPECT_THAT(host.refusals,
              ElementsAre(Error(NetError::kChecksumNotNegotiated, 1),
                          Error(NetError::kTxWritable, 1), Error(NetError::kTxHeader, 11, 12),
                          Error(MemoryError::kUnmapped, kNowhere.raw(), 12),
                          Error(MemoryError::kUnmapped, kNowhere.raw(), 60),
                          Error(NetError::kFrameShort, 13, 14)));
  EXPECT_THAT(sent(), ElementsAre(Bytes(72)));
  for (int i = 0; i < 7; ++i) EXPECT_EQ(used(kTx), 0U);
}

TEST_P(TransmitTest, AFrameWaitsUntilTheNetworkTakesIt) {
  run(0);
  network->block_after(1);
  add_tx(joined({bytes_of(VirtioNetHdr{}), frame(60)}));
  write(GuestAddress(0x30000), joined({bytes_of(VirtioNetHdr{}), frame(90)}));
  drivers[kTx].add_chain({{GuestAddress(0x30000), 102, false}});
  drivers[kTx].add_chain({{kOut, 72, false}});

  EXPECT_FALSE(kick(kTx));
  EXPECT_EQ(network->sent().size(), 1U);
  EXPECT_EQ(used(kTx), 0U);
  EXPECT_EQ(used(kTx), std::nullopt);
  EXPECT_FALSE(kick(kTx));  // in vain
  EXPECT_EQ(network->sent().size(), 1U);

  network->unblock();
  EXPECT_FALSE(host_ready());
  EXPECT_EQ(network->acknowledged(), 1);
  ASSERT_EQ(network->sent().size(), 3U);
  EXPECT_EQ(sent()[1], joined({bytes_of(VirtioNetHdr{}), frame(90)}));
  EXPECT_EQ(sent()[2], sent()[0]);
  EXPECT_EQ(used(kTx), 0U);
  EXPECT_EQ(used(kTx), 0U);
}

TEST_P(TransmitTest, AFrameThatCannotBeSentIsLost) {
  run(0);
  network->fail_with(Error(SystemError::kWrite, EIO));
  add_tx(joined({bytes_of(VirtioNetHdr{}), frame(60)}));
  kick(kTx);
  EXPECT_THAT(host.refusals, ElementsAre(Error(SystemError::kWrite, EIO)));
  EXPECT_EQ(used(kTx), 0U);

  network->fail_with(std::nullopt);
  add_tx(joined({bytes_of(VirtioNetHdr{}), frame(61)}));
  kick(kTx);
  EXPECT_EQ(sent().size(), 1U);
}

TEST_P(TransmitTest, SendsNothingWhileTheLinkIsDown) {
  run(0);
  device->set_link(false);
  add_tx(joined({bytes_of(VirtioNetHdr{}), frame(60)}));
  kick(kTx);
  EXPECT_THAT(host.refusals, ElementsAre(Error(NetError::kLinkDown, 60)));
  EXPECT_EQ(used(kTx), 0U);
  EXPECT_THAT(sent(), IsEmpty());
}

TEST_P(TransmitTest, TheMtuLimitsWhatIsNotSegmented) {
  config.mtu = 100;
  run(kTso | bits({VIRTIO_NET_F_MTU}));
  add_tx(joined({bytes_of(VirtioNetHdr{}), frame(122)}));
  kick(kTx);
  add_tx(joined({bytes_of(VirtioNetHdr{}), frame(123)}));
  kick(kTx);
  EXPECT_THAT(host.refusals, ElementsAre(Error(NetError::kFrameLong, 123, 122)));
  EXPECT_EQ(sent().size(), 1U);
}

}  // namespace
}  // namespace guestproof::virtio::net
