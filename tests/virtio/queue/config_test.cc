#include "guestproof/virtio/queue/config.h"

#include <gtest/gtest.h>

#include <array>

#include "guestproof/testing/driver.h"
#include "guestproof/testing/watched_memory.h"
#include "print.h"

namespace guestproof::virtio {
namespace {

using testing::QueueLayout;
using testing::WatchedMemory;

TEST(QueueConfigTest, StartsAtItsMaximumSizeWithoutAddresses) {
  const auto config = QueueConfig::create(256).value();

  EXPECT_EQ(config.max_size(), 256u);
  EXPECT_EQ(config.size(), 256u);
  EXPECT_FALSE(config.ready());
  EXPECT_EQ(config.descriptor_table(), GuestAddress(0));
}

TEST(QueueConfigTest, TakesPowersOfTwoUpTo32768AsMaximum) {
  EXPECT_TRUE(QueueConfig::create(1));
  EXPECT_TRUE(QueueConfig::create(32768));
  EXPECT_EQ(QueueConfig::create(0).error(), Error(QueueConfigError::kMaxSize, 0, 32768));
  EXPECT_EQ(QueueConfig::create(3).error(), Error(QueueConfigError::kMaxSize, 3, 32768));
  EXPECT_EQ(QueueConfig::create(32769).error(), Error(QueueConfigError::kMaxSize, 32769, 32768));
  EXPECT_EQ(QueueConfig::create(65535).error(), Error(QueueConfigError::kMaxSize, 65535, 32768));
}

class QueueConfigSetterTest : public ::testing::Test {
 protected:
  QueueConfig config = QueueConfig::create(256).value();
};

TEST_F(QueueConfigSetterTest, TakesEveryPowerOfTwoUpToTheMaximumAsSize) {
  for (std::uint16_t size = 1; size <= 256; size = static_cast<std::uint16_t>(2 * size)) {
    ASSERT_TRUE(config.set_size(size));
    EXPECT_EQ(config.size(), size);
  }
}

TEST_F(QueueConfigSetterTest, RejectedSizeKeepsTheOldOne) {
  ASSERT_TRUE(config.set_size(16));

  EXPECT_EQ(config.set_size(0).error(), Error(QueueConfigError::kSizeZero, 0, 256));
  EXPECT_EQ(config.set_size(17).error(), Error(QueueConfigError::kSizeNotPowerOfTwo, 17, 256));
  EXPECT_EQ(config.set_size(512).error(), Error(QueueConfigError::kSizeAboveMax, 512, 256));
  EXPECT_EQ(config.set_size(65535).error(),
            Error(QueueConfigError::kSizeNotPowerOfTwo, 65535, 256));

  EXPECT_EQ(config.size(), 16u);
}

TEST_F(QueueConfigSetterTest, RejectedAddressKeepsTheOldOne) {
  ASSERT_TRUE(config.set_descriptor_table(GuestAddress(0x1000)));
  ASSERT_TRUE(config.set_available_ring(GuestAddress(0x2000)));
  ASSERT_TRUE(config.set_used_ring(GuestAddress(0x3000)));

  EXPECT_EQ(config.set_descriptor_table(GuestAddress(0x1008)).error(),
            Error(QueueConfigError::kDescriptorTableAlign, 0x1008, 16));
  EXPECT_EQ(config.set_available_ring(GuestAddress(0x2001)).error(),
            Error(QueueConfigError::kAvailableRingAlign, 0x2001, 2));
  EXPECT_EQ(config.set_used_ring(GuestAddress(0x3002)).error(),
            Error(QueueConfigError::kUsedRingAlign, 0x3002, 4));

  EXPECT_EQ(config.descriptor_table(), GuestAddress(0x1000));
  EXPECT_EQ(config.available_ring(), GuestAddress(0x2000));
  EXPECT_EQ(config.used_ring(), GuestAddress(0x3000));
}

TEST_F(QueueConfigSetterTest, TakesTheLeastAlignedAddresses) {
  EXPECT_TRUE(config.set_descriptor_table(GuestAddress(16)));
  EXPECT_TRUE(config.set_available_ring(GuestAddress(2)));
  EXPECT_TRUE(config.set_used_ring(GuestAddress(4)));
}

TEST_F(QueueConfigSetterTest, IsFixedWhileReady) {
  config = QueueLayout::at(GuestAddress(0x1000), 16).config(256);
  const auto used_ring = config.used_ring();

  EXPECT_EQ(config.set_size(8).error(), QueueConfigError::kReady);
  EXPECT_EQ(config.set_descriptor_table(GuestAddress(0)).error(), QueueConfigError::kReady);
  EXPECT_EQ(config.set_available_ring(GuestAddress(0)).error(), QueueConfigError::kReady);
  EXPECT_EQ(config.set_used_ring(GuestAddress(0)).error(), QueueConfigError::kReady);
  EXPECT_EQ(config.set_ready().error(), QueueConfigError::kReady);

  EXPECT_EQ(config.size(), 16u);
  EXPECT_EQ(config.descriptor_table(), GuestAddress(0x1000));
  EXPECT_EQ(config.used_ring(), used_ring);
}

TEST_F(QueueConfigSetterTest, ResetGoesBackToTheStart) {
  config = QueueLayout::at(GuestAddress(0x1000), 16).config(256);

  config.reset();

  EXPECT_FALSE(config.ready());
  EXPECT_EQ(config.size(), 256u);
  EXPECT_EQ(config.max_size(), 256u);
  EXPECT_EQ(config.descriptor_table(), GuestAddress(0));
  EXPECT_TRUE(config.set_size(8));
}

TEST_F(QueueConfigSetterTest, OfAPackedQueueTakesAnySizeUpToTheMaximum) {
  ASSERT_TRUE(config.set_layout(RingLayout::kPacked));

  EXPECT_TRUE(config.set_size(255));
  EXPECT_TRUE(config.set_size(1));
  EXPECT_EQ(config.set_size(0).error(), Error(QueueConfigError::kSizeZero, 0, 256));
  EXPECT_EQ(config.set_size(257).error(), Error(QueueConfigError::kSizeAboveMax, 257, 256));
}

TEST_F(QueueConfigSetterTest, OfAPackedQueueWantsItsEventsAligned) {
  ASSERT_TRUE(config.set_layout(RingLayout::kPacked));

  EXPECT_EQ(config.set_available_ring(GuestAddress(2)).error(),
            Error(QueueConfigError::kAvailableRingAlign, 2, 4));
  EXPECT_TRUE(config.set_available_ring(GuestAddress(4)));
  EXPECT_EQ(config.set_used_ring(GuestAddress(2)).error(),
            Error(QueueConfigError::kUsedRingAlign, 2, 4));
}

TEST_F(QueueConfigSetterTest, AnotherLayoutGoesBackToTheStart) {
  ASSERT_TRUE(config.set_size(16));
  ASSERT_TRUE(config.set_layout(RingLayout::kSplit));
  EXPECT_EQ(config.size(), 16u);

  ASSERT_TRUE(config.set_layout(RingLayout::kPacked));

  EXPECT_EQ(config.size(), 256u);
  EXPECT_EQ(config.layout(), RingLayout::kPacked);
  config.reset();
  EXPECT_EQ(config.layout(), RingLayout::kPacked);
}

TEST_F(QueueConfigSetterTest, KeepsItsLayoutWhileReady) {
  config = QueueLayout::at(GuestAddress(0x1000), 16).config(256);

  EXPECT_EQ(config.set_layout(RingLayout::kPacked).error(), QueueConfigError::kReady);
  EXPECT_EQ(config.layout(), RingLayout::kSplit);
}

class AreasOverlapTest : public ::testing::Test {
 protected:
  Result<void> ready_with(std::uint64_t table, std::uint64_t available, std::uint64_t used) {
    auto config = QueueConfig::create(4).value();
    EXPECT_TRUE(config.set_descriptor_table(GuestAddress(table)));
    EXPECT_TRUE(config.set_available_ring(GuestAddress(available)));
    EXPECT_TRUE(config.set_used_ring(GuestAddress(used)));
    return config.set_ready();
  }
  // Of a queue of 4: 64, 14 and 38 bytes.
};

TEST_F(AreasOverlapTest, AcceptsAreasThatTouchInAnyOrder) {
  EXPECT_TRUE(ready_with(0x1000, 0x1040, 0x1050));
  EXPECT_TRUE(ready_with(0x1040, 0x1000, 0x1010));
  EXPECT_TRUE(ready_with(0x1040, 0x1032, 0x1000));
}

TEST_F(AreasOverlapTest, RefusesEachPairThatSharesAByte) {
  EXPECT_EQ(ready_with(0x1000, 0x103e, 0x2000).error(),
            Error(QueueConfigError::kAreasOverlap, 0x103e, 0x1000));
  EXPECT_EQ(ready_with(0x1000, 0x2000, 0x103c).error(),
            Error(QueueConfigError::kAreasOverlap, 0x103c, 0x1000));
  EXPECT_EQ(ready_with(0x1000, 0x2000, 0x200c).error(),
            Error(QueueConfigError::kAreasOverlap, 0x200c, 0x2000));
  EXPECT_EQ(ready_with(0x1000, 0x2000, 0x1fdc).error(),
            Error(QueueConfigError::kAreasOverlap, 0x1fdc, 0x2000));
}

TEST_F(AreasOverlapTest, KnowsTheSizesOfAPackedQueuesAreas) {
  auto config = QueueConfig::create(4).value();
  ASSERT_TRUE(config.set_layout(RingLayout::kPacked));
  ASSERT_TRUE(config.set_size(3));
  ASSERT_TRUE(config.set_descriptor_table(GuestAddress(0x1000)));
  ASSERT_TRUE(config.set_available_ring(GuestAddress(0x102c)));
  ASSERT_TRUE(config.set_used_ring(GuestAddress(0x1034)));
  EXPECT_EQ(config.set_ready().error(), Error(QueueConfigError::kAreasOverlap, 0x102c, 0x1000));

  ASSERT_TRUE(config.set_available_ring(GuestAddress(0x1030)));
  EXPECT_TRUE(config.set_ready());
}

TEST_F(AreasOverlapTest, RefusesAddressesThatWereNeverSet) {
  EXPECT_EQ(ready_with(0, 0, 0).error(), Error(QueueConfigError::kAreasOverlap, 0, 0));
}

TEST_F(AreasOverlapTest, StaysNotReadyAfterARefusal) {
  auto config = QueueConfig::create(4).value();

  ASSERT_FALSE(config.set_ready());

  EXPECT_FALSE(config.ready());
  EXPECT_TRUE(config.set_used_ring(GuestAddress(0x3000)));
}

class QueueAreasTest : public ::testing::Test {
 protected:
  /// Errors of a queue of 4 (64, 14 and 38 bytes) with these areas.
  Result<QueueAreas<WatchedMemory>> translate(std::uint64_t table, std::uint64_t available,
                                              std::uint64_t used) {
    QueueLayout layout{4, GuestAddress(table), GuestAddress(available), GuestAddress(used)};
    return QueueAreas<WatchedMemory>::translate(memory, layout.config());
  }

  static constexpr std::array kRegions{
      WatchedMemory::RegionSpec{GuestAddress(0x1000), 0x1000},
      WatchedMemory::RegionSpec{GuestAddress(0x2000), 0x1000},  // touches the first
      WatchedMemory::RegionSpec{GuestAddress(0x8000), 0x1000, true},
      WatchedMemory::RegionSpec{GuestAddress(UINT64_MAX - 0xfff), 0x1000},
  };
  WatchedMemory memory{kRegions};
};

TEST_F(QueueAreasTest, AreAsLongAsTheSizeSays) {
  const auto areas = translate(0x1000, 0x1100, 0x1200);

  ASSERT_TRUE(areas);
  EXPECT_EQ(areas->descriptor_table.size(), 64u);
  EXPECT_EQ(areas->available_ring.size(), 14u);
  EXPECT_EQ(areas->used_ring.size(), 38u);
}

TEST_F(QueueAreasTest, OfAQueueThatIsNotReadyAreRefused) {
  const auto config = QueueConfig::create(4).value();
  EXPECT_EQ(QueueAreas<WatchedMemory>::translate(memory, config).error(),
            QueueConfigError::kNotReady);
}

TEST_F(QueueAreasTest, MayEndWithTheirRegion) {
  EXPECT_TRUE(translate(0x1000, 0x2ff2, 0x2000));
  EXPECT_TRUE(translate(0x1fc0, 0x1000, 0x1100));
  EXPECT_TRUE(translate(UINT64_MAX - 0x3f, 0x1000, 0x1100));
}

TEST_F(QueueAreasTest, AreRefusedOneByteFurther) {
  EXPECT_EQ(translate(0x2fd0, 0x1000, 0x1100).error(),
            Error(QueueConfigError::kDescriptorTableRange, 0x2fd0, 64));
  EXPECT_EQ(translate(0x1000, 0x2ff4, 0x1100).error(),
            Error(QueueConfigError::kAvailableRingRange, 0x2ff4, 14));
  EXPECT_EQ(translate(0x1000, 0x1100, 0x2fdc).error(),
            Error(QueueConfigError::kUsedRingRange, 0x2fdc, 38));
}

TEST_F(QueueAreasTest, AreRefusedWhereTheyPassTheAddressSpace) {
  EXPECT_EQ(translate(UINT64_MAX - 0x2f, 0x1000, 0x1100).error(),
            QueueConfigError::kDescriptorTableRange);
  EXPECT_EQ(translate(0x1000, UINT64_MAX - 1, 0x1100).error(),
            QueueConfigError::kAvailableRingRange);
  EXPECT_EQ(translate(0x1000, 0x1100, UINT64_MAX - 3).error(), QueueConfigError::kUsedRingRange);
}

TEST_F(QueueAreasTest, MustLieInOneRegionEach) {
  EXPECT_EQ(translate(0x1fd0, 0x1000, 0x1100).error(), QueueConfigError::kDescriptorTableRange);
}

TEST_F(QueueAreasTest, MayBeReadOnlyButForTheUsedRing) {
  EXPECT_TRUE(translate(0x8000, 0x8100, 0x1000));
  EXPECT_EQ(translate(0x1000, 0x1100, 0x8000).error(),
            Error(QueueConfigError::kUsedRingRange, 0x8000, 38));
}

TEST_F(QueueAreasTest, AreNotFetchedWhenTranslated) {
  ASSERT_TRUE(translate(0x1000, 0x1100, 0x1200));
  EXPECT_TRUE(memory.fetches().empty());
  EXPECT_TRUE(memory.writes().empty());
}

}  // namespace
}  // namespace guestproof::virtio
