#include "fuzz/runtime/target.h"
#include "guestproof/testing/harness/console_harness.h"

GUESTPROOF_FUZZ_TARGET(guestproof::testing::ConsoleHarness)
