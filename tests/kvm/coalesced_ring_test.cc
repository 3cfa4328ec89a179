#include "guestproof/kvm/coalesced_ring.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "kvm/fake_kvm.h"
#include "print.h"

namespace guestproof::kvm {
namespace {

constexpr std::size_t kPage = 4096;
/// (4096 - 8) / 24, as KVM_COALESCED_MMIO_MAX.
constexpr std::uint32_t kCapacity = 170;

/// A page as KVM has it: first, last, then entries of address, length, port?, eight bytes.
class CoalescedRingTest : public testing::Test {
 protected:
  [[nodiscard]] MappedSlice slice(std::size_t size = kPage) {
    return {bytes_.data(), size, nullptr, 0};
  }
  [[nodiscard]] CoalescedRing ring() { return *CoalescedRing::over(slice()); }
  void set_first(std::uint32_t index) { slice().store(0, index); }
  void set_last(std::uint32_t index) { slice().store_release(4, index); }
  [[nodiscard]] std::uint32_t first() { return slice().load_acquire<std::uint32_t>(0); }
  void put(std::uint32_t index, std::uint64_t address, std::uint32_t length,
           std::uint32_t pio = 0) {
    slice().write(8 + 24 * index,
                  Wire().u64(address).u32(length).u32(pio).u64(0x8877665544332211).bytes());
  }
  /// Refused, and nothing is taken or changed.
  void refuses(const Error& error) {
    const auto before = bytes_;
    EXPECT_EQ(ring().take().error(), error);
    EXPECT_EQ(bytes_, before);
  }

  alignas(8) std::array<std::byte, kPage> bytes_{};
};

TEST_F(CoalescedRingTest, HasRoomForAsManyEntriesAsFitIntoThePage) {
  EXPECT_EQ(ring().capacity(), kCapacity);
  EXPECT_EQ(CoalescedRing::over(slice(8 + 24))->capacity(), 1U);
  EXPECT_EQ(CoalescedRing::over(slice(8 + 47))->capacity(), 1U);
  EXPECT_EQ(CoalescedRing::over(slice(8 + 48))->capacity(), 2U);
}

TEST_F(CoalescedRingTest, APageWithoutRoomForOneEntryIsRefused) {
  EXPECT_EQ(CoalescedRing::over(slice(31)).error(), Error(PageError::kRingLength, 31, 32));
  EXPECT_EQ(CoalescedRing::over(slice(0)).error(), Error(PageError::kRingLength, 0, 32));
}

TEST_F(CoalescedRingTest, AnEmptyRingHasNothing) {
  EXPECT_EQ(*ring().take(), std::nullopt);
  set_first(kCapacity - 1);
  set_last(kCapacity - 1);
  EXPECT_EQ(*ring().take(), std::nullopt);
  EXPECT_EQ(first(), kCapacity - 1);
}

TEST_F(CoalescedRingTest, TakesWritesInTheirOrder) {
  put(0, 0xd0000010, 4);
  put(1, 0x70, 1, 1);
  set_last(2);
  const auto mmio = *ring().take();
  ASSERT_TRUE(mmio.has_value());
  EXPECT_EQ(mmio->address, 0xd0000010U);
  EXPECT_FALSE(mmio->pio);
  EXPECT_TRUE(std::ranges::equal(mmio->data(), Wire().u32(0x44332211).bytes()));
  EXPECT_EQ(first(), 1U);
  const auto port = *ring().take();
  EXPECT_EQ(port, (CoalescedWrite{0x70, {std::byte{0x11}}, 1, true}));
  EXPECT_EQ(*ring().take(), std::nullopt);
  EXPECT_EQ(first(), 2U);
}

TEST_F(CoalescedRingTest, WritesAreEqualInEveryMember) {
  const CoalescedWrite write{0x70, {std::byte{0x11}}, 1, true};
  EXPECT_EQ(write, CoalescedWrite(write));
  EXPECT_NE(write, (CoalescedWrite{0x71, {std::byte{0x11}}, 1, true}));
  EXPECT_NE(write, (CoalescedWrite{0x70, {std::byte{0x12}}, 1, true}));
  EXPECT_NE(write, (CoalescedWrite{0x70, {std::byte{0x11}}, 2, true}));
  EXPECT_NE(write, (CoalescedWrite{0x70, {std::byte{0x11}}, 1, false}));
}

TEST_F(CoalescedRingTest, BytesBehindAWriteAreNotHandedOut) {
  put(0, 0, 3);
  set_last(1);
  const auto write = *ring().take();
  EXPECT_EQ(write->data().size(), 3U);
  EXPECT_EQ(write->bytes[2], std::byte{0x33});
  EXPECT_EQ(write->bytes[3], std::byte{0});
}

TEST_F(CoalescedRingTest, AFullRingGivesOneLessThanItsCapacity) {
  set_first(5);
  for (std::uint32_t i = 0; i < kCapacity; ++i) put(i, i, 8);
  set_last(4);
  for (std::uint32_t i = 0; i < kCapacity - 1; ++i)
    ASSERT_EQ((*ring().take())->address, (5 + i) % kCapacity);
  EXPECT_EQ(*ring().take(), std::nullopt);
}

TEST_F(CoalescedRingTest, FirstWrapsAround) {
  set_first(kCapacity - 1);
  set_last(0);
  put(kCapacity - 1, 0x1234, 2);
  EXPECT_EQ((*ring().take())->address, 0x1234U);
  EXPECT_EQ(first(), 0U);
}

TEST_F(CoalescedRingTest, IndicesOutsideTheRingAreRefused) {
  set_first(kCapacity);
  refuses(Error(PageError::kRingIndex, kCapacity, kCapacity));
  set_first(0xffffffff);
  refuses(Error(PageError::kRingIndex, 0xffffffff, kCapacity));
  set_first(0);
  set_last(kCapacity);
  refuses(Error(PageError::kRingIndex, kCapacity, kCapacity));
  set_last(0xffffffff);
  refuses(Error(PageError::kRingIndex, 0xffffffff, kCapacity));
}

TEST_F(CoalescedRingTest, LengthsThatAWriteCannotHaveAreRefused) {
  set_last(1);
  for (const std::uint32_t length : {0U, 9U, 0xffffffffU}) {
    put(0, 0x1000, length);
    refuses(Error(PageError::kMmioLength, length, 8));
  }
  for (const std::uint32_t length : {1U, 8U}) {
    set_first(0);
    put(0, 0x1000, length);
    EXPECT_EQ((*ring().take())->length, length);
  }
}

// The indices are the only words that both threads touch at the same time.
TEST_F(CoalescedRingTest, TakesWhatAnotherThreadQueues) {
  constexpr std::uint64_t kWrites = 20000;
  std::atomic<bool> given_up = false;
  std::thread kvm([&] {
    for (std::uint64_t n = 0; n < kWrites; ++n) {
      const auto at = static_cast<std::uint32_t>(n % kCapacity);
      const auto next = (at + 1) % kCapacity;
      while (first() == next && !given_up) std::this_thread::yield();
      put(at, n, 8);
      set_last(next);
    }
  });
  std::uint64_t in_order = 0;
  while (in_order < kWrites) {
    const auto write = ring().take();
    if (!write || (*write && (*write)->address != in_order)) break;
    if (*write) ++in_order;
    if (!*write) std::this_thread::yield();
  }
  EXPECT_EQ(in_order, kWrites);
  given_up = true;
  kvm.join();
}

}  // namespace
}  // namespace guestproof::kvm
