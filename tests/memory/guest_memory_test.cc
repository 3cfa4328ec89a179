// What the free functions over a GuestMemory promise, with two regions that touch, a hole, and a
// region that ends where the address space does.
#include "guestproof/memory/guest_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "guestproof/base/endian.h"
#include "guestproof/testing/watched_memory.h"
#include "print.h"

namespace guestproof {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::WatchedMemory;

constexpr GuestAddress kFirst{0x1000};
constexpr GuestAddress kBorder{0x2000};  // first and second region touch here
constexpr GuestAddress kHole{0x3000};    // after the second region
constexpr GuestAddress kReadOnly{0x5000};
constexpr GuestAddress kTop{UINT64_MAX - 0xfff};  // the last page of the address space

constexpr GuestAddress before(GuestAddress address, std::uint64_t bytes) {
  return GuestAddress(address.raw() - bytes);
}

class GuestMemoryTest : public ::testing::Test {
 protected:
  std::vector<std::size_t> slice_sizes(GuestAddress address, std::uint64_t length) {
    std::vector<std::size_t> sizes;
    visited = for_each_slice(memory, address, length, Access::kRead,
                             [&](const auto& slice) { sizes.push_back(slice.size()); });
    return sizes;
  }

  static constexpr std::array kRegions{
      WatchedMemory::RegionSpec{kFirst, 0x1000},
      WatchedMemory::RegionSpec{kBorder, 0x1000},
      WatchedMemory::RegionSpec{kReadOnly, 0x1000, true},
      WatchedMemory::RegionSpec{kTop, 0x1000},
  };
  WatchedMemory memory{kRegions};
  Result<void> visited;
};

TEST_F(GuestMemoryTest, VisitsOneSliceInsideARegion) {
  EXPECT_THAT(slice_sizes(kFirst, 0x1000), ElementsAre(0x1000));
  EXPECT_TRUE(visited);
}

TEST_F(GuestMemoryTest, VisitsRegionsThatTouchInOrder) {
  EXPECT_THAT(slice_sizes(before(kBorder, 3), 8), ElementsAre(3, 5));
  EXPECT_TRUE(visited);
}

TEST_F(GuestMemoryTest, VisitsNothingForLengthZeroWhereverItPoints) {
  EXPECT_THAT(slice_sizes(GuestAddress(0x666), 0), IsEmpty());
  EXPECT_TRUE(visited);
}

TEST_F(GuestMemoryTest, StopsAtAHoleAndNamesItsAddress) {
  EXPECT_THAT(slice_sizes(before(kHole, 2), 3), ElementsAre(2));
  ASSERT_FALSE(visited);
  EXPECT_EQ(visited.error(), Error(MemoryError::kUnmapped, kHole.raw(), 1));
}

TEST_F(GuestMemoryTest, ReachesTheLastByteOfTheAddressSpace) {
  EXPECT_THAT(slice_sizes(kTop, 0x1000), ElementsAre(0x1000));
  EXPECT_TRUE(visited);
}

TEST_F(GuestMemoryTest, NeverWrapsRoundToAddressZero) {
  EXPECT_THAT(slice_sizes(kTop, 0x1001), ElementsAre(0x1000));
  ASSERT_FALSE(visited);
  EXPECT_EQ(visited.error(), MemoryError::kAddressOverflow);
}

TEST_F(GuestMemoryTest, RefusesALengthThatNoMemoryHas) {
  EXPECT_EQ(check_range(memory, kFirst, UINT64_MAX, Access::kRead).error(), MemoryError::kUnmapped);
  EXPECT_EQ(check_range(memory, kTop, UINT64_MAX, Access::kRead).error(),
            MemoryError::kAddressOverflow);
}

TEST_F(GuestMemoryTest, ChecksARangeWithoutFetchingIt) {
  EXPECT_TRUE(check_range(memory, kFirst, 0x2000, Access::kWrite));
  EXPECT_THAT(memory.fetches(), IsEmpty());
  EXPECT_THAT(memory.writes(), IsEmpty());
}

TEST_F(GuestMemoryTest, ReadsReadOnlyMemoryAndRefusesToWriteIt) {
  EXPECT_TRUE(read_object<le32>(memory, kReadOnly));
  const auto written = write_object(memory, kReadOnly, le32(1));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error(), Error(MemoryError::kReadOnly, kReadOnly.raw()));
}

TEST_F(GuestMemoryTest, FindsAContiguousRangeInOneRegionOnly) {
  EXPECT_EQ(find_contiguous(memory, kFirst, 0x1000, Access::kRead).value().size(), 0x1000u);
  EXPECT_EQ(find_contiguous(memory, kFirst, 0x1001, Access::kRead).error(),
            Error(MemoryError::kNotContiguous, kFirst.raw(), 0x1001));
}

TEST_F(GuestMemoryTest, SaysOfARangeWithAHoleThatItIsNotMapped) {
  EXPECT_EQ(find_contiguous(memory, kBorder, 0x1001, Access::kRead).error(),
            MemoryError::kUnmapped);
  EXPECT_EQ(find_contiguous(memory, kHole, 1, Access::kRead).error(), MemoryError::kUnmapped);
}

TEST_F(GuestMemoryTest, CopiesAnObjectAcrossABorderBothWays) {
  ASSERT_TRUE(write_object(memory, before(kBorder, 3), le64(0x0123456789abcdef)));

  EXPECT_EQ(read_object<le64>(memory, before(kBorder, 3)).value(), 0x0123456789abcdefu);
  EXPECT_EQ(read_object<std::uint8_t>(memory, kBorder).value(), 0x89u);
}

TEST_F(GuestMemoryTest, KeepsTheBytesBeforeAFault) {
  ASSERT_TRUE(write_object(memory, before(kHole, 2), le16(0xbeef)));
  std::array<std::byte, 4> out{};

  const auto read = read_bytes(memory, before(kHole, 2), out);

  ASSERT_FALSE(read);
  EXPECT_EQ(read.error(), Error(MemoryError::kUnmapped, kHole.raw(), 2));
  EXPECT_THAT(out, ElementsAre(std::byte{0xef}, std::byte{0xbe}, std::byte{0}, std::byte{0}));
}

TEST_F(GuestMemoryTest, WritesTheBytesBeforeAFault) {
  const std::array<std::byte, 4> in{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};

  const auto written = write_bytes(memory, before(kHole, 2), in);

  ASSERT_FALSE(written);
  EXPECT_EQ(written.error(), MemoryError::kUnmapped);
  EXPECT_EQ(read_object<le16>(memory, before(kHole, 2)).value(), 0x0201u);
}

TEST_F(GuestMemoryTest, FetchesEveryByteOfAnObjectOnce) {
  static_cast<void>(read_object<le64>(memory, before(kBorder, 3)));

  ASSERT_EQ(memory.fetches().size(), 1u);
  EXPECT_EQ(memory.fetches().front().address, before(kBorder, 3));
  EXPECT_EQ(memory.fetches().front().length, 8u);
  EXPECT_EQ(memory.fetch_count(kBorder), 1u);
}

}  // namespace
}  // namespace guestproof
