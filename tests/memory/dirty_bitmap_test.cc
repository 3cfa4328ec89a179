#include "guestproof/memory/dirty_bitmap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace guestproof {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

constexpr auto kPage = DirtyBitmap::kPageSize;

TEST(DirtyBitmapTest, IsCleanWhenNew) {
  DirtyBitmap bitmap(3 * kPage);

  EXPECT_EQ(bitmap.pages(), 3u);
  EXPECT_THAT(bitmap.take(), ElementsAre(0u));
}

TEST(DirtyBitmapTest, CountsAPartOfAPageAsAPage) {
  EXPECT_EQ(DirtyBitmap(kPage - 1).pages(), 1u);
  EXPECT_EQ(DirtyBitmap(kPage + 1).pages(), 2u);
}

TEST(DirtyBitmapTest, MarksThePageOfOneByteOnly) {
  DirtyBitmap bitmap(4 * kPage);

  bitmap.mark(2 * kPage - 1, 1);

  EXPECT_FALSE(bitmap.is_dirty(0));
  EXPECT_TRUE(bitmap.is_dirty(1));
  EXPECT_FALSE(bitmap.is_dirty(2));
}

TEST(DirtyBitmapTest, MarksEveryPageThatARangeTouches) {
  DirtyBitmap bitmap(6 * kPage);

  bitmap.mark(2 * kPage - 1, kPage + 2);

  EXPECT_THAT(bitmap.take(), ElementsAre(0b1110u));
}

TEST(DirtyBitmapTest, MarksNothingForAnEmptyRangeEvenAtTheEnd) {
  DirtyBitmap bitmap(2 * kPage);

  bitmap.mark(0, 0);
  bitmap.mark(2 * kPage, 0);

  EXPECT_THAT(bitmap.take(), ElementsAre(0u));
}

TEST(DirtyBitmapTest, GoesOnInTheNextWordAfter64Pages) {
  DirtyBitmap bitmap(130 * kPage);

  bitmap.mark(63 * kPage, 2 * kPage);
  bitmap.mark(129 * kPage, kPage);

  EXPECT_THAT(bitmap.take(), ElementsAre(1ULL << 63, 1u, 0b10u));
}

TEST(DirtyBitmapTest, IsCleanAfterTakeAndDirtyAgainAfterTheNextMark) {
  DirtyBitmap bitmap(kPage);
  bitmap.mark(0, 1);
  bitmap.mark(0, 1);

  EXPECT_THAT(bitmap.take(), ElementsAre(1u));
  EXPECT_THAT(bitmap.take(), ElementsAre(0u));
  bitmap.mark(0, 1);
  EXPECT_THAT(bitmap.take(), ElementsAre(1u));
}

TEST(DirtyBitmapTest, IsCleanAfterClearInEveryWord) {
  DirtyBitmap bitmap(130 * kPage);
  bitmap.mark(0, 130 * kPage);

  bitmap.clear();

  EXPECT_THAT(bitmap.take(), ElementsAre(0u, 0u, 0u));
}

TEST(DirtyBitmapTest, LosesNoMarkOfTwoThreadsInOneWord) {
  DirtyBitmap bitmap(64 * kPage);
  const auto mark_every_other = [&](std::size_t first) {
    for (auto page = first; page < 64; page += 2) bitmap.mark(page * kPage, 1);
  };

  std::thread odd(mark_every_other, 1);
  mark_every_other(0);
  odd.join();

  EXPECT_THAT(bitmap.take(), Each(~std::uint64_t{0}));
}

// A mark that found its page dirty already once skipped the atomic write. The bit could then be
// taken, and the page copied, before the bytes it stood for were visible: they were never copied.
TEST(DirtyBitmapTest, WhoeverTakesAMarkSeesTheBytesItStandsFor) {
  constexpr std::uint32_t kRounds = 50'000;
  constexpr std::uint32_t kLongestPause = 1024;
  DirtyBitmap bitmap(kPage);
  // A cache line each: what one thread writes is slow for the other to see.
  alignas(64) std::atomic<std::uint32_t> page{0};
  alignas(64) std::atomic<std::uint32_t> started{0};
  alignas(64) std::atomic<std::uint32_t> finished{0};
  std::thread device([&] {
    for (std::uint32_t round = 1; round <= kRounds; ++round) {
      while (started.load() != round) std::this_thread::yield();
      page.store(round, std::memory_order_relaxed);
      bitmap.mark(0, 1);
      finished.store(round);
    }
  });

  std::uint32_t copy = 0;
  std::uint32_t stale_copies = 0;
  const auto copy_if_dirty = [&] {
    if (bitmap.take().front() != 0) copy = page.load(std::memory_order_relaxed);
  };
  for (std::uint32_t round = 1; round <= kRounds; ++round) {
    bitmap.mark(0, 1);
    started.store(round);
    // The pauses of different lengths bring the first take() close to the device's mark().
    for (std::uint32_t pause = round % kLongestPause; pause != 0; --pause) asm volatile("");
    copy_if_dirty();
    while (finished.load() != round) std::this_thread::yield();
    copy_if_dirty();
    stale_copies += copy != round;
  }
  device.join();

  EXPECT_EQ(stale_copies, 0u);
}

}  // namespace
}  // namespace guestproof
