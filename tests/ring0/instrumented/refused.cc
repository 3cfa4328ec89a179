// Compiles without a sanitizer, and with those that can follow a test into ring 0 (see
// compile_fail/tests.cmake).

#include "guestproof/ring0/test.h"

RING0_TEST(Refused, BySomeSanitizers) { K_EXPECT_EQ(1 + 1, 2); }
