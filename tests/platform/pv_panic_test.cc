#include "guestproof/platform/pv_panic.h"

#include <gtest/gtest.h>

#include "fixture.h"

namespace guestproof::platform {
namespace {

class PvPanicTest : public ::testing::Test {
 protected:
  NotingMachine machine;
  PvPanic panic{machine};
  Registers<1> registers{panic};
};

TEST_F(PvPanicTest, ReadsSayWhichEventsAreKnown) {
  EXPECT_EQ(registers[0], 3u);
  EXPECT_TRUE(machine.requests.empty());
}

TEST_F(PvPanicTest, APanicIsTheMachines) {
  EXPECT_TRUE(registers.write(0, kPvPanicPanicked));
  EXPECT_EQ(machine.requests, std::vector{MachineRequest::kPanic});
}

TEST_F(PvPanicTest, AGuestWithACrashKernelGoesOn) {
  EXPECT_TRUE(registers.write(0, kPvPanicCrashLoaded));
  EXPECT_TRUE(machine.requests.empty());
}

TEST_F(PvPanicTest, BothEventsAtOnceAreAPanic) {
  EXPECT_TRUE(registers.write(0, kPvPanicPanicked | kPvPanicCrashLoaded));
  EXPECT_EQ(machine.requests, std::vector{MachineRequest::kPanic});
}

TEST_F(PvPanicTest, UnknownEventsAreRefused) {
  EXPECT_EQ(registers.write(0, 0x04).error(), Error(PlatformError::kPanicEvent, 4, 3));
  EXPECT_EQ(registers.write(0, 0xfc).error(), Error(PlatformError::kPanicEvent, 0xfc, 3));
  EXPECT_EQ(registers.write(0, 0).error(), Error(PlatformError::kPanicEvent, 0, 3));
  EXPECT_TRUE(machine.requests.empty());
}

// What a later guest also has to say does not hide what is understood.
TEST_F(PvPanicTest, UnknownEventsBesideKnownOnesAreIgnored) {
  EXPECT_TRUE(registers.write(0, 0x84 | kPvPanicCrashLoaded));
  EXPECT_TRUE(machine.requests.empty());
  EXPECT_TRUE(registers.write(0, 0x84 | kPvPanicPanicked));
  EXPECT_EQ(machine.requests, std::vector{MachineRequest::kPanic});
}

TEST_F(PvPanicTest, OtherAccessesAreRefused) {
  EXPECT_EQ(registers.read(0, 2), (Answer{0xffff, Error(PlatformError::kWidth, 2, 1)}));
  EXPECT_EQ(registers.read(1), (Answer{0xff, Error(PlatformError::kOffset, 1, 1)}));
  EXPECT_EQ(registers.write(0, 1, 4).error(), Error(PlatformError::kWidth, 4, 1));
  EXPECT_EQ(registers.write(1, 1).error(), Error(PlatformError::kOffset, 1, 1));
  EXPECT_TRUE(machine.requests.empty());
}

}  // namespace
}  // namespace guestproof::platform
