// Any program of a guest and a host leaves the console and its model in agreement.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <ostream>

#include "guestproof/testing/harness/console_harness.h"
#include "guestproof/testing/scenario/mutate.h"
#include "guestproof/testing/scenario/text.h"

namespace guestproof::testing {

void showValue(const Record& record, std::ostream& out) { out << to_text(record); }

namespace {

rc::Gen<Record> any_record() {
  return rc::gen::map(rc::gen::arbitrary<std::uint32_t>(), [](std::uint32_t seed) {
    return Mutator(vocabulary("console"), seed).random_record();
  });
}

RC_GTEST_PROP(Console, DeviceAndModelAgree, ()) {
  ConsoleHarness harness;
  const auto program = *rc::gen::container<Program>(any_record());
  const auto violation = harness.run(program);
  if (violation)
    RC_FAIL(std::string(violation->oracle) + ": " + violation->sentence + "\n" + to_text(program));
}

}  // namespace
}  // namespace guestproof::testing
