#include "guestproof/virtio/queue/wire.h"

#include <gtest/gtest.h>

namespace guestproof::virtio {
namespace {

// virtio 1.3 §2.7, the table of sizes and alignments.
TEST(WireTest, AreasHaveTheSpecifiedSizes) {
  EXPECT_EQ(descriptor_table_bytes(1), 16u);
  EXPECT_EQ(available_ring_bytes(1), 8u);
  EXPECT_EQ(used_ring_bytes(1), 14u);
  EXPECT_EQ(descriptor_table_bytes(kMaxQueueSize), 16u * 32768);
  EXPECT_EQ(available_ring_bytes(kMaxQueueSize), 6u + 2 * 32768);
  EXPECT_EQ(used_ring_bytes(kMaxQueueSize), 6u + 8 * 32768);
}

// virtio 1.3 §2.8.10.1.
TEST(WireTest, APackedRingAndItsEventsHaveTheSpecifiedSizes) {
  EXPECT_EQ(sizeof(PackedDesc), 16u);
  EXPECT_EQ(sizeof(PackedEvent), kPackedEventBytes);
  EXPECT_EQ(kPackedEventAlign, 4u);
  EXPECT_EQ(VIRTQ_DESC_F_AVAIL, 0x80u);
  EXPECT_EQ(VIRTQ_DESC_F_USED, 0x8000u);
}

TEST(WireTest, AChainHasAtMost2To32Bytes) { EXPECT_EQ(kMaxChainBytes, 4'294'967'296u); }

}  // namespace
}  // namespace guestproof::virtio
