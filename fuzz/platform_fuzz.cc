#include "fuzz/runtime/target.h"
#include "guestproof/testing/harness/platform_harness.h"

GUESTPROOF_FUZZ_TARGET(guestproof::testing::PlatformHarness)
