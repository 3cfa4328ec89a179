#include "guestproof/base/checked.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace guestproof {
namespace {

constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();

TEST(CheckedAddTest, HoldsTheLargestSumThatFits) {
  EXPECT_EQ(checked_add(kMax - 1, 1), kMax);
  EXPECT_EQ(checked_add(kMax, 0), kMax);
  EXPECT_EQ(checked_add(std::uint16_t{65534}, 1), std::uint16_t{65535});
}

TEST(CheckedAddTest, RefusesASumThatPassesTheType) {
  EXPECT_EQ(checked_add(kMax, 1), std::nullopt);
  EXPECT_EQ(checked_add(kMax, kMax), std::nullopt);
  EXPECT_EQ(checked_add(std::uint16_t{65535}, 1), std::nullopt);
}

TEST(CheckedMulTest, HoldsTheLargestProductThatFits) {
  EXPECT_EQ(checked_mul(kMax / 512, 512), kMax / 512 * 512);
  EXPECT_EQ(checked_mul(kMax, 0), 0u);
}

TEST(CheckedMulTest, RefusesAProductThatPassesTheType) {
  EXPECT_EQ(checked_mul(kMax / 512 + 1, 512), std::nullopt);
  EXPECT_EQ(checked_mul(std::uint64_t{1} << 32, std::uint64_t{1} << 32), std::nullopt);
}

TEST(RangeWithinTest, AcceptsUpToTheLastByte) {
  EXPECT_TRUE(range_within<std::uint64_t>(0, 8, 8));
  EXPECT_TRUE(range_within<std::uint64_t>(7, 1, 8));
  EXPECT_TRUE(range_within<std::uint64_t>(8, 0, 8));
  EXPECT_TRUE(range_within<std::uint64_t>(0, kMax, kMax));
}

TEST(RangeWithinTest, RefusesOneByteMoreAndSumsThatWouldWrap) {
  EXPECT_FALSE(range_within<std::uint64_t>(0, 9, 8));
  EXPECT_FALSE(range_within<std::uint64_t>(8, 1, 8));
  EXPECT_FALSE(range_within<std::uint64_t>(9, 0, 8));
  EXPECT_FALSE(range_within<std::uint64_t>(4, kMax, 8));
  EXPECT_FALSE(range_within<std::uint64_t>(kMax, 2, 8));
}

TEST(IsAlignedTest, LooksAtTheLowBitsOnly) {
  EXPECT_TRUE(is_aligned(std::uint64_t{0}, 16));
  EXPECT_TRUE(is_aligned(kMax - 15, 16));
  EXPECT_FALSE(is_aligned(std::uint64_t{8}, 16));
  EXPECT_FALSE(is_aligned(kMax, 2));
  EXPECT_TRUE(is_aligned(kMax, 1));
}

}  // namespace
}  // namespace guestproof
