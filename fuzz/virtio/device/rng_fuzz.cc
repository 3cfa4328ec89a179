#include "fuzz/runtime/target.h"
#include "guestproof/testing/harness/rng_harness.h"

GUESTPROOF_FUZZ_TARGET(guestproof::testing::RngHarness)
