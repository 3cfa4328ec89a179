#include "guestproof/kvm/dirty_ring.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "kvm/fake_kvm.h"
#include "print.h"

namespace guestproof::kvm {
namespace {

constexpr std::uint32_t kFree = 0;
constexpr std::uint32_t kDirty = 1;
constexpr std::uint32_t kReset = 2;

using Visit = std::function<void(const DirtyPage&)>;

/// A ring of eight entries as KVM has it: flags, slot, page in the slot.
class DirtyRingTest : public testing::Test {
 protected:
  [[nodiscard]] MappedSlice slice(std::size_t size) { return {bytes_.data(), size, nullptr, 0}; }
  [[nodiscard]] DirtyRing ring() { return *DirtyRing::over(slice(sizeof bytes_)); }
  void set_flags(std::size_t index, std::uint32_t flags) {
    slice(sizeof bytes_).store_release(16 * index, flags);
  }
  [[nodiscard]] std::uint32_t flags(std::size_t index) {
    return slice(sizeof bytes_).load_acquire<std::uint32_t>(16 * index);
  }
  void put(std::size_t index, std::uint32_t slot, std::uint64_t page) {
    slice(sizeof bytes_).write(16 * index + 4, Wire().u32(slot).u64(page).bytes());
    set_flags(index, kDirty);
  }

  alignas(8) std::array<std::byte, 8 * 16> bytes_{};
};

TEST_F(DirtyRingTest, HoldsAPowerOfTwoOfEntries) {
  EXPECT_EQ(DirtyRing::over(slice(16))->capacity(), 1U);
  EXPECT_EQ(DirtyRing::over(slice(128))->capacity(), 8U);
  for (const std::size_t size : {0U, 8U, 15U, 17U, 48U, 127U, 112U})
    EXPECT_EQ(DirtyRing::over(slice(size)).error(), Error(PageError::kDirtyRingSize, size, 16));
}

TEST_F(DirtyRingTest, AReaderThatTakesOverBeginsWhereTheOtherStopped) {
  put(0, 1, 5);
  put(1, 1, 6);
  auto first = ring();
  ASSERT_EQ(first.take(), (DirtyPage{1, 5}));
  auto second = *DirtyRing::over(slice(sizeof bytes_), first.next());
  EXPECT_EQ(second.take(), (DirtyPage{1, 6}));
  EXPECT_EQ(second.next(), 2U);
}

TEST_F(DirtyRingTest, AnEmptyRingHasNothing) {
  auto ring = this->ring();
  EXPECT_EQ(*ring.take(), std::nullopt);
  EXPECT_EQ(flags(0), kFree);
}

TEST_F(DirtyRingTest, TakesPagesInTheirOrderAndMarksThemForReset) {
  auto ring = this->ring();
  put(0, 0x10003, 0x123456789a);
  put(1, 2, 7);
  EXPECT_EQ(*ring.take(), (DirtyPage{0x10003, 0x123456789a}));
  EXPECT_EQ(flags(0), kReset);
  EXPECT_EQ(flags(1), kDirty);
  EXPECT_EQ(*ring.take(), (DirtyPage{2, 7}));
  EXPECT_EQ(*ring.take(), std::nullopt);
}

TEST_F(DirtyRingTest, PagesAreEqualInSlotAndPage) {
  EXPECT_EQ((DirtyPage{1, 2}), (DirtyPage{1, 2}));
  EXPECT_NE((DirtyPage{1, 2}), (DirtyPage{9, 2}));
  EXPECT_NE((DirtyPage{1, 2}), (DirtyPage{1, 9}));
}

TEST_F(DirtyRingTest, AnEntryThatComesLaterIsNotTakenBeforeTheOneThatIsDue) {
  auto ring = this->ring();
  put(1, 0, 1);
  EXPECT_EQ(*ring.take(), std::nullopt);
}

TEST_F(DirtyRingTest, GoesRoundAndStopsAtWhatWasNotGivenBack) {
  auto ring = this->ring();
  for (std::size_t i = 0; i < 8; ++i) put(i, 0, i);
  for (std::size_t i = 0; i < 8; ++i) ASSERT_EQ((*ring.take())->page, i);
  EXPECT_EQ(*ring.take(), std::nullopt);
  EXPECT_EQ(flags(0), kReset);
  set_flags(0, kFree);
  EXPECT_EQ(*ring.take(), std::nullopt);
  put(0, 0, 8);
  EXPECT_EQ((*ring.take())->page, 8U);
}

TEST_F(DirtyRingTest, OtherFlagsAreRefusedAndNothingIsTaken) {
  auto ring = this->ring();
  put(0, 1, 1);
  for (const std::uint32_t odd : {3U, 4U, 5U, 0x80000001U, 0xffffffffU}) {
    set_flags(0, odd);
    EXPECT_EQ(ring.take().error(), Error(PageError::kDirtyFlags, odd, 1));
    EXPECT_EQ(flags(0), odd);
  }
  set_flags(0, kDirty);
  EXPECT_EQ(*ring.take(), (DirtyPage{1, 1}));
}

TEST_F(DirtyRingTest, DrainGivesEveryPageThatIsThere) {
  auto ring = this->ring();
  put(0, 1, 10);
  put(1, 1, 11);
  std::vector<DirtyPage> pages;
  EXPECT_EQ(ring.drain(Visit([&](const DirtyPage& page) { pages.push_back(page); })), 2U);
  EXPECT_EQ(pages, (std::vector<DirtyPage>{{1, 10}, {1, 11}}));
  EXPECT_EQ(ring.drain(Visit([](const DirtyPage&) {})), 0U);
}

TEST_F(DirtyRingTest, DrainGivesThePagesBeforeARefusal) {
  auto ring = this->ring();
  put(0, 1, 10);
  set_flags(1, 8);
  std::size_t seen = 0;
  EXPECT_EQ(ring.drain(Visit([&](const DirtyPage&) { ++seen; })).error(),
            Error(PageError::kDirtyFlags, 8, 1));
  EXPECT_EQ(seen, 1U);
}

TEST_F(DirtyRingTest, DrainEndsWhateverIsWrittenMeanwhile) {
  auto ring = this->ring();
  for (std::size_t i = 0; i < 8; ++i) put(i, 0, i);
  const Visit dirty_again = [&](const DirtyPage& page) { put(page.page, 0, page.page); };
  EXPECT_EQ(ring.drain(dirty_again), 8U);
}

// The flags are the only words that both threads touch at the same time.
TEST_F(DirtyRingTest, TakesWhatAnotherThreadWrites) {
  constexpr std::uint64_t kPages = 20000;
  std::atomic<bool> given_up = false;
  std::thread kvm([&] {
    for (std::uint64_t n = 0; n < kPages; ++n) {
      while (flags(n % 8) == kDirty && !given_up) std::this_thread::yield();
      put(n % 8, 0, n);
    }
  });
  auto ring = this->ring();
  std::uint64_t in_order = 0;
  while (in_order < kPages) {
    const auto page = ring.take();
    if (!page || (*page && (*page)->page != in_order)) break;
    if (*page) ++in_order;
    if (!*page) std::this_thread::yield();
  }
  EXPECT_EQ(in_order, kPages);
  given_up = true;
  kvm.join();
}

}  // namespace
}  // namespace guestproof::kvm
