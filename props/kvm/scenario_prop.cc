// Any scenario program at all leaves the readers of what KVM shares, and the values that are saved,
// in agreement with their models.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "any_program.h"
#include "guestproof/testing/harness/kvm_array_harness.h"
#include "guestproof/testing/harness/kvm_exit_harness.h"
#include "guestproof/testing/harness/kvm_ring_harness.h"
#include "guestproof/testing/harness/kvm_state_harness.h"

namespace guestproof::testing {

namespace {

RC_GTEST_PROP(KvmScenario, RunPageAndModelAgree, ()) { agrees<KvmExitHarness>(); }
RC_GTEST_PROP(KvmScenario, CoalescedRingAndModelAgree, ()) { agrees<KvmCoalescedRingHarness>(); }
RC_GTEST_PROP(KvmScenario, DirtyRingAndModelAgree, ()) { agrees<KvmDirtyRingHarness>(); }
RC_GTEST_PROP(KvmScenario, ArraysAndModelAgree, ()) { agrees<KvmArrayHarness>(); }
RC_GTEST_PROP(KvmScenario, SavedStateAndModelAgree, ()) { agrees<KvmStateHarness>(); }

}  // namespace
}  // namespace guestproof::testing
