#include "guestproof/virtio/queue/notify.h"

#include <gtest/gtest.h>

namespace guestproof::virtio {
namespace {

constexpr auto notify = need_event<std::uint16_t>;

TEST(NeedEventTest, NotifiesWhenTheEventEntryWasWritten) {
  EXPECT_TRUE(notify(5, 6, 5));
  EXPECT_TRUE(notify(5, 9, 3));
}

TEST(NeedEventTest, IsQuietBeforeTheEventEntryAndAfterIt) {
  EXPECT_FALSE(notify(6, 6, 5));
  EXPECT_FALSE(notify(4, 6, 5));
}

TEST(NeedEventTest, IsQuietWhenNothingWasWritten) {
  EXPECT_FALSE(notify(5, 5, 5));
  EXPECT_FALSE(notify(4, 5, 5));
}

TEST(NeedEventTest, CountsOnAcross65535) {
  EXPECT_TRUE(notify(0xffff, 0, 0xffff));
  EXPECT_TRUE(notify(0, 1, 0xfffe));
  EXPECT_FALSE(notify(1, 1, 0xfffe));
  EXPECT_FALSE(notify(0xfffd, 1, 0xfffe));
}

TEST(NeedEventTest, EveryEventButOneIsPassedBy65535Entries) {
  EXPECT_TRUE(notify(7, 6, 7));
  EXPECT_FALSE(notify(6, 6, 7));
}

// One-byte indices obey the same rule: all 2^24 cases, against the rule's own words.
TEST(NeedEventTest, OfOneByteIndicesIsMembershipInTheInterval) {
  std::uint32_t disagreements = 0;
  for (std::uint32_t event = 0; event < 256; ++event)
    for (std::uint32_t old_index = 0; old_index < 256; ++old_index)
      for (std::uint32_t written = 0; written < 256; ++written) {
        const bool passed = (event + 256 - old_index) % 256 < written;
        const auto new_index = static_cast<std::uint8_t>(old_index + written);
        disagreements += need_event<std::uint8_t>(static_cast<std::uint8_t>(event), new_index,
                                                  static_cast<std::uint8_t>(old_index)) != passed;
      }
  EXPECT_EQ(disagreements, 0u);
}

}  // namespace
}  // namespace guestproof::virtio
