// Any scenario program at all leaves a device on PCI in agreement with the models of all that is
// between it and its driver, through any saved state.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <ostream>

#include "guestproof/testing/harness/echo_harness.h"
#include "guestproof/testing/scenario/mutate.h"
#include "guestproof/testing/scenario/text.h"

namespace guestproof::testing {

void showValue(const Record& record, std::ostream& out) { out << to_text(record); }

namespace {

RC_GTEST_PROP(PciTransport, AgreesWithItsModel, ()) {
  static PciHarness harness;
  const auto record = rc::gen::map(rc::gen::arbitrary<std::uint32_t>(), [](std::uint32_t seed) {
    return Mutator(vocabulary("pci"), seed).random_record();
  });
  const auto program = *rc::gen::container<Program>(record);
  const auto violation = harness.run(program);
  if (violation)
    RC_FAIL(std::string(violation->oracle) + ": " + violation->sentence + "\n" + to_text(program));
}

}  // namespace
}  // namespace guestproof::testing
