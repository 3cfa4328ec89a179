#include "fuzz/runtime/target.h"
#include "guestproof/testing/harness/block_device_harness.h"

GUESTPROOF_FUZZ_TARGET(guestproof::testing::BlockDeviceHarness)
