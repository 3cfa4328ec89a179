#include "vmm/event_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <thread>

#include "vmm/ending.h"

namespace guestproof::vmm {
namespace {

class EventLoopTest : public testing::Test {
 protected:
  std::unique_ptr<EventLoop> loop = EventLoop::create().value();
  EventFd event = EventFd::create().value();
};

TEST_F(EventLoopTest, RunsTheHandlerWhileItsDescriptorIsReadable) {
  int runs = 0;
  ASSERT_TRUE(loop->watch(event.get(), [&] {
    if (++runs == 2) static_cast<void>(event.take());
    if (runs == 2) loop->stop();
  }));
  event.notify();
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(runs, 2);
}

TEST_F(EventLoopTest, IsStoppedFromAnotherThread) {
  std::thread other([&] { loop->stop(); });
  EXPECT_TRUE(loop->run());
  other.join();
}

TEST_F(EventLoopTest, AHandlerMayForgetItselfAndOthers) {
  const auto second = EventFd::create().value();
  int runs = 0;
  const auto once = [&] {
    ++runs;
    loop->forget(event.get());
    loop->forget(second.get());
    loop->stop();
  };
  ASSERT_TRUE(loop->watch(event.get(), once));
  ASSERT_TRUE(loop->watch(second.get(), once));
  event.notify();
  second.notify();
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(runs, 1);
  loop->forget(event.get());  // nothing
  EXPECT_TRUE(loop->watch(event.get(), [] {}));
}

TEST_F(EventLoopTest, SaysWhatCannotBeWatched) {
  const Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(loop->watch(file.get(), [] {}).error(), Error(SystemError::kWatch, EPERM));
  EXPECT_EQ(loop->watch(-1, [] {}).error(), Error(SystemError::kWatch, EBADF));
}

TEST_F(EventLoopTest, TheFirstEndCounts) {
  Ending ending(*loop);
  EXPECT_FALSE(ending.get().has_value());
  ending.set({ExitCode::kReset, "first"});
  ending.set({ExitCode::kFailure, "second"});
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(ending.get()->code, ExitCode::kReset);
  EXPECT_EQ(ending.get()->sentence, "first");
}

}  // namespace
}  // namespace guestproof::vmm
