#include "guestproof/base/invariant.h"

#include <gtest/gtest.h>

namespace guestproof {
namespace {

TEST(InvariantTest, HoldsQuietly) {
  int evaluations = 0;
  GUESTPROOF_INVARIANT(++evaluations == 1);
  EXPECT_EQ(evaluations, 1);
}

TEST(InvariantDeathTest, PrintsTheConditionAndAborts) {
  EXPECT_EXIT(GUESTPROOF_INVARIANT(2 + 2 == 5), ::testing::KilledBySignal(SIGABRT),
              "invariant_test.cc:[0-9]+: invariant broken: 2 \\+ 2 == 5");
}

}  // namespace
}  // namespace guestproof
