#include "fuzz/runtime/target.h"
#include "guestproof/testing/harness/mmio_harness.h"

GUESTPROOF_FUZZ_TARGET(guestproof::testing::MmioHarness)
