// Any scenario program at all leaves device and model in agreement; a counter-example is shrunk
// record by record and shown as text. The commands are the scenario opcodes, the system and the
// model those of the fuzz target.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <ostream>
#include <utility>

#include "guestproof/testing/harness/queue_harness.h"
#include "guestproof/testing/scenario/mutate.h"
#include "guestproof/testing/scenario/text.h"

namespace guestproof::testing {

void showValue(const Record& record, std::ostream& out) { out << to_text(record); }

namespace {

rc::Gen<Record> record_for(std::string_view target) {
  return rc::gen::map(rc::gen::arbitrary<std::uint32_t>(), [target](std::uint32_t seed) {
    return Mutator(vocabulary(target), seed).random_record();
  });
}

void agrees(std::string_view target) {
  QueueHarness harness(target);
  const auto program = *rc::gen::container<Program>(record_for(target));
  const auto violation = harness.run(program);
  if (violation)
    RC_FAIL(std::string(violation->oracle) + ": " + violation->sentence + "\n" + to_text(program));
}

RC_GTEST_PROP(QueueScenario, DeviceAndModelAgree, ()) { agrees("queue"); }
RC_GTEST_PROP(QueueScenario, DeviceAndModelAgreeOnPackedRings, ()) { agrees("queue_packed"); }
RC_GTEST_PROP(QueueScenario, DeviceAndModelAgreeOnState, ()) { agrees("queue_state"); }

RC_GTEST_PROP(QueueScenario, AProgramRunsTheSameTwice, ()) {
  const auto program = *rc::gen::container<Program>(record_for("queue"));
  QueueHarness first("queue"), second("queue");
  // What ran before leaves nothing behind.
  RC_ASSERT(!second.run(*rc::gen::container<Program>(record_for("queue"))));
  RC_ASSERT(!first.run(program));
  RC_ASSERT(!second.run(program));
  RC_ASSERT(!std::as_const(first).world().device().first_difference(
      std::as_const(second).world().device()));
}

}  // namespace
}  // namespace guestproof::testing
