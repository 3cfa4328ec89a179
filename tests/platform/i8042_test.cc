#include "guestproof/platform/i8042.h"

#include <gtest/gtest.h>

#include "fixture.h"

namespace guestproof::platform {
namespace {

constexpr std::uint64_t kData = 0;
constexpr std::uint64_t kCommand = 4;
const std::vector kOneReset{MachineRequest::kReset};

class I8042Test : public ::testing::Test {
 protected:
  /// What a command answers; -1 for nothing.
  int ask(std::uint64_t command) {
    EXPECT_TRUE(registers.write(kCommand, command));
    if ((registers[kCommand] & 1) == 0) return -1;
    return static_cast<int>(registers[kData]);
  }

  NotingMachine machine;
  I8042 controller{machine};
  Registers<1> registers{controller};
};

TEST_F(I8042Test, PulsingTheResetLineResetsTheMachine) {
  // A reference machine monitor did nothing at this byte.
  EXPECT_TRUE(registers.write(kCommand, 0xfe));
  EXPECT_EQ(machine.requests, kOneReset);
  EXPECT_TRUE(registers.write(kCommand, 0xff));
  EXPECT_TRUE(registers.write(kCommand, 0xfd));
  EXPECT_EQ(machine.requests, kOneReset);
  EXPECT_TRUE(registers.write(kCommand, 0xf0));
  EXPECT_EQ(machine.requests.size(), 2u);
}

TEST_F(I8042Test, TheOutputPortResetsTheMachineToo) {
  EXPECT_EQ(ask(0xd1), -1);
  EXPECT_TRUE(registers.write(kData, 0xdf));  // opens A20
  EXPECT_TRUE(machine.requests.empty());
  EXPECT_EQ(ask(0xd1), -1);
  EXPECT_TRUE(registers.write(kData, 0xde));
  EXPECT_EQ(machine.requests, kOneReset);
  EXPECT_EQ(ask(0xd0), 0x03);
}

TEST_F(I8042Test, TellsLinuxsProbeAtOnceThatNothingIsThere) {
  // drivers/input/serio/i8042.c: flush, self-test, command byte, interface for a mouse.
  EXPECT_EQ(registers[kCommand], 0x14u);
  EXPECT_EQ(ask(0xaa), 0x55);
  EXPECT_EQ(ask(0x20), 0x74);
  EXPECT_EQ(ask(0xd3), -1);
  EXPECT_TRUE(registers.write(kData, 0x5a));
  EXPECT_EQ(registers[kCommand] & 0x21, 0x01u);  // not a mouse's byte
  EXPECT_EQ(registers[kData], 0x5au);
  EXPECT_EQ(ask(0xa9), 0x01);
  EXPECT_EQ(ask(0xab), 0x01);
}

TEST_F(I8042Test, KeepsTheCommandByte) {
  EXPECT_EQ(ask(0x60), -1);
  EXPECT_TRUE(registers.write(kData, 0xc3));
  EXPECT_EQ(ask(0x20), 0x43);
  EXPECT_EQ(registers[kCommand], 0x18u);  // no system flag; the last write was a command
  EXPECT_EQ(ask(0xa7), -1);
  EXPECT_EQ(ask(0xad), -1);
  EXPECT_EQ(ask(0x20), 0x73);
  EXPECT_EQ(ask(0xa8), -1);
  EXPECT_EQ(ask(0xae), -1);
  EXPECT_EQ(ask(0x20), 0x43);
}

TEST_F(I8042Test, ABytesForADeviceTimesOut) {
  EXPECT_EQ(registers.write(kData, 0xf2).error(), Error(PlatformError::kNoDevice, 0xf2));
  EXPECT_EQ(registers[kCommand], 0x55u);
  EXPECT_EQ(registers[kData], 0xfeu);
  EXPECT_EQ(registers[kCommand], 0x14u);
  EXPECT_EQ(registers[kData], 0xfeu);
  EXPECT_EQ(ask(0xd4), -1);
  EXPECT_EQ(registers.write(kData, 0xff).error(), Error(PlatformError::kNoDevice, 0xff));
  EXPECT_EQ(ask(0xaa), 0x55);
}

TEST_F(I8042Test, ACommandTakesThePlaceOfOneThatWaitsForItsByte) {
  EXPECT_EQ(ask(0x60), -1);
  EXPECT_EQ(ask(0xd2), -1);
  EXPECT_TRUE(registers.write(kData, 0x12));
  EXPECT_EQ(registers[kData], 0x12u);
  EXPECT_EQ(ask(0x20), 0x74);
}

TEST_F(I8042Test, OtherAccessesAreRefused) {
  EXPECT_EQ(registers.read(1), (Answer{0xff, Error(PlatformError::kOffset, 1, 5)}));
  EXPECT_EQ(registers.read(kData, 2), (Answer{0xffff, Error(PlatformError::kWidth, 2, 1)}));
  EXPECT_EQ(registers.read(5), (Answer{0xff, Error(PlatformError::kOffset, 5, 5)}));
  EXPECT_EQ(registers.write(3, 0).error(), Error(PlatformError::kOffset, 3, 5));
  EXPECT_EQ(registers.write(kCommand, 0xfe, 2).error(), Error(PlatformError::kWidth, 2, 1));
  EXPECT_EQ(registers.write(kCommand, 0xee).error(), Error(PlatformError::kCommand, 0xee));
  EXPECT_TRUE(machine.requests.empty());
}

TEST_F(I8042Test, StateComesBackWhole) {
  EXPECT_EQ(ask(0x60), -1);
  EXPECT_TRUE(registers.write(kData, 0x21));
  EXPECT_FALSE(registers.write(kData, 0x99));
  EXPECT_TRUE(registers.write(kCommand, 0xd1));
  const auto saved = controller.encode();

  I8042 other(machine);
  const auto state = I8042::decode(saved);
  ASSERT_TRUE(state) << state.error().message();
  other.restore(*state);

  EXPECT_EQ(other.encode(), saved);
  Registers<1> again(other);
  EXPECT_EQ(again[kCommand], 0x59u);
  EXPECT_TRUE(again.write(kData, 0));
  EXPECT_EQ(machine.requests, kOneReset);
  other.reset();
  EXPECT_EQ(again[kCommand], 0x14u);
}

TEST_F(I8042Test, StateThatCannotBeIsRefusedByField) {
  using enum PlatformStateError;
  const auto saved = controller.encode();
  const auto refusal = [&](std::size_t at, unsigned value) {
    return I8042::decode(patched(saved, at, value)).error();
  };
  EXPECT_EQ(I8042::decode(std::span(saved).first(11)).error(), Error(kBytes, 11, 12));
  EXPECT_EQ(refusal(0, 0).as<PlatformStateError>(), kMagic);
  EXPECT_EQ(refusal(8, 0x80), Error(kCommandByte, 0x80, 0x7f));
  EXPECT_EQ(refusal(10, 0x02), Error(kStatus, 0x02, 0x49));
  EXPECT_EQ(refusal(10, 0x40), Error(kStatus, 0x40, 0x49));
  EXPECT_EQ(refusal(11, 0xaa), Error(kExpected, 0xaa));
  EXPECT_TRUE(I8042::decode(patched(saved, 10, 0x49)));
  EXPECT_TRUE(I8042::decode(patched(saved, 11, 0xd4)));
}

}  // namespace
}  // namespace guestproof::platform
