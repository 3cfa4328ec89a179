#include "guestproof/testing/watched_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "guestproof/base/endian.h"
#include "print.h"

namespace guestproof::testing {

void PrintTo(const MemoryRange& range, std::ostream* out) {
  *out << std::hex << range.address.raw() << "+" << range.length;
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr GuestAddress kFirst{0x1000};
constexpr GuestAddress kBorder{0x2000};  // first and second region touch here
constexpr GuestAddress kReadOnly{0x8000};
constexpr GuestAddress kTop{UINT64_MAX - 0xfff};  // the last page of the address space

constexpr GuestAddress plus(GuestAddress address, std::uint64_t bytes) {
  return GuestAddress(address.raw() + bytes);
}

MATCHER_P2(Range, address, length, "") {
  return arg.address == address && arg.length == std::uint64_t{length};
}

class WatchedMemoryTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::uint8_t load(GuestAddress address) const {
    return read_object<std::uint8_t>(memory, address).value();
  }
  void guest_write(GuestAddress address, std::uint8_t value) const {
    ASSERT_TRUE(write_object(memory.guest(), address, value));
  }
  [[nodiscard]] std::uint8_t guest_read(GuestAddress address) const {
    return read_object<std::uint8_t>(memory.guest(), address).value();
  }

  static constexpr std::array kRegions{
      WatchedMemory::RegionSpec{kFirst, 0x1000},
      WatchedMemory::RegionSpec{kBorder, 0x1000},
      WatchedMemory::RegionSpec{kReadOnly, 0x1000, true},
      WatchedMemory::RegionSpec{kTop, 0x1000},
  };
  WatchedMemory memory{kRegions};
};

TEST_F(WatchedMemoryTest, IsZeroAndUnwatchedWhenNew) {
  EXPECT_EQ(guest_read(kFirst), 0u);
  EXPECT_THAT(memory.fetches(), IsEmpty());
  EXPECT_THAT(memory.writes(), IsEmpty());
}

TEST_F(WatchedMemoryTest, CountsTheFetchesOfEveryByte) {
  static_cast<void>(read_object<le32>(memory, kFirst));
  static_cast<void>(read_object<le16>(memory, plus(kFirst, 3)));

  EXPECT_EQ(memory.fetch_count(plus(kFirst, 2)), 1u);
  EXPECT_EQ(memory.fetch_count(plus(kFirst, 3)), 2u);
  EXPECT_EQ(memory.fetch_count(plus(kFirst, 4)), 1u);
  EXPECT_EQ(memory.fetch_count(plus(kFirst, 5)), 0u);
}

TEST_F(WatchedMemoryTest, KnowsWhatItGaveForSystemCalls) {
  const auto a = memory.find(kFirst, 16, Access::kWrite).value().io_source();
  const auto b = memory.find(plus(kFirst, 0x100), 16, Access::kWrite).value().io_source();
  auto part = b;
  part.iov_base = static_cast<std::byte*>(b.iov_base) + 15;
  part.iov_len = 1;
  EXPECT_EQ(memory.first_not_given(std::array{a, b, part, a}, Access::kRead), std::nullopt);
  EXPECT_EQ(memory.first_not_given(std::array{a, b}, Access::kWrite), 0u);
  part.iov_len = 2;
  EXPECT_EQ(memory.first_not_given(std::array{a, b, part, a}, Access::kRead), 2u);

  memory.clear_log();
  EXPECT_EQ(memory.first_not_given(std::array{a}, Access::kRead), 0u);
}

TEST_F(WatchedMemoryTest, DoesNotTakeTheGuestsSlicesForTheDevices) {
  const auto part = memory.guest().find(kFirst, 16, Access::kWrite).value().io_target();
  EXPECT_EQ(memory.first_not_given(std::array{part}, Access::kWrite), 0u);
}

TEST_F(WatchedMemoryTest, CountsEveryKindOfFetch) {
  const auto slice = memory.find(kFirst, 16, Access::kRead).value();
  std::array<std::byte, 16> out;

  static_cast<void>(slice.load<std::uint64_t>(0));
  static_cast<void>(slice.load_acquire<std::uint16_t>(0));
  slice.read(0, out);
  static_cast<void>(slice.io_source());

  EXPECT_EQ(memory.fetch_count(kFirst), 4u);
  EXPECT_EQ(memory.fetch_count(plus(kFirst, 15)), 2u);
}

TEST_F(WatchedMemoryTest, StopsCountingAt255) {
  for (int i = 0; i < 300; ++i) static_cast<void>(load(kFirst));

  EXPECT_EQ(memory.fetch_count(kFirst), 255u);
}

TEST_F(WatchedMemoryTest, CountsNothingOutsideMemory) {
  EXPECT_EQ(memory.fetch_count(GuestAddress(0x666)), 0u);
}

TEST_F(WatchedMemoryTest, DoesNotCountWritesAsFetches) {
  ASSERT_TRUE(write_object(memory, kFirst, le32(1)));
  EXPECT_EQ(memory.fetch_count(kFirst), 0u);
}

TEST_F(WatchedMemoryTest, LogsEveryKindOfWrite) {
  const auto slice = memory.find(kFirst, 0x200, Access::kWrite).value();

  slice.store(0, le32(1));
  slice.store_release(0x10, std::uint16_t{1});
  slice.write(0x20, std::as_bytes(std::span("bytes")));
  slice.fill(0x30, 3, std::byte{1});
  static_cast<void>(slice.subslice(0x40, 8).io_target());

  EXPECT_THAT(
      memory.writes(),
      ElementsAre(Range(kFirst, 4u), Range(plus(kFirst, 0x10), 2u), Range(plus(kFirst, 0x20), 6u),
                  Range(plus(kFirst, 0x30), 3u), Range(plus(kFirst, 0x40), 8u)));
}

TEST_F(WatchedMemoryTest, JoinsAccessesThatGoOnWhereTheLastEnded) {
  static_cast<void>(load(kFirst));
  static_cast<void>(load(plus(kFirst, 1)));
  static_cast<void>(load(plus(kFirst, 3)));
  static_cast<void>(load(plus(kFirst, 2)));

  EXPECT_THAT(memory.fetches(), ElementsAre(Range(kFirst, 2u), Range(plus(kFirst, 3), 1u),
                                            Range(plus(kFirst, 2), 1u)));
}

TEST_F(WatchedMemoryTest, JoinsAnAccessThatRunsAcrossABorder) {
  ASSERT_TRUE(write_object(memory, GuestAddress(kBorder.raw() - 3), le64(1)));

  EXPECT_THAT(memory.writes(), ElementsAre(Range(GuestAddress(kBorder.raw() - 3), 8u)));
}

TEST_F(WatchedMemoryTest, ForgetsLogAndCountsButNoBytes) {
  ASSERT_TRUE(write_object(memory, kFirst, le32(7)));
  static_cast<void>(read_object<le64>(memory, GuestAddress(kBorder.raw() - 3)));

  memory.clear_log();

  EXPECT_THAT(memory.fetches(), IsEmpty());
  EXPECT_THAT(memory.writes(), IsEmpty());
  EXPECT_EQ(memory.fetch_count(GuestAddress(kBorder.raw() - 1)), 0u);
  EXPECT_EQ(memory.fetch_count(kBorder), 0u);
  EXPECT_EQ(guest_read(kFirst), 7u);
}

// The end of a region that ends where the address space does is 2^64: it wrapped to 0, and the
// counts there were never cleared.
TEST_F(WatchedMemoryTest, ForgetsCountsOfTheLastBytesOfTheAddressSpace) {
  static_cast<void>(read_object<le64>(memory, GuestAddress(UINT64_MAX - 7)));
  ASSERT_EQ(memory.fetch_count(GuestAddress(UINT64_MAX)), 1u);

  memory.clear_log();

  EXPECT_EQ(memory.fetch_count(GuestAddress(UINT64_MAX)), 0u);
}

TEST_F(WatchedMemoryTest, FindsAWrittenPageThatIsNotMarked) {
  ASSERT_TRUE(write_object(memory, plus(kFirst, 0x10), le32(1)));
  const std::array written{MemoryRange{plus(kFirst, 0x20), 4}, MemoryRange{kTop, 1}};

  EXPECT_EQ(memory.first_unmarked(memory.writes()), std::nullopt);
  EXPECT_EQ(memory.first_unmarked(written), kTop);
}

TEST_F(WatchedMemoryTest, FindsTheSecondPageOfARangeAcrossABorder) {
  ASSERT_TRUE(write_object(memory, kFirst, le32(1)));
  const std::array written{MemoryRange{GuestAddress(kBorder.raw() - 3), 8}};

  EXPECT_EQ(memory.first_unmarked(written), kBorder);
}

// What a system call may write counts as written, and is marked when it has been.
TEST_F(WatchedMemoryTest, MarksWhatASystemCallWroteAfterIt) {
  const auto slice = memory.find(kFirst, 8, Access::kWrite).value();
  static_cast<void>(slice.io_target());
  EXPECT_EQ(memory.first_unmarked(memory.writes()), kFirst);

  slice.written_by_io();

  EXPECT_EQ(memory.first_unmarked(memory.writes()), std::nullopt);
}

TEST_F(WatchedMemoryTest, FindsAMarkThatNoWriteAccountsFor) {
  const auto slice = memory.find(kBorder, 8, Access::kWrite).value();
  slice.store(0, le32(1));
  EXPECT_EQ(memory.first_marked_unwritten(), std::nullopt);
  memory.clear_log();

  slice.written_by_io();

  EXPECT_EQ(memory.first_marked_unwritten(), kBorder);
}

TEST_F(WatchedMemoryTest, GuestMarksNoPage) {
  guest_write(kFirst, 7);
  EXPECT_EQ(memory.first_marked_unwritten(), std::nullopt);
}

TEST_F(WatchedMemoryTest, GuestIsNeitherCountedNorLogged) {
  guest_write(kFirst, 7);

  EXPECT_EQ(guest_read(kFirst), 7u);
  EXPECT_EQ(memory.fetch_count(kFirst), 0u);
  EXPECT_THAT(memory.fetches(), IsEmpty());
  EXPECT_THAT(memory.writes(), IsEmpty());
}

TEST_F(WatchedMemoryTest, GuestWritesWhereTheDeviceMayNot) {
  guest_write(kReadOnly, 7);

  EXPECT_EQ(load(kReadOnly), 7u);
  EXPECT_EQ(memory.find(kReadOnly, 1, Access::kWrite).error(), MemoryError::kReadOnly);
}

TEST_F(WatchedMemoryTest, RaceChangesTheByteAtItsSecondFetch) {
  guest_write(kFirst, 1);
  memory.add_race({.address = kFirst, .nth = 2, .value = std::byte{9}});

  EXPECT_EQ(load(kFirst), 1u);
  EXPECT_EQ(load(kFirst), 9u);
  EXPECT_EQ(load(kFirst), 9u);
}

TEST_F(WatchedMemoryTest, RaceAtTheFirstFetchIsSeenByIt) {
  memory.add_race({.address = plus(kFirst, 2), .nth = 1, .value = std::byte{9}});

  EXPECT_EQ(read_object<le32>(memory, kFirst).value(), 0x00090000u);
}

TEST_F(WatchedMemoryTest, RaceIgnoresFetchesBesideItAndTheGuestsOwn) {
  memory.add_race({.address = plus(kFirst, 4), .nth = 1, .value = std::byte{9}});

  static_cast<void>(read_object<le32>(memory, kFirst));
  static_cast<void>(read_object<le32>(memory, plus(kFirst, 5)));

  EXPECT_EQ(guest_read(plus(kFirst, 4)), 0u);
}

TEST_F(WatchedMemoryTest, RacesOfOneByteHappenInTheirOrder) {
  memory.add_race({.address = kFirst, .nth = 1, .value = std::byte{1}});
  memory.add_race({.address = kFirst, .nth = 2, .value = std::byte{2}});

  EXPECT_EQ(load(kFirst), 1u);
  EXPECT_EQ(load(kFirst), 2u);
}

TEST_F(WatchedMemoryTest, RaceHappensOnceSoThatTheGuestMayWriteAgain) {
  memory.add_race({.address = kFirst, .nth = 1, .value = std::byte{9}});
  static_cast<void>(load(kFirst));
  guest_write(kFirst, 3);

  EXPECT_EQ(load(kFirst), 3u);
}

TEST_F(WatchedMemoryTest, ResetZeroesWhatDeviceGuestAndRaceTouched) {
  guest_write(kReadOnly, 1);
  ASSERT_TRUE(write_object(memory, kBorder, le32(1)));
  memory.add_race({.address = kTop, .nth = 1, .value = std::byte{9}});
  static_cast<void>(load(kTop));

  memory.reset();

  EXPECT_EQ(guest_read(kReadOnly), 0u);
  EXPECT_EQ(guest_read(kBorder), 0u);
  EXPECT_EQ(guest_read(kTop), 0u);
  EXPECT_EQ(memory.fetch_count(kTop), 0u);
  EXPECT_THAT(memory.writes(), IsEmpty());
}

TEST_F(WatchedMemoryTest, ResetZeroesBothBlocksOfAWriteAcrossTheirBorder) {
  ASSERT_TRUE(write_object(memory, plus(kFirst, WatchedMemory::kBlock - 2), le32(0xffffffff)));

  memory.reset();

  EXPECT_EQ(guest_read(plus(kFirst, WatchedMemory::kBlock - 1)), 0u);
  EXPECT_EQ(guest_read(plus(kFirst, WatchedMemory::kBlock)), 0u);
}

TEST_F(WatchedMemoryTest, ResetDisarmsRaces) {
  memory.add_race({.address = kFirst, .nth = 1, .value = std::byte{9}});

  memory.reset();

  EXPECT_EQ(load(kFirst), 0u);
}

// A limit that was armed when an oracle ended the program went on into the next one.
TEST_F(WatchedMemoryTest, ResetDisarmsTheLimitOfSteps) {
  memory.limit_steps(0, [] { throw 7; });

  memory.reset();

  EXPECT_EQ(load(kFirst), 0u);
}

TEST_F(WatchedMemoryTest, EqualsItsTwin) {
  const WatchedMemory twin(kRegions);
  guest_write(kFirst, 1);
  ASSERT_TRUE(write_object(twin, kFirst, std::uint8_t{1}));

  EXPECT_EQ(memory.first_difference(twin), std::nullopt);
}

TEST_F(WatchedMemoryTest, FindsADifferenceInABlockThatOnlyOneTouched) {
  const WatchedMemory twin(kRegions);
  guest_write(plus(kBorder, 5), 1);

  EXPECT_EQ(memory.first_difference(twin), plus(kBorder, 5));
  EXPECT_EQ(twin.first_difference(memory), plus(kBorder, 5));
}

// The blocks that this memory had touched were all compared before the other's.
TEST_F(WatchedMemoryTest, FindsTheFirstDifferenceWhoeverTouchedIt) {
  const WatchedMemory twin(kRegions);
  guest_write(plus(kFirst, 0x100), 1);
  ASSERT_TRUE(write_object(twin, plus(kFirst, 3), std::uint8_t{1}));

  EXPECT_EQ(memory.first_difference(twin), plus(kFirst, 3));
  EXPECT_EQ(twin.first_difference(memory), plus(kFirst, 3));
}

TEST_F(WatchedMemoryTest, FindsWhatTheDeviceFetchedMoreOften) {
  const WatchedMemory twin(kRegions);
  static_cast<void>(read_object<le32>(twin, kFirst));
  static_cast<void>(read_object<le32>(memory, kFirst));
  EXPECT_EQ(memory.first_excess_fetch(twin), std::nullopt);

  static_cast<void>(load(plus(kFirst, 2)));

  EXPECT_EQ(memory.first_excess_fetch(twin), plus(kFirst, 2));
  EXPECT_EQ(twin.first_excess_fetch(memory), std::nullopt);
}

TEST_F(WatchedMemoryTest, FindsAnExcessFetchAtTheEndOfTheAddressSpace) {
  const WatchedMemory twin(kRegions);
  static_cast<void>(load(GuestAddress(UINT64_MAX)));

  EXPECT_EQ(memory.first_excess_fetch(twin), GuestAddress(UINT64_MAX));
}

TEST_F(WatchedMemoryTest, InterruptsADeviceThatPassesItsSteps) {
  memory.limit_steps(2, [] { throw 7; });
  static_cast<void>(load(kFirst));
  ASSERT_TRUE(write_object(memory, kFirst, std::uint8_t{1}));

  EXPECT_THROW(static_cast<void>(load(kFirst)), int);
}

TEST_F(WatchedMemoryTest, InterruptsOnceSoThatTheDeviceCanCleanUp) {
  memory.limit_steps(0, [] { throw 7; });
  EXPECT_THROW(static_cast<void>(load(kFirst)), int);

  EXPECT_EQ(load(kFirst), 0u);
}

using WatchedMemoryDeathTest = WatchedMemoryTest;

TEST_F(WatchedMemoryDeathTest, StopsAnAccessPastTheEndOfItsSlice) {
  const auto slice = memory.find(kFirst, 4, Access::kRead).value();
  EXPECT_DEATH(static_cast<void>(slice.load<std::uint32_t>(1)), "invariant broken: range_within");
  EXPECT_DEATH(static_cast<void>(slice.subslice(4, 1)), "invariant broken: range_within");
}

// What a back end does with a wrong length, on either side.
TEST_F(WatchedMemoryDeathTest, StopsAnOverrunOfARegion) {
  const auto all = memory.find(kReadOnly, 0x1000, Access::kRead).value().io_source();
  auto* first = static_cast<volatile std::byte*>(all.iov_base);
  EXPECT_DEATH(first[all.iov_len] = std::byte{1}, "");
  EXPECT_DEATH(static_cast<void>(first[-1]), "");
}

TEST_F(WatchedMemoryDeathTest, RefusesRegionsThatOverlapInEitherOrder) {
  constexpr std::array kLowFirst{WatchedMemory::RegionSpec{kFirst, 0x2000},
                                 WatchedMemory::RegionSpec{plus(kFirst, 0x1000), 0x2000}};
  constexpr std::array kHighFirst{kLowFirst[1], kLowFirst[0]};
  EXPECT_DEATH(WatchedMemory{kLowFirst}, "invariant broken");
  EXPECT_DEATH(WatchedMemory{kHighFirst}, "invariant broken");
}

}  // namespace
}  // namespace guestproof::testing
