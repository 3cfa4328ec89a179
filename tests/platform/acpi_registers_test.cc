#include "guestproof/platform/acpi_registers.h"

#include <gtest/gtest.h>

#include "fixture.h"

namespace guestproof::platform {
namespace {

class AcpiRegistersTest : public ::testing::Test {
 protected:
  NotingMachine machine;
  NotingLine events;
  AcpiRegisters acpi{machine, events};
  Registers<1> registers{acpi};
};

TEST_F(AcpiRegistersTest, TheResetRegisterResets) {
  EXPECT_TRUE(registers.write(kAcpiResetRegister, kAcpiResetValue));
  EXPECT_EQ(machine.requests, std::vector{MachineRequest::kReset});
  EXPECT_EQ(registers.write(kAcpiResetRegister, 6).error(),
            Error(PlatformError::kResetValue, 6, 1));
  EXPECT_EQ(machine.requests.size(), 1u);
}

TEST_F(AcpiRegistersTest, SleepTypeFivePowersOff) {
  // As Linux's acpi_hw_extended_sleep() does it.
  EXPECT_TRUE(registers.write(kAcpiSleepStatus, 0x80));
  EXPECT_TRUE(registers.write(kAcpiSleepControl, 5 << 2 | 0x20));
  EXPECT_EQ(machine.requests, std::vector{MachineRequest::kPowerOff});
}

TEST_F(AcpiRegistersTest, OtherSleepTypesAreRefused) {
  EXPECT_EQ(registers.write(kAcpiSleepControl, 3 << 2 | 0x20).error(),
            Error(PlatformError::kSleepType, 3, 5));
  EXPECT_TRUE(registers.write(kAcpiSleepControl, 5 << 2));  // chosen and not entered
  EXPECT_TRUE(machine.requests.empty());
}

TEST_F(AcpiRegistersTest, ReadsAreZero) {
  EXPECT_TRUE(registers.write(kAcpiSleepControl, 5 << 2));
  EXPECT_EQ(registers[kAcpiResetRegister], 0u);
  EXPECT_EQ(registers[kAcpiSleepControl], 0u);
  EXPECT_EQ(registers[kAcpiSleepStatus], 0u);
}

TEST_F(AcpiRegistersTest, OtherAccessesAreRefused) {
  EXPECT_EQ(registers.read(0, 4), (Answer{0xffff'ffff, Error(PlatformError::kWidth, 4, 1)}));
  EXPECT_EQ(registers.read(3), (Answer{0xff, Error(PlatformError::kOffset, 3, 3)}));
  EXPECT_EQ(registers.write(0, 1, 2).error(), Error(PlatformError::kWidth, 2, 1));
  EXPECT_EQ(registers.write(3, 1).error(), Error(PlatformError::kOffset, 3, 3));
  EXPECT_TRUE(machine.requests.empty());
}

TEST_F(AcpiRegistersTest, APressOfThePowerButtonIsAnEdge) {
  acpi.press_power_button();
  EXPECT_EQ(events.take(), "hl");
}

}  // namespace
}  // namespace guestproof::platform
