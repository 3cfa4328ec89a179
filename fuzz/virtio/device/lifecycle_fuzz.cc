#include "fuzz/runtime/target.h"
#include "guestproof/testing/harness/device_state_harness.h"

GUESTPROOF_FUZZ_TARGET(guestproof::testing::DeviceStateHarness)
