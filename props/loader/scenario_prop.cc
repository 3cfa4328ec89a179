// Any scenario program at all leaves the loaders in agreement with their models.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <ostream>

#include "guestproof/testing/harness/arm64_image_harness.h"
#include "guestproof/testing/harness/boot_params_harness.h"
#include "guestproof/testing/harness/bzimage_harness.h"
#include "guestproof/testing/harness/cmdline_harness.h"
#include "guestproof/testing/harness/elf_harness.h"
#include "guestproof/testing/scenario/mutate.h"
#include "guestproof/testing/scenario/text.h"

namespace guestproof::testing {

void showValue(const Record& record, std::ostream& out) { out << to_text(record); }

namespace {

template <class Harness>
void agrees() {
  static Harness harness;
  const auto target = harness.name();
  const auto record = rc::gen::map(rc::gen::arbitrary<std::uint32_t>(), [=](std::uint32_t seed) {
    return Mutator(vocabulary(target), seed).random_record();
  });
  const auto program = *rc::gen::container<Program>(record);
  const auto violation = harness.run(program);
  if (violation)
    RC_FAIL(std::string(violation->oracle) + ": " + violation->sentence + "\n" + to_text(program));
}

RC_GTEST_PROP(LoaderScenario, ElfAndModelAgree, ()) { agrees<ElfHarness>(); }
RC_GTEST_PROP(LoaderScenario, BzImageAndModelAgree, ()) { agrees<BzImageHarness>(); }
RC_GTEST_PROP(LoaderScenario, Arm64ImageAndModelAgree, ()) { agrees<Arm64ImageHarness>(); }
RC_GTEST_PROP(LoaderScenario, CmdlineAndModelAgree, ()) { agrees<CmdlineHarness>(); }
RC_GTEST_PROP(LoaderScenario, BootParamsAndModelAgree, ()) { agrees<BootParamsHarness>(); }

}  // namespace
}  // namespace guestproof::testing
