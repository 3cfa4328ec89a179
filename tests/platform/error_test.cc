#include "guestproof/platform/error.h"

#include <gtest/gtest.h>

namespace guestproof::platform {
namespace {

TEST(PlatformErrorTest, SaysWhatWasWrongWithValueAndLimit) {
  EXPECT_EQ(Error(PlatformError::kWidth, 4, 1).message(),
            "an access of 4 bytes to a register of 1");
  EXPECT_EQ(Error(PlatformError::kSleepType, 3, 5).message(),
            "there is no sleeping state of type 3; type 5 powers off");
  EXPECT_EQ(Error(PlatformError::kPanicEvent, 4, 3).message(),
            "0x4 reports no event of those that a panic has, 0x3");
  EXPECT_EQ(Error(PlatformStateError::kReceived, 17, 16).message(),
            "16550 state field received is 17; the receiver holds 16");
  EXPECT_EQ(Error(PlatformStateError::kReserved, 7, 35).message(),
            "a device's state has 0x7 at offset 35, where 0 belongs");
}

TEST(PlatformErrorTest, DomainsHaveNamesOfTheirOwn) {
  EXPECT_EQ(Error(PlatformError::kNoDevice).name(), "platform.no_device");
  EXPECT_EQ(Error(PlatformStateError::kRaised).name(), "platform_state.raised");
}

}  // namespace
}  // namespace guestproof::platform
