#include "guestproof/memory/guest_address.h"

#include <gtest/gtest.h>

#include <limits>

#include "print.h"

namespace guestproof {
namespace {

constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();

TEST(GuestAddressTest, IsZeroByDefault) { EXPECT_EQ(GuestAddress().raw(), 0u); }

TEST(GuestAddressTest, AddsALengthUpToTheLastAddress) {
  EXPECT_EQ(GuestAddress(0x1000).checked_add(0x234), GuestAddress(0x1234));
  EXPECT_EQ(GuestAddress(kMax - 4).checked_add(4), GuestAddress(kMax));
  EXPECT_EQ(GuestAddress(kMax).checked_add(0), GuestAddress(kMax));
}

TEST(GuestAddressTest, RefusesALengthThatPassesTheAddressSpace) {
  EXPECT_EQ(GuestAddress(kMax).checked_add(1), std::nullopt);
  EXPECT_EQ(GuestAddress(1).checked_add(kMax), std::nullopt);
}

TEST(GuestAddressTest, MeasuresADistanceUpwardsOnly) {
  EXPECT_EQ(GuestAddress(0x1234).offset_from(GuestAddress(0x1000)), 0x234u);
  EXPECT_EQ(GuestAddress(0x1000).offset_from(GuestAddress(0x1000)), 0u);
  EXPECT_EQ(GuestAddress(0xfff).offset_from(GuestAddress(0x1000)), std::nullopt);
}

TEST(GuestAddressTest, KnowsItsAlignment) {
  EXPECT_TRUE(GuestAddress(0x1010).aligned_to(16));
  EXPECT_FALSE(GuestAddress(0x1008).aligned_to(16));
}

TEST(GuestAddressTest, IsOrderedAsAnUnsignedNumber) {
  EXPECT_LT(GuestAddress(1), GuestAddress(kMax));
  EXPECT_EQ(GuestAddress(7), GuestAddress(7));
}

}  // namespace
}  // namespace guestproof
