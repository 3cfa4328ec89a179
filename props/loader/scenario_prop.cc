// Any scenario program at all leaves the loaders in agreement with their models.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "any_program.h"
#include "guestproof/testing/harness/arm64_image_harness.h"
#include "guestproof/testing/harness/boot_params_harness.h"
#include "guestproof/testing/harness/bzimage_harness.h"
#include "guestproof/testing/harness/cmdline_harness.h"
#include "guestproof/testing/harness/elf_harness.h"

namespace guestproof::testing {

namespace {

RC_GTEST_PROP(LoaderScenario, ElfAndModelAgree, ()) { agrees<ElfHarness>(); }
RC_GTEST_PROP(LoaderScenario, BzImageAndModelAgree, ()) { agrees<BzImageHarness>(); }
RC_GTEST_PROP(LoaderScenario, Arm64ImageAndModelAgree, ()) { agrees<Arm64ImageHarness>(); }
RC_GTEST_PROP(LoaderScenario, CmdlineAndModelAgree, ()) { agrees<CmdlineHarness>(); }
RC_GTEST_PROP(LoaderScenario, BootParamsAndModelAgree, ()) { agrees<BootParamsHarness>(); }

}  // namespace
}  // namespace guestproof::testing
