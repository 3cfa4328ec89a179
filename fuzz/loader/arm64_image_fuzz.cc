#include "fuzz/runtime/target.h"
#include "guestproof/testing/harness/arm64_image_harness.h"

GUESTPROOF_FUZZ_TARGET(guestproof::testing::Arm64ImageHarness)
