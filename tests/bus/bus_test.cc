#include "guestproof/bus/bus.h"

#include <gtest/gtest.h>

#include <vector>

#include "access.h"
#include "count_allocations.h"
#include "print.h"

namespace guestproof {
namespace {

enum class NotedError : std::uint16_t { kOdd };
const ErrorDomain& error_domain(NotedError) {
  static constexpr std::array kEntries{ErrorEntry{NotedError::kOdd, "odd", "{value} is odd"}};
  static constexpr ErrorDomain kDomain{"noted", kEntries};
  return kDomain;
}

/// Answers with its number, and refuses odd offsets.
class NotingDevice : public BusDevice {
 public:
  explicit NotingDevice(std::uint64_t answer) : answer_(answer) {}

  Result<void> read(std::uint64_t offset, std::span<std::byte> data) override {
    last_offset = offset;
    store(data, answer_);
    return result(offset);
  }
  Result<void> write(std::uint64_t offset, std::span<const std::byte> data) override {
    last_offset = offset;
    written = load(data);
    return result(offset);
  }

  std::uint64_t last_offset = UINT64_MAX;
  std::uint64_t written = 0;

 private:
  static Result<void> result(std::uint64_t offset) {
    if (offset % 2 != 0) return fail(NotedError::kOdd, offset);
    return {};
  }
  std::uint64_t answer_;
};

class BusTest : public ::testing::Test {
 protected:
  Answer read(std::uint64_t address, std::size_t width) {
    return answer(width, [&](auto data) { return bus.read(address, data); });
  }
  Result<void> write(std::uint64_t address, std::size_t width, std::uint64_t value) {
    return bus.write(address, bytes_of(value, width));
  }

  NotingDevice low{0x1111'1111'1111'1111}, next{0x2222'2222'2222'2222}, top{0x3333};
  Bus bus = Bus::Builder(AddressSpace::kMemory)
                .add(0x2000, 0x1000, next)
                .add(0x1000, 0x1000, low)
                .add(0xffff'ffff'ffff'fff0, 16, top)
                .build()
                .value();
};

TEST_F(BusTest, AnAccessReachesItsDeviceWithTheOffsetInTheRange) {
  EXPECT_EQ(read(0x1ffc, 4), (Answer{0x1111'1111}));
  EXPECT_EQ(low.last_offset, 0xffc);
  EXPECT_EQ(read(0x2000, 8), (Answer{0x2222'2222'2222'2222}));
  EXPECT_EQ(next.last_offset, 0);
  EXPECT_EQ(read(0xffff'ffff'ffff'fffe, 2), (Answer{0x3333}));
  EXPECT_EQ(top.last_offset, 14);
  EXPECT_TRUE(write(0x1008, 2, 0xabcd));
  EXPECT_EQ(low.last_offset, 8);
  EXPECT_EQ(low.written, 0xabcd);
}

TEST_F(BusTest, ADevicesRefusalComesBackWithItsAnswer) {
  EXPECT_EQ(read(0x1001, 1), (Answer{0x11, Error(NotedError::kOdd, 1)}));
  EXPECT_EQ(write(0x2003, 1, 5).error(), Error(NotedError::kOdd, 3));
}

TEST_F(BusTest, WhereNothingIsAllOnesAreRead) {
  EXPECT_EQ(read(0xfff, 1), (Answer{0xff, Error(BusError::kUnmapped, 0xfff, 1)}));
  EXPECT_EQ(read(0x3000, 4), (Answer{0xffff'ffff, Error(BusError::kUnmapped, 0x3000, 4)}));
  EXPECT_EQ(write(0, 8, 1).error(), Error(BusError::kUnmapped, 0, 8));
  EXPECT_EQ(low.last_offset, UINT64_MAX);
}

TEST_F(BusTest, AnAccessOverARangesEndIsForNobody) {
  EXPECT_EQ(read(0x1ffd, 4), (Answer{0xffff'ffff, Error(BusError::kRangeEnd, 0x1ffd, 0x1fff)}));
  EXPECT_EQ(read(0xffe, 4), (Answer{0xffff'ffff, Error(BusError::kUnmapped, 0xffe, 4)}));
  EXPECT_EQ(write(0x2fff, 2, 1).error(), Error(BusError::kRangeEnd, 0x2fff, 0x2fff));
  EXPECT_EQ(read(UINT64_MAX, 2),
            (Answer{0xffff, Error(BusError::kRangeEnd, UINT64_MAX, UINT64_MAX)}));
  EXPECT_EQ(low.last_offset, UINT64_MAX);
  EXPECT_EQ(next.last_offset, UINT64_MAX);
}

TEST_F(BusTest, AWidthThatNoProcessorHasIsRefused) {
  EXPECT_EQ(read(0x1000, 0), (Answer{0, Error(BusError::kWidth, 0, 8)}));
  EXPECT_EQ(read(0x1000, 9).error, Error(BusError::kWidth, 9, 8));
  EXPECT_EQ(bus.write(0x1000, {}).error(), Error(BusError::kWidth, 0, 8));
}

TEST_F(BusTest, AccessesAllocateNothing) {
  std::array<std::byte, 4> data{};
  const auto before = allocations;
  for (std::uint64_t address = 0; address < 0x4000; ++address) {
    static_cast<void>(bus.read(address, data));
    static_cast<void>(bus.write(address, data));
  }
  EXPECT_EQ(allocations, before);
}

TEST(BusBuilderTest, RefusesRangesThatMeetAndNamesBoth) {
  NotingDevice device(0);
  const auto refusal = [&](std::uint64_t base, std::uint64_t size) {
    return Bus::Builder(AddressSpace::kPorts)
        .add(0x60, 5, device)
        .add(0x3f8, 8, device)
        .add(base, size, device)
        .build()
        .error();
  };
  EXPECT_EQ(refusal(0x3f8, 8), Error(BusBuildError::kOverlap, 0x3f8, 0x3f8));
  EXPECT_EQ(refusal(0x64, 1), Error(BusBuildError::kOverlap, 0x64, 0x60));
  EXPECT_EQ(refusal(0, 0x10000), Error(BusBuildError::kOverlap, 0, 0x3f8));
  EXPECT_EQ(refusal(0x70, 0), Error(BusBuildError::kEmpty, 0x70));
  EXPECT_EQ(refusal(0xfffe, 3), Error(BusBuildError::kEnd, 0xfffe, 0xffff));
  EXPECT_EQ(refusal(0x10000, 1), Error(BusBuildError::kEnd, 0x10000, 0xffff));
}

TEST(BusBuilderTest, ARangeMayEndWhereItsSpaceDoes) {
  NotingDevice device(7);
  EXPECT_TRUE(Bus::Builder(AddressSpace::kPorts).add(0, 0x10000, device).build());
  EXPECT_TRUE(Bus::Builder(AddressSpace::kMemory).add(1, UINT64_MAX, device).build());
  EXPECT_EQ(Bus::Builder(AddressSpace::kMemory).add(2, UINT64_MAX, device).build().error(),
            Error(BusBuildError::kEnd, 2, UINT64_MAX));
}

TEST(BusErrorTest, SaysWhatWasWrongWithValueAndLimit) {
  EXPECT_EQ(Error(BusError::kRangeEnd, 0x1ffd, 0x1fff).message(),
            "an access at 0x1ffd goes on past 0x1fff, the last byte of the device there");
  EXPECT_EQ(Error(BusBuildError::kOverlap, 0x64, 0x60).message(),
            "a range at 0x64 meets the one at 0x60");
  EXPECT_EQ(Error(BusError::kUnmapped).name(), "bus.unmapped");
  EXPECT_EQ(Error(BusBuildError::kEnd).name(), "bus_build.end");
}

}  // namespace
}  // namespace guestproof
