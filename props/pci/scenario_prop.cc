// Any scenario program at all leaves MSI-X and a PCI bus in agreement with their models.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "any_program.h"
#include "guestproof/testing/harness/msix_harness.h"
#include "guestproof/testing/harness/pci_config_harness.h"

namespace guestproof::testing {

namespace {

RC_GTEST_PROP(PciScenario, MsixAndModelAgree, ()) { agrees<MsixHarness>(); }
RC_GTEST_PROP(PciScenario, BusAndModelAgree, ()) { agrees<PciConfigHarness>(); }

}  // namespace
}  // namespace guestproof::testing
