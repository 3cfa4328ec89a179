// Any program of a guest and a host leaves the console and its model in agreement.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "any_program.h"
#include "guestproof/testing/harness/console_harness.h"

namespace guestproof::testing {

namespace {

RC_GTEST_PROP(Console, DeviceAndModelAgree, ()) { agrees<ConsoleHarness>(); }

}  // namespace
}  // namespace guestproof::testing
