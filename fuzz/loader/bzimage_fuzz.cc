#include "fuzz/runtime/target.h"
#include "guestproof/testing/harness/bzimage_harness.h"

GUESTPROOF_FUZZ_TARGET(guestproof::testing::BzImageHarness)
