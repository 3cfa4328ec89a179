#include "fuzz/runtime/target.h"
#include "guestproof/testing/harness/elf_harness.h"

GUESTPROOF_FUZZ_TARGET(guestproof::testing::ElfHarness)
