#include "fuzz/runtime/target.h"
#include "guestproof/testing/harness/msix_harness.h"

GUESTPROOF_FUZZ_TARGET(guestproof::testing::MsixHarness)
