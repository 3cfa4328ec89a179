#include "guestproof/virtio/device/block/offer.h"

#include <gtest/gtest.h>

#include <cstring>

#include "guestproof/testing/memory_backend.h"

namespace guestproof::virtio::block {
namespace {

constexpr std::uint64_t bit(unsigned feature) { return std::uint64_t{1} << feature; }

/// Everything is offered, and no two numbers are alike.
Offer whole_offer() {
  Offer offer;
  offer.config.capacity = 0x1122334455660;
  offer.config.features = kKnownFeatures & ~bit(VIRTIO_BLK_F_RO);
  offer.config.size_max = 0x10203;
  offer.config.seg_max = 126;
  offer.config.discard = {.max_sectors = 0x100, .max_segments = 11};
  offer.config.write_zeroes = {.max_sectors = 0x200, .max_segments = 12};
  offer.config.secure_erase = {.max_sectors = 0x300, .max_segments = 13};
  offer.config.write_zeroes_may_unmap = true;
  offer.queues = 5;
  offer.cylinders = 0x1234;
  offer.heads = 16;
  offer.sectors = 63;
  offer.topology = {.logical_block_bytes = 1024,
                    .physical_block_bytes = 8192,
                    .alignment_bytes = 3072,
                    .minimum_io_bytes = 65536,
                    .optimal_io_bytes = 1 << 20};
  offer.discard_alignment = 8;
  offer.secure_erase_alignment = 16;
  return offer;
}

template <class T>
T at(const VirtioBlkConfig& space, std::size_t offset) {
  T value{};
  std::memcpy(&value, reinterpret_cast<const std::byte*>(&space) + offset, sizeof value);
  return value;
}

TEST(OfferSpace, HasEveryFieldWhereTheSpecificationHasIt) {
  ASSERT_TRUE(whole_offer().check());
  const auto space = whole_offer().space();
  EXPECT_EQ(at<le64>(space, 0), 0x1122334455660u);
  EXPECT_EQ(at<le32>(space, 8), 0x10203u);
  EXPECT_EQ(at<le32>(space, 12), 126u);
  EXPECT_EQ(at<le16>(space, 16), 0x1234u);
  EXPECT_EQ(at<std::uint8_t>(space, 18), 16u);
  EXPECT_EQ(at<std::uint8_t>(space, 19), 63u);
  EXPECT_EQ(at<le32>(space, 20), 1024u);
  EXPECT_EQ(at<std::uint8_t>(space, 24), 3u);
  EXPECT_EQ(at<std::uint8_t>(space, 25), 3u);
  EXPECT_EQ(at<le16>(space, 26), 64u);
  EXPECT_EQ(at<le32>(space, 28), 1024u);
  EXPECT_EQ(at<le16>(space, 32), 0u);
  EXPECT_EQ(at<le16>(space, 34), 5u);
  EXPECT_EQ(at<le32>(space, 36), 0x100u);
  EXPECT_EQ(at<le32>(space, 40), 11u);
  EXPECT_EQ(at<le32>(space, 44), 8u);
  EXPECT_EQ(at<le32>(space, 48), 0x200u);
  EXPECT_EQ(at<le32>(space, 52), 12u);
  EXPECT_EQ(at<le32>(space, 56), 1u);
  EXPECT_EQ(at<le32>(space, 60), 0x300u);
  EXPECT_EQ(at<le32>(space, 64), 13u);
  EXPECT_EQ(at<le32>(space, 68), 16u);
}

TEST(OfferSpace, FieldsWithoutTheirFeatureAreZero) {
  auto offer = whole_offer();
  offer.config.features = 0;
  offer.queues = 1;
  VirtioBlkConfig expected{};
  expected.capacity = offer.config.capacity;
  const auto space = offer.space();
  EXPECT_EQ(std::memcmp(&space, &expected, sizeof space), 0);
}

TEST(OfferSpace, TheGeometryIsThereWithItsFeatureOnly) {
  auto offer = whole_offer();
  offer.config.features &= ~(std::uint64_t{1} << VIRTIO_BLK_F_GEOMETRY);
  const auto space = offer.space();
  EXPECT_EQ(at<le32>(space, 16), 0u);
  EXPECT_EQ(at<le32>(space, 20), 1024u);
}

struct Wrong {
  const char* name;
  void (*change)(Offer&);
  Error error;
};
class WrongOfferTest : public ::testing::TestWithParam<Wrong> {};
INSTANTIATE_TEST_SUITE_P(
    Offers, WrongOfferTest,
    ::testing::Values(
        Wrong{"Zoned",
              [](Offer& o) { o.config.features |= bit(17); },
              {BlockConfigError::kFeatureUnknown, bit(17), kKnownFeatures}},
        Wrong{"CacheModeWithoutFlush",
              [](Offer& o) { o.config.features &= ~bit(VIRTIO_BLK_F_FLUSH); },
              {BlockConfigError::kFeatureWithout, VIRTIO_BLK_F_CONFIG_WCE, VIRTIO_BLK_F_FLUSH}},
        Wrong{"TopologyWithoutBlockSize",
              [](Offer& o) { o.config.features &= ~bit(VIRTIO_BLK_F_BLK_SIZE); },
              {BlockConfigError::kFeatureWithout, VIRTIO_BLK_F_TOPOLOGY, VIRTIO_BLK_F_BLK_SIZE}},
        Wrong{"ReadOnlyWithoutSayingSo",
              [](Offer& o) { o.config.read_only = true; },
              {BlockConfigError::kReadOnlyFeature, 1}},
        Wrong{"ReadOnlyInWordsOnly",
              [](Offer& o) { o.config.features |= bit(VIRTIO_BLK_F_RO); },
              {BlockConfigError::kReadOnlyFeature, 0}},
        Wrong{"NoQueue", [](Offer& o) { o.queues = 0; }, {BlockConfigError::kQueues, 0, 64}},
        Wrong{
            "TooManyQueues", [](Offer& o) { o.queues = 65; }, {BlockConfigError::kQueues, 65, 64}},
        Wrong{"QueuesWithoutTheFeature",
              [](Offer& o) { o.config.features &= ~bit(VIRTIO_BLK_F_MQ); },
              {BlockConfigError::kQueues, 5, 1}},
        Wrong{"QueueSizeZero",
              [](Offer& o) { o.queue_size = 0; },
              {BlockConfigError::kQueueSize, 0, 32768}},
        Wrong{"QueueSizeNoPowerOfTwo",
              [](Offer& o) { o.queue_size = 24; },
              {BlockConfigError::kQueueSize, 24, 32768}},
        Wrong{"BlockOf256Bytes",
              [](Offer& o) { o.topology.logical_block_bytes = 256; },
              {BlockConfigError::kBlockSize, 256, 512}},
        Wrong{"BlockOf1536Bytes",
              [](Offer& o) { o.topology.logical_block_bytes = 1536; },
              {BlockConfigError::kBlockSize, 1536, 512}},
        Wrong{"HalfABlock",
              [](Offer& o) { o.config.capacity = 7; },
              {BlockConfigError::kCapacityBlocks, 7, 1024}},
        Wrong{"PhysicalBelowLogical",
              [](Offer& o) { o.topology.physical_block_bytes = 512; },
              {BlockConfigError::kPhysicalBlockSize, 512, 1024}},
        Wrong{"PhysicalNoPowerOfTwo",
              [](Offer& o) { o.topology.physical_block_bytes = 3072; },
              {BlockConfigError::kPhysicalBlockSize, 3072, 1024}},
        Wrong{"AlignmentTooLarge",
              [](Offer& o) { o.topology.alignment_bytes = 256 * 1024; },
              {BlockConfigError::kTopologyRange, 256, 255}},
        Wrong{"MinimumTooLarge",
              [](Offer& o) { o.topology.minimum_io_bytes = 65536 * 1024; },
              {BlockConfigError::kTopologyRange, 65536, 65535}},
        Wrong{"NothingToDiscard",
              [](Offer& o) { o.config.discard.max_sectors = 0; },
              {BlockConfigError::kMaxSectorsZero, VIRTIO_BLK_F_DISCARD}},
        Wrong{"NothingToErase",
              [](Offer& o) { o.config.secure_erase.max_sectors = 0; },
              {BlockConfigError::kMaxSectorsZero, VIRTIO_BLK_F_SECURE_ERASE}},
        Wrong{"LimitsAsOfConfig",
              [](Offer& o) { o.config.seg_max = 0; },
              {BlockConfigError::kSegMaxZero}}),
    [](const auto& test) { return test.param.name; });

TEST_P(WrongOfferTest, IsRefused) {
  auto offer = whole_offer();
  GetParam().change(offer);
  const auto checked = offer.check();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error(), GetParam().error) << checked.error().message();
}

TEST(OfferOfStorage, IsValidAndFits) {
  testing::MemoryBackend storage(10 * 4096 + 512);
  ImmediateBackend backend(storage);
  const auto offer =
      Offer::of(backend, {.logical_block_bytes = 4096, .physical_block_bytes = 4096}, 2);
  ASSERT_TRUE(offer.check());
  EXPECT_EQ(offer.config.capacity, 80u);
  EXPECT_TRUE(offer.config.has(VIRTIO_BLK_F_MQ));
  EXPECT_TRUE(offer.config.has(VIRTIO_BLK_F_WRITE_ZEROES));
  EXPECT_EQ(offer.space().seg_max, 254u);
  EXPECT_EQ(offer.space().discard_sector_alignment, 8u);
}

TEST(OfferOfStorage, ReadOnlyChangesNothing) {
  testing::MemoryBackend storage(4096);
  storage.set_read_only();
  ImmediateBackend backend(storage);
  const auto offer = Offer::of(backend, {});
  ASSERT_TRUE(offer.check());
  EXPECT_TRUE(offer.config.has(VIRTIO_BLK_F_RO));
  EXPECT_FALSE(offer.config.has(VIRTIO_BLK_F_DISCARD));
  EXPECT_FALSE(offer.config.has(VIRTIO_BLK_F_MQ));
}

}  // namespace
}  // namespace guestproof::virtio::block
