// Code that runs in ring 0 and elsewhere. A mark `N times` says how often its line runs.

#include "guestproof/ring0/test.h"

namespace {

volatile int three = 3;

int only_in_ring0(int number) {
  if (number < 0) {  // 2 times
    return -1;       // 0 times
  }
  int sum = 0;            // 2 times
  while (sum < number) {  // 8 times
    ++sum;                // 6 times
  }
  return sum;  // 2 times
}

int anywhere(int number) {
  return number + 1;  // 5 times
}

bool both(bool first, bool second) {
  return first && second;  // 3 times
}

}  // namespace

TEST(Coverage, Before) {
  EXPECT_EQ(anywhere(three), 4);  // 1 times
}

RING0_TEST(Coverage, ReturnsFromRing0) {
  K_EXPECT_EQ(only_in_ring0(three), 3);  // 1 times
  K_EXPECT_EQ(anywhere(three), 4);       // 1 times
  K_EXPECT_TRUE(both(three == 3, three > 2));
  K_EXPECT_FALSE(both(three == 3, three > 7));
}

RING0_TEST(Coverage, IsStoppedInRing0) {
  K_EXPECT_EQ(anywhere(three), 4);  // 1 times
  K_SKIP() << "at once";            // 1 times
}

RING0_TEST(Coverage, EndsWithAnException, guestproof::ring0::expect_failure("nothing is mapped")) {
  K_EXPECT_EQ(only_in_ring0(three), 3);          // 1 times
  K_EXPECT_EQ(anywhere(three), 4);               // 1 times
  *reinterpret_cast<volatile int*>(0x1238) = 1;  // 1 times
}

TEST(Coverage, Behind) {
  EXPECT_EQ(anywhere(three), 4);  // 1 times
  EXPECT_FALSE(both(three == 4, three > 2));
}
