// Any scenario program at all leaves a device on MMIO, or on PCI when its driver says so, in
// agreement with the models of all that is between it and its driver, through any saved state.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "any_program.h"
#include "guestproof/testing/harness/echo_harness.h"

namespace guestproof::testing {

namespace {

RC_GTEST_PROP(MmioTransport, AgreesWithItsModel, ()) { agrees<MmioHarness>(); }

}  // namespace
}  // namespace guestproof::testing
