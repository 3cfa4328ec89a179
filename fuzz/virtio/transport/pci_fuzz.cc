#include "fuzz/runtime/target.h"
#include "guestproof/testing/harness/echo_harness.h"

GUESTPROOF_FUZZ_TARGET(guestproof::testing::PciHarness)
