#include "guestproof/loader/image.h"

#include "support.h"

namespace guestproof::loader {
namespace {

constexpr GuestRange range(std::uint64_t base, std::uint64_t size) {
  return {GuestAddress(base), size};
}

TEST(GuestRangeTest, OverlapsInBothOrders) {
  EXPECT_TRUE(overlap(range(10, 5), range(14, 1)));
  EXPECT_TRUE(overlap(range(14, 1), range(10, 5)));
  EXPECT_TRUE(overlap(range(10, 5), range(10, 1)));
  EXPECT_FALSE(overlap(range(10, 5), range(15, 1)));
  EXPECT_FALSE(overlap(range(15, 1), range(10, 5)));
  EXPECT_FALSE(overlap(range(10, 5), range(12, 0)));
  EXPECT_FALSE(overlap(range(12, 0), range(10, 5)));
  EXPECT_TRUE(overlap(range(UINT64_MAX, 1), range(UINT64_MAX - 1, 2)));
}

TEST(GuestRangeTest, ZerosGoOverBordersOfRegions) {
  const auto memory = MappedMemory::Builder()
                          .anonymous(GuestAddress(0), 0x1000)
                          .anonymous(GuestAddress(0x1000), 0x1000)
                          .build()
                          .value();
  fill(memory, 0xee);
  ASSERT_TRUE(write_zeros(memory, range(0xfff, 2)));
  EXPECT_EQ(read(memory, 0xffe, 4), (Image{0xee, 0, 0, 0xee}));
  EXPECT_EQ(check_ram(memory, range(0x1fff, 2)).error().as<MemoryError>(), MemoryError::kUnmapped);
}

}  // namespace
}  // namespace guestproof::loader
