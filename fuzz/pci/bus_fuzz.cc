#include "fuzz/runtime/target.h"
#include "guestproof/testing/harness/pci_config_harness.h"

GUESTPROOF_FUZZ_TARGET(guestproof::testing::PciConfigHarness)
