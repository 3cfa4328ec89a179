#include "fuzz/runtime/target.h"
#include "guestproof/testing/harness/cmdline_harness.h"

GUESTPROOF_FUZZ_TARGET(guestproof::testing::CmdlineHarness)
