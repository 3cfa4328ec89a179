// Any scenario program at all leaves device and model in agreement; a counter-example is shrunk
// record by record and shown as text. The commands are the scenario opcodes, the system and the
// model those of the fuzz target.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <utility>

#include "any_program.h"
#include "guestproof/testing/harness/queue_harness.h"

namespace guestproof::testing {

namespace {

RC_GTEST_PROP(QueueScenario, DeviceAndModelAgree, ()) {
  QueueHarness harness("queue");
  agrees(harness);
}
RC_GTEST_PROP(QueueScenario, DeviceAndModelAgreeOnPackedRings, ()) {
  QueueHarness harness("queue_packed");
  agrees(harness);
}
RC_GTEST_PROP(QueueScenario, DeviceAndModelAgreeOnState, ()) {
  QueueHarness harness("queue_state");
  agrees(harness);
}

RC_GTEST_PROP(QueueScenario, AProgramRunsTheSameTwice, ()) {
  const auto program = *any_program("queue");
  QueueHarness first("queue"), second("queue");
  // What ran before leaves nothing behind.
  RC_ASSERT(!second.run(*any_program("queue")));
  RC_ASSERT(!first.run(program));
  RC_ASSERT(!second.run(program));
  RC_ASSERT(!std::as_const(first).world().device().first_difference(
      std::as_const(second).world().device()));
}

}  // namespace
}  // namespace guestproof::testing
