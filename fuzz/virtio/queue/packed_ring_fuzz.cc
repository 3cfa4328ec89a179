#include "fuzz/runtime/target.h"
#include "guestproof/testing/harness/queue_harness.h"

GUESTPROOF_FUZZ_TARGET(guestproof::testing::QueueHarness, "queue_packed")
