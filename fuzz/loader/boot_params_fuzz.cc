#include "fuzz/runtime/target.h"
#include "guestproof/testing/harness/boot_params_harness.h"

GUESTPROOF_FUZZ_TARGET(guestproof::testing::BootParamsHarness)
