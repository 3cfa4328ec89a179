// Any scenario program at all leaves a device on PCI in agreement with the models of all that is
// between it and its driver, through any saved state.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "any_program.h"
#include "guestproof/testing/harness/echo_harness.h"

namespace guestproof::testing {

namespace {

RC_GTEST_PROP(PciTransport, AgreesWithItsModel, ()) { agrees<PciHarness>(); }

}  // namespace
}  // namespace guestproof::testing
