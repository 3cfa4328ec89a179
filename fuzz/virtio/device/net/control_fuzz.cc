#include "fuzz/runtime/target.h"
#include "guestproof/testing/harness/net_harness.h"

GUESTPROOF_FUZZ_TARGET(guestproof::testing::NetControlHarness)
