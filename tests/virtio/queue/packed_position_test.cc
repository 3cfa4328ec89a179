#include "guestproof/virtio/queue/packed_position.h"

#include <gtest/gtest.h>

namespace guestproof::virtio {
namespace {

/// What §2.8.1 says of the descriptor `n` after the first one of all.
PackedPosition counted(std::uint64_t n, std::uint16_t size) {
  const bool wrap_counter = n / size % 2 == 0;
  return PackedPosition(static_cast<std::uint16_t>(n % size + (wrap_counter ? 0x8000 : 0)));
}

TEST(PackedPositionTest, BeginsAtTheFirstDescriptorWithItsCounterAtOne) {
  EXPECT_EQ(PackedPosition().raw(), 0x8000u);
  EXPECT_EQ(PackedPosition().offset(), 0u);
  EXPECT_TRUE(PackedPosition().wrap());
}

class PackedPositionSizeTest : public ::testing::TestWithParam<std::uint16_t> {
 protected:
  const std::uint16_t size = GetParam();
};

TEST_P(PackedPositionSizeTest, CountsOnAndBackFromEveryPlace) {
  for (std::uint32_t n = 0; n < 2U * size; ++n)
    for (std::uint16_t step = 0; step <= size; ++step) {
      EXPECT_EQ(counted(n, size).plus(step, size), counted(n + step, size));
      EXPECT_EQ(counted(n + 2U * size, size).minus(step, size),
                counted(n + 2U * size - step, size));
    }
}

TEST_P(PackedPositionSizeTest, KnowsHowFarOneIsFromAnother) {
  for (std::uint32_t n = 0; n < 2U * size; ++n)
    for (std::uint32_t step = 0; step < 2U * size; ++step)
      EXPECT_EQ(counted(n + step, size).since(counted(n, size), size), step);
}

TEST_P(PackedPositionSizeTest, FindsAnEventAmongThoseThatWerePassed) {
  for (std::uint32_t next = 2U * size; next < 4U * size; ++next)
    for (std::uint32_t passed = 0; passed <= 2U * size; ++passed)
      for (std::uint32_t event = 0; event < 2U * size; ++event) {
        bool expected = false;
        for (std::uint32_t back = 1; back <= passed; ++back)
          expected |= (next - back) % (2U * size) == event;
        EXPECT_EQ(packed_event_passed(counted(event, size), counted(next, size), passed, size),
                  expected)
            << next << " " << passed << " " << event;
      }
}

TEST_P(PackedPositionSizeTest, TakesAnEventOutsideTheRingForPassed) {
  for (const int wrap : {0, 0x8000})
    for (const int offset : {int{size}, 0x7fff})
      EXPECT_TRUE(packed_event_passed(PackedPosition(static_cast<std::uint16_t>(offset | wrap)),
                                      counted(3, size), 1, size));
}

INSTANTIATE_TEST_SUITE_P(Small, PackedPositionSizeTest,
                         ::testing::Values<std::uint16_t>(1, 2, 3, 4, 5, 7));

TEST(PackedPositionTest, WorksInTheLargestRing) {
  constexpr std::uint16_t kSize = 32768;
  const PackedPosition last(0xffff);

  EXPECT_EQ(last.plus(1, kSize), PackedPosition(0));
  EXPECT_EQ(PackedPosition(0).minus(1, kSize), last);
  EXPECT_EQ(PackedPosition(0).since(PackedPosition(1), kSize), 65535u);
  EXPECT_EQ(last.plus(kSize, kSize), PackedPosition(0x7fff));
}

}  // namespace
}  // namespace guestproof::virtio
