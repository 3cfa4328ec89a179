#include "fuzz/runtime/target.h"
#include "guestproof/testing/harness/balloon_harness.h"

GUESTPROOF_FUZZ_TARGET(guestproof::testing::BalloonHarness)
