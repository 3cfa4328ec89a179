#include "guestproof/platform/pl031.h"

#include <gtest/gtest.h>

#include "fixture.h"

namespace guestproof::platform {
namespace {

enum : std::uint64_t {
  kDr = 0x00,
  kMr = 0x04,
  kLr = 0x08,
  kCr = 0x0c,
  kImsc = 0x10,
  kRis = 0x14,
  kMis = 0x18,
  kIcr = 0x1c,
};

class SetClock : public WallClock {
 public:
  std::uint64_t seconds() override { return now; }
  std::uint64_t now = 0x1'6000'0000;
};

class Pl031Test : public ::testing::Test {
 protected:
  void set(std::uint64_t offset, std::uint64_t value) {
    ASSERT_TRUE(registers.write(offset, value));
  }

  SetClock clock;
  NotingLine line;
  Pl031 rtc{clock, line};
  Registers<4> registers{rtc};
};

TEST_F(Pl031Test, TellsTheTime) {
  EXPECT_EQ(registers[kDr], 0x6000'0000u);
  clock.now += 5;
  EXPECT_EQ(registers[kDr], 0x6000'0005u);
  set(kLr, 1000);
  clock.now += 7;
  EXPECT_EQ(registers[kDr], 1007u);
  EXPECT_EQ(registers[kLr], 1000u);
  set(kCr, 0);
  EXPECT_EQ(registers[kCr], 1u);
}

TEST_F(Pl031Test, IsAPrimeCellToItsBus) {
  // What amba_read_periphid() makes of it: pl031's driver takes 0x00041031 under 0x000fffff.
  std::uint32_t peripheral = 0, cell = 0;
  for (unsigned i = 0; i < 4; ++i) {
    peripheral |= static_cast<std::uint32_t>(registers[0xfe0 + 4 * i]) << 8 * i;
    cell |= static_cast<std::uint32_t>(registers[0xff0 + 4 * i]) << 8 * i;
  }
  EXPECT_EQ(peripheral & 0xfffff, 0x41031u);
  EXPECT_EQ(cell, 0xb105f00du);
}

TEST_F(Pl031Test, AnAlarmInterruptsWhenItsTimeComes) {
  set(kMr, 0x6000'000a);
  set(kImsc, 1);
  EXPECT_EQ(rtc.until_alarm(), 10u);
  EXPECT_EQ(registers[kMis], 0u);
  clock.now += 9;
  rtc.tick();
  EXPECT_EQ(line.take(), "");
  EXPECT_EQ(rtc.until_alarm(), 1u);
  clock.now += 3;  // the host looks late
  rtc.tick();
  EXPECT_EQ(line.take(), "h");
  EXPECT_EQ(rtc.until_alarm(), std::nullopt);
  EXPECT_EQ(registers[kMis], 1u);
  set(kIcr, 0);
  EXPECT_EQ(registers[kRis], 1u);
  set(kIcr, 1);
  EXPECT_EQ(line.take(), "l");
  EXPECT_EQ(registers[kRis], 0u);
}

TEST_F(Pl031Test, AMaskedAlarmIsRaisedOnly) {
  set(kMr, 0x6000'0001);
  EXPECT_EQ(rtc.until_alarm(), std::nullopt);
  clock.now += 1;
  EXPECT_EQ(registers[kRis], 1u);
  EXPECT_EQ(registers[kMis], 0u);
  EXPECT_EQ(line.take(), "");
  set(kImsc, 3);
  EXPECT_EQ(line.take(), "h");
  EXPECT_EQ(registers[kImsc], 1u);
}

TEST_F(Pl031Test, AnAlarmForNowIsDue) {
  set(kImsc, 1);
  set(kMr, 0x6000'0000);
  EXPECT_EQ(line.take(), "h");
  set(kIcr, 1);
  set(kMr, 50);
  EXPECT_EQ(registers[kRis], 0u);
  set(kLr, 50);
  EXPECT_EQ(registers[kRis], 1u);
}

// Was said to be 0 seconds away, for ever.
TEST_F(Pl031Test, AnAlarmThatWasClearedIsNotWaitedFor) {
  set(kImsc, 1);
  set(kMr, 0x6000'0000);
  set(kIcr, 1);
  EXPECT_EQ(line.take(), "hl");
  EXPECT_EQ(rtc.until_alarm(), std::nullopt);
}

// One further away would be taken for a clock that went back, and missed.
TEST_F(Pl031Test, AnAlarmIsWaitedForForHalfTheRange) {
  set(kImsc, 1);
  set(kMr, 0xdfff'ffff);
  EXPECT_EQ(rtc.until_alarm(), 0x7fff'ffffu);
  set(kMr, 0xe000'0000);
  EXPECT_EQ(rtc.until_alarm(), std::nullopt);
  set(kMr, 0xdfff'ffff);
  clock.now += 0x7fff'ffff;
  rtc.tick();
  EXPECT_EQ(line.take(), "h");
}

TEST_F(Pl031Test, AClockThatGoesBackPassesNoAlarm) {
  set(kMr, 0x5fff'fff8);
  clock.now -= 16;
  EXPECT_EQ(registers[kDr], 0x5fff'fff0u);
  EXPECT_EQ(registers[kRis], 0u);
  clock.now += 8;
  EXPECT_EQ(registers[kRis], 1u);
}

TEST_F(Pl031Test, OtherAccessesAreRefused) {
  EXPECT_EQ(registers.read(kDr, 8), (Answer{UINT64_MAX, Error(PlatformError::kWidth, 8, 4)}));
  EXPECT_EQ(registers.read(2), (Answer{0xffff'ffff, Error(PlatformError::kOffset, 2, 0x1000)}));
  EXPECT_EQ(registers.read(0x20),
            (Answer{0xffff'ffff, Error(PlatformError::kOffset, 0x20, 0x1000)}));
  EXPECT_EQ(registers.read(0x1000).error, Error(PlatformError::kOffset, 0x1000, 0x1000));
  EXPECT_EQ(registers.read(kIcr).error, Error(PlatformError::kWriteOnly, kIcr));
  for (const auto offset : {+kDr, +kRis, +kMis, 0xfe0ul, 0xffcul})
    EXPECT_EQ(registers.write(offset, 0).error(), Error(PlatformError::kReadOnly, offset));
  EXPECT_EQ(registers.write(kMr, 0, 2).error(), Error(PlatformError::kWidth, 2, 4));
  EXPECT_EQ(registers.write(0xfdc, 0).error(), Error(PlatformError::kOffset, 0xfdc, 0x1000));
}

TEST_F(Pl031Test, StateComesBackWholeAndAnAlarmThatPassedIsDue) {
  set(kLr, 500);
  set(kMr, 600);
  set(kImsc, 1);
  const auto saved = rtc.encode();
  clock.now += 200;

  NotingLine other_line;
  Pl031 other(clock, other_line);
  const auto state = Pl031::decode(saved);
  ASSERT_TRUE(state) << state.error().message();
  other.restore(*state);

  EXPECT_EQ(other_line.take(), "h");
  Registers<4> again(other);
  EXPECT_EQ(again[kDr], 700u);
  EXPECT_EQ(again[kLr], 500u);
  other.reset();
  EXPECT_EQ(other_line.take(), "l");
  EXPECT_EQ(again[kDr], 0x6000'00c8u);
  EXPECT_EQ(again[kMr], 0u);
}

TEST_F(Pl031Test, StateThatCannotBeIsRefusedByField) {
  using enum PlatformStateError;
  const auto saved = rtc.encode();
  const auto refusal = [&](std::size_t at, unsigned value) {
    return Pl031::decode(patched(saved, at, value)).error();
  };
  EXPECT_EQ(Pl031::decode({}).error(), Error(kBytes, 0, 28));
  EXPECT_EQ(refusal(24, 2), Error(kMask, 2, 1));
  EXPECT_EQ(refusal(25, 3), Error(kRaised, 3, 1));
  EXPECT_EQ(refusal(27, 1), Error(kReserved, 0x100, 26));
}

}  // namespace
}  // namespace guestproof::platform
