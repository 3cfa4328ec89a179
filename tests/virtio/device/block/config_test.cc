#include "guestproof/virtio/device/block/config.h"

#include <gtest/gtest.h>

namespace guestproof::virtio::block {
namespace {

TEST(DeviceId, IsPaddedAndCut) {
  const auto padded = device_id("disk");
  EXPECT_EQ(std::string(padded.data(), padded.size()), std::string("disk") + std::string(16, '\0'));
  const auto cut = device_id("0123456789abcdefghijklmnop");
  EXPECT_EQ(std::string(cut.data(), cut.size()), "0123456789abcdefghij");
}

TEST(Config, DefaultIsValid) { EXPECT_TRUE(Config{}.check()); }

TEST(Config, CapacityFitsAFileOffset) {
  EXPECT_TRUE(Config{.capacity = kMaxCapacity}.check());
  EXPECT_LE(kMaxCapacity * kSectorBytes, static_cast<std::uint64_t>(INT64_MAX));
  EXPECT_EQ(Config{.capacity = kMaxCapacity + 1}.check().error(), BlockConfigError::kCapacity);
}

TEST(Config, LimitsCountWithTheirFeature) {
  EXPECT_EQ(Config{.features = 1u << VIRTIO_BLK_F_SIZE_MAX}.check().error(),
            BlockConfigError::kSizeMaxZero);
  EXPECT_EQ(Config{.features = 1u << VIRTIO_BLK_F_SEG_MAX}.check().error(),
            BlockConfigError::kSegMaxZero);
  EXPECT_TRUE((Config{.features = 1u << VIRTIO_BLK_F_SEG_MAX, .seg_max = 1}.check()));
}

TEST(Config, SegmentsOfOneRequest) {
  Config config{.features = 1u << VIRTIO_BLK_F_SECURE_ERASE};
  config.secure_erase.max_segments = 0;
  EXPECT_EQ(config.check().error(), Error(BlockConfigError::kMaxSegments, 0, kMaxSegments));
  config.secure_erase.max_segments = kMaxSegments;
  EXPECT_TRUE(config.check());
  config.secure_erase.max_segments = kMaxSegments + 1;
  EXPECT_EQ(config.check().error(),
            Error(BlockConfigError::kMaxSegments, kMaxSegments + 1, kMaxSegments));
  config.features = 0;
  EXPECT_TRUE(config.check());
}

TEST(BlockConfigErrorSentence, NamesTheValueAndTheLimit) {
  EXPECT_EQ(Error(BlockConfigError::kBackendTooSmall, 100, 512).message(),
            "a back end of 100 bytes for a capacity of 512");
}

}  // namespace
}  // namespace guestproof::virtio::block
