#include <errno.h>

#include "net_fixture.h"

namespace guestproof::virtio::net {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kMerge = bits({VIRTIO_NET_F_MRG_RXBUF});

class ReceiveTest : public NetFixture {
 protected:
  /// What a driver finds in front of an ordinary frame.
  static Bytes plain_header(std::uint16_t buffers = 1) {
    return bytes_of(VirtioNetHdr{.num_buffers = buffers});
  }
};
GUESTPROOF_ON_BOTH_RINGS(ReceiveTest);

TEST_P(ReceiveTest, PutsAFrameIntoABufferHoweverItIsCut) {
  run(0);
  drivers[kRx].add_chain(cut(kIn, {12, 100}, true));
  drivers[kRx].add_chain(cut(plus(kIn, 0x200), {1, 2, 10, 0, 3, 96}, true));
  arrive(frame(90));
  arrive(frame(100));

  EXPECT_FALSE(host_ready());

  EXPECT_EQ(used(kRx), 102U);
  EXPECT_EQ(used(kRx), 112U);
  EXPECT_EQ(read(kIn, 102), joined({plain_header(), frame(90)}));
  EXPECT_EQ(read(plus(kIn, 0x200), 112), joined({plain_header(), frame(100)}));
  EXPECT_THAT(interrupts.used, ElementsAre(kRx));
  EXPECT_THAT(host.refusals, IsEmpty());
}

TEST_P(ReceiveTest, FramesWaitForBuffers) {
  run(0);
  arrive(frame(60));
  arrive(frame(61));
  EXPECT_FALSE(host_ready());
  EXPECT_EQ(network->arriving(0), 1U);  // the other one is in the device

  add_rx(100);
  add_rx(100, plus(kIn, 100));
  EXPECT_FALSE(kick(kRx));
  EXPECT_EQ(used(kRx), 72U);
  EXPECT_EQ(used(kRx), 73U);
}

TEST_P(ReceiveTest, WithoutAFrameBuffersStayAvailable) {
  run(0);
  add_rx(100);
  EXPECT_FALSE(kick(kRx));
  EXPECT_EQ(used(kRx), std::nullopt);
  EXPECT_EQ(lifecycle->save().has_value(), true);  // none is held
  arrive(frame(60));
  host_ready();
  EXPECT_EQ(used(kRx), 72U);
}

TEST_P(ReceiveTest, AFrameThatIsLongerThanItsBufferIsDropped) {
  run(0);
  add_rx(71);
  arrive(frame(60));
  arrive(frame(59));
  EXPECT_FALSE(host_ready());
  EXPECT_THAT(host.refusals, ElementsAre(Error(NetError::kRxRoom, 72, 71)));
  EXPECT_EQ(used(kRx), 71U);  // the same buffer
  EXPECT_EQ(read(kIn, 71), joined({plain_header(), frame(59)}));
}

TEST_P(ReceiveTest, SpreadsAFrameOverBuffers) {
  run(kMerge);
  add_rx(40);
  drivers[kRx].add_chain(cut(plus(kIn, 0x100), {13, 27}, true));
  add_rx(100, plus(kIn, 0x200));
  memory.clear_log();
  arrive(frame(100));

  EXPECT_FALSE(host_ready());

  const auto all = joined({plain_header(3), frame(100)});
  EXPECT_EQ(used(kRx), 40U);
  EXPECT_EQ(used(kRx), 40U);
  EXPECT_EQ(used(kRx), 32U);
  EXPECT_EQ(read(kIn, 40), front(all, 40));
  EXPECT_EQ(read(plus(kIn, 0x100), 40), front(after(all, 40), 40));
  EXPECT_EQ(read(plus(kIn, 0x200), 32), after(all, 80));
  EXPECT_EQ(read(plus(kIn, 0x220), 68), Bytes(68));
  EXPECT_THAT(interrupts.used, ElementsAre(kRx));
}

TEST_P(ReceiveTest, UsesNoMoreBuffersThanAFrameTakes) {
  run(kMerge);
  add_rx(12);
  add_rx(60, plus(kIn, 0x100));
  add_rx(60, plus(kIn, 0x200));
  arrive(frame(60));
  host_ready();
  EXPECT_EQ(used(kRx), 12U);
  EXPECT_EQ(used(kRx), 60U);
  EXPECT_EQ(used(kRx), std::nullopt);
  EXPECT_EQ(read(kIn, 12), plain_header(2));
  EXPECT_EQ(read(plus(kIn, 0x100), 60), frame(60));
}

TEST_P(ReceiveTest, ALongFrameWaitsForMoreBuffers) {
  run(kMerge);
  add_rx(40);
  arrive(frame(100));
  EXPECT_FALSE(host_ready());
  EXPECT_EQ(used(kRx), std::nullopt);
  EXPECT_THAT(interrupts.used, IsEmpty());

  add_rx(40, plus(kIn, 0x100));
  EXPECT_FALSE(kick(kRx));
  EXPECT_EQ(used(kRx), std::nullopt);
  add_rx(40, plus(kIn, 0x200));
  EXPECT_FALSE(kick(kRx));
  for (const auto length : {40U, 40U, 32U}) EXPECT_EQ(used(kRx), length);
  EXPECT_EQ(read(kIn, 12), plain_header(3));
}

TEST_P(ReceiveTest, AFrameThatAllBuffersCannotHoldIsDropped) {
  run(kMerge);
  for (std::uint16_t i = 0; i < kSize; ++i) add_rx(12, plus(kIn, 12U * i));
  arrive(frame(12 * kSize - 11));
  arrive(frame(12 * kSize - 12));
  EXPECT_TRUE(host_ready());  // twice all buffers are too much for one turn
  EXPECT_FALSE(host_ready());
  EXPECT_THAT(host.refusals, ElementsAre(Error(NetError::kRxRoom, 12 * kSize + 1, 12 * kSize)));
  for (std::uint16_t i = 0; i < kSize; ++i) EXPECT_EQ(used(kRx), 12U);
  EXPECT_EQ(read(kIn, 12 * kSize), joined({plain_header(kSize), frame(12 * kSize - 12)}));
}

TEST_P(ReceiveTest, ABufferThatCannotBeUsedComesBackEmpty) {
  run(0);
  drivers[kRx].add_chain({{kOut, 1, false}, {kIn, 100, true}});
  add_rx(11);
  add_rx(100, kReadOnly);
  drivers[kRx].add_chain({{kIn, 100, true}, {kNowhere, 1, true}});
  add_rx(100);
  arrive(frame(60));
  EXPECT_FALSE(host_ready());
  for (int i = 0; i < 4; ++i) EXPECT_EQ(used(kRx), 0U);
  EXPECT_EQ(used(kRx), 72U);
  EXPECT_THAT(host.refusals,
              ElementsAre(Error(NetError::kRxReadable, 1), Error(NetError::kRxHeader, 11, 12),
                          Error(MemoryError::kReadOnly, kReadOnly.raw()),
                          Error(MemoryError::kUnmapped, kNowhere.raw(), 1)));
}

TEST_P(ReceiveTest, ABadBufferAmongOthersEndsTheFrame) {
  run(kMerge, 1, feature_bit(VIRTIO_F_IN_ORDER));
  add_rx(40);
  add_rx(11, plus(kIn, 0x100));
  add_rx(40, plus(kIn, 0x200));
  arrive(frame(60));
  arrive(frame(20));
  EXPECT_FALSE(host_ready());
  EXPECT_THAT(host.refusals, ElementsAre(Error(NetError::kRxHeader, 11, 12)));
  for (const auto length : {0U, 0U, 32U}) EXPECT_EQ(used(kRx), length);
  EXPECT_EQ(read(kIn, 40), Bytes(40));
  EXPECT_EQ(read(plus(kIn, 0x200), 32), joined({plain_header(), frame(20)}));
}

TEST_P(ReceiveTest, DropsFramesWhoseHeaderTheDriverDoesNotTake) {
  run(bits({VIRTIO_NET_F_GUEST_CSUM}));
  add_rx(100);
  arrive(frame(60), {.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 100});
  arrive(frame(13));
  network->arrive(0, Bytes(5));
  network->arrive(0, {});
  arrive(frame(60),
         {.flags = 0xff, .hdr_len = 9, .csum_start = 14, .csum_offset = 44, .num_buffers = 77});
  EXPECT_FALSE(host_ready());
  EXPECT_THAT(
      host.refusals,
      ElementsAre(Error(NetError::kGsoNotNegotiated, 1), Error(NetError::kFrameShort, 13, 14),
                  Error(NetError::kFrameShort, 0, 14), Error(NetError::kFrameShort, 0, 14)));
  EXPECT_EQ(used(kRx), 72U);
  EXPECT_EQ(read(kIn, 12), bytes_of(VirtioNetHdr{
                               .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID,
                               .csum_start = 14,
                               .csum_offset = 44,
                               .num_buffers = 1}));
}

TEST_P(ReceiveTest, WithoutChecksumsTheFlagsAreZero) {
  run(0);
  add_rx(100);
  arrive(frame(60), {.flags = VIRTIO_NET_HDR_F_DATA_VALID});
  host_ready();
  EXPECT_EQ(read(kIn, 12), plain_header());
}

TEST_P(ReceiveTest, TakesTheLongestFrameAndNoLonger) {
  run(kMerge);
  for (std::uint32_t i = 0; i < 2; ++i) add_rx(0x8100, plus(kIn, 0x9000U * i));
  arrive(frame(kMaxFrameBytes + 1));
  arrive(frame(kMaxFrameBytes + 2000));
  arrive(frame(kMaxFrameBytes));
  EXPECT_FALSE(host_ready());
  EXPECT_THAT(host.refusals,
              ElementsAre(Error(NetError::kFrameLong, kMaxFrameBytes + 1, kMaxFrameBytes),
                          Error(NetError::kFrameLong, kMaxFrameBytes + 1, kMaxFrameBytes)));
  EXPECT_EQ(used(kRx), 0x8100U);
  EXPECT_EQ(used(kRx), kMaxFrameBytes + 12 - 0x8100);
}

TEST_P(ReceiveTest, TheMtuLimitsFrames) {
  config.mtu = 1000;
  run(bits({VIRTIO_NET_F_MTU}));
  add_rx(2000);
  arrive(frame(1023));
  arrive(frame(1022));
  host_ready();
  EXPECT_THAT(host.refusals, ElementsAre(Error(NetError::kFrameLong, 1023, 1022)));
  EXPECT_EQ(used(kRx), 1034U);
}

TEST_P(ReceiveTest, NothingArrivesWhileTheLinkIsDown) {
  run(0);
  add_rx(100);
  device->set_link(false);
  arrive(frame(60));
  host_ready();
  device->set_link(true);
  arrive(frame(61));
  host_ready();
  EXPECT_EQ(used(kRx), 73U);
  EXPECT_EQ(used(kRx), std::nullopt);
}

TEST_P(ReceiveTest, AFloodEndsATurn) {
  run(bits({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_MAC}));
  add_rx(100);
  for (int i = 0; i < 2 * kSize; ++i) arrive(frame(60, kOther));
  EXPECT_TRUE(host_ready());
  EXPECT_EQ(network->arriving(0), static_cast<std::size_t>(kSize - 1));
  EXPECT_FALSE(host_ready());
  EXPECT_EQ(network->arriving(0), 0U);
}

TEST_P(ReceiveTest, AFailingNetworkIsReported) {
  run(0);
  add_rx(100);
  network->fail_with(Error(SystemError::kRead, EIO));
  EXPECT_FALSE(host_ready());
  EXPECT_THAT(host.refusals, ElementsAre(Error(SystemError::kRead, EIO)));
  EXPECT_THAT(host.refusing_queues, ElementsAre(kRx));
}

TEST_P(ReceiveTest, AResetOfTheQueueDropsWhatWaits) {
  run(kMerge, 1, feature_bit(VIRTIO_F_RING_RESET));
  add_rx(40);
  arrive(frame(100));
  host_ready();

  ASSERT_TRUE(lifecycle->reset_queue(kRx));
  EXPECT_EQ(used(kRx), std::nullopt);
  drivers.clear();
  enable(kRx);
  add_rx(200);
  EXPECT_FALSE(kick(kRx));
  EXPECT_EQ(used(kRx), std::nullopt);
  arrive(frame(61));
  host_ready();
  EXPECT_EQ(used(kRx), 73U);
}

TEST_P(ReceiveTest, AResetOfTheDeviceDropsWhatWaits) {
  run(kMerge);
  add_rx(40);
  arrive(frame(100));
  host_ready();
  lifecycle->reset();
  EXPECT_EQ(used(kRx), std::nullopt);
  negotiate(kMerge);
  add_rx(200);
  kick(kRx);
  EXPECT_EQ(used(kRx), std::nullopt);
}

}  // namespace
}  // namespace guestproof::virtio::net
