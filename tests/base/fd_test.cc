#include "guestproof/base/fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <limits>

#include "descriptor_limit.h"
#include "print.h"

namespace guestproof {
namespace {

bool is_open(int raw) { return ::fcntl(raw, F_GETFD) != -1; }
bool is_close_on_exec(int raw) { return (::fcntl(raw, F_GETFD) & FD_CLOEXEC) != 0; }
Fd open_null() { return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

TEST(FdTest, IsInvalidByDefault) {
  EXPECT_FALSE(Fd().valid());
  EXPECT_EQ(Fd().get(), -1);
}

TEST(FdTest, ClosesAtTheEndOfItsLife) {
  int raw = -1;
  {
    const Fd fd = open_null();
    raw = fd.get();
    EXPECT_TRUE(is_open(raw));
  }
  EXPECT_FALSE(is_open(raw));
}

TEST(FdTest, MovesOwnership) {
  Fd from = open_null();
  const int raw = from.get();

  const Fd to = std::move(from);

  EXPECT_EQ(to.get(), raw);
  EXPECT_EQ(from.get(), -1);  // NOLINT(bugprone-use-after-move): a moved-from Fd is defined
  EXPECT_TRUE(is_open(raw));
}

TEST(FdTest, ClosesWhatAnAssignmentReplaces) {
  Fd kept = open_null();
  Fd replaced = open_null();
  const int kept_raw = kept.get();
  const int replaced_raw = replaced.get();

  replaced = std::move(kept);

  EXPECT_EQ(replaced.get(), kept_raw);
  EXPECT_TRUE(is_open(kept_raw));
  EXPECT_FALSE(is_open(replaced_raw));
}

TEST(FdTest, SurvivesAssignmentToItself) {
  Fd fd = open_null();
  Fd& same = fd;
  const int raw = fd.get();

  fd = std::move(same);

  EXPECT_EQ(fd.get(), raw);
  EXPECT_TRUE(is_open(raw));
}

TEST(FdTest, ReleaseLeavesTheDescriptorOpen) {
  Fd fd = open_null();

  const Fd now_owner(fd.release());

  EXPECT_FALSE(fd.valid());
  EXPECT_TRUE(is_open(now_owner.get()));
}

TEST(FdTest, DuplicatesAsACloseOnExecDescriptorOfItsOwn) {
  auto fd = open_null();

  const auto copy = fd.duplicate();
  fd = Fd();

  ASSERT_TRUE(copy);
  EXPECT_TRUE(is_open(copy->get()));
  EXPECT_TRUE(is_close_on_exec(copy->get()));
}

TEST(FdTest, DuplicatingNothingSaysWhy) {
  const auto copy = Fd().duplicate();

  ASSERT_FALSE(copy);
  EXPECT_EQ(copy.error(), SystemError::kOpen);
  EXPECT_EQ(copy.error().value(), EBADF);
}

TEST(EventFdTest, SaysWhyItCannotBeCreated) {
  const NoMoreDescriptors limit;
  EXPECT_EQ(EventFd::create().error(), Error(SystemError::kEventFd, EMFILE));
}

TEST(EventFdTest, IsEmptyWhenNew) {
  const auto event = EventFd::create();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->take(), std::nullopt);
}

TEST(EventFdTest, StartsWithItsInitialCount) {
  const auto event = EventFd::create(3);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->take(), 3u);
}

TEST(EventFdTest, CountsNotificationsUntilTaken) {
  const auto event = EventFd::create();
  ASSERT_TRUE(event);

  event->notify();
  event->notify();

  EXPECT_EQ(event->take(), 2u);
  EXPECT_EQ(event->take(), std::nullopt);
}

TEST(EventFdTest, StaysPendingWhenTheCounterIsFull) {
  const auto event = EventFd::create();
  ASSERT_TRUE(event);
  const std::uint64_t full = std::numeric_limits<std::uint64_t>::max() - 1;
  ASSERT_EQ(::write(event->get(), &full, sizeof full), static_cast<ssize_t>(sizeof full));

  event->notify();

  EXPECT_EQ(event->take(), full);
}

TEST(EventFdTest, IsCloseOnExecAndNonBlocking) {
  const auto event = EventFd::create();
  ASSERT_TRUE(event);
  EXPECT_TRUE(is_close_on_exec(event->get()));
  EXPECT_NE(::fcntl(event->get(), F_GETFL) & O_NONBLOCK, 0);
}

}  // namespace
}  // namespace guestproof
