// Undefined behaviour in ring 0. A mark `CASE: KIND` says which case fails at its line, and what
// of.

#include "guestproof/ring0/test.h"

namespace {

volatile int large = 2'147'483'647, small = -2'147'483'647 - 1, zero = 0, five = 5;
volatile unsigned char neither = 2;
int* volatile nowhere = nullptr;
int table[4];
volatile int sink;

[[gnu::noinline]] int chosen(int number) {
  switch (number) {
    case 1:
      return 2;
    case 2:
      return 3;
    default:
      __builtin_unreachable();  // Unreachable: unreachable code reached
  }
}

}  // namespace

RING0_TEST(Undefined, Addition) {
  sink = large + 1;  // Addition: addition overflow
}

RING0_TEST(Undefined, Subtraction) {
  sink = small - 1;  // Subtraction: subtraction overflow
}

RING0_TEST(Undefined, Multiplication) {
  sink = large * 2;  // Multiplication: multiplication overflow
}

RING0_TEST(Undefined, Negation) {
  sink = -small;  // Negation: negation overflow
}

RING0_TEST(Undefined, Division) {
  sink = five / zero;  // Division: division overflow or division by zero
}

RING0_TEST(Undefined, Shift) {
  sink = 1 << (five * 8);  // Shift: shift out of bounds
}

RING0_TEST(Undefined, Index) {
  sink = table[five];  // Index: index out of bounds
}

RING0_TEST(Undefined, Null) {
  sink = *nowhere;  // Null: null, misaligned or too small object accessed
}

RING0_TEST(Undefined, Value) {
  bool truth;
  __builtin_memcpy(&truth, const_cast<unsigned char*>(&neither), 1);
  sink = truth ? 1 : 2;  // Value: invalid value loaded
}

RING0_TEST(Undefined, Unreachable) { sink = chosen(five); }

TEST(Undefined, InALambda) {
  guestproof::ring0::run(guestproof::ring0::Options(), [] {
    sink = large + 2;  // InALambda: addition overflow
  });
}

RING0_TEST(Undefined, NothingIs) {
  sink = large - 1;
  sink = table[five - 3];
  K_EXPECT_EQ(chosen(five - 3), 3);
}
