#include "vmm/signals.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

namespace guestproof::vmm {
namespace {

class SignalsTest : public testing::Test {
 protected:
  std::unique_ptr<EventLoop> loop = EventLoop::create().value();
  int first = 0, enough = 0;
  std::unique_ptr<TerminationSignals> signals =
      TerminationSignals::create({.first =
                                      [this] {
                                        ++first;
                                        if (again != 0) ::kill(::getpid(), again);
                                        if (again == 0) loop->stop();
                                      },
                                  .enough =
                                      [this] {
                                        ++enough;
                                        loop->stop();
                                      }},
                                 *loop)
          .value();
  int again = 0;
};

TEST_F(SignalsTest, TheFirstAsks) {
  ::kill(::getpid(), SIGTERM);
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(first, 1);
  EXPECT_EQ(enough, 0);
}

TEST_F(SignalsTest, TheSecondIsEnoughWhicheverItIs) {
  again = SIGHUP;
  ::kill(::getpid(), SIGINT);
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(first, 1);
  EXPECT_EQ(enough, 1);
}

TEST(Signals, ThoseThatTheProcessIgnoresStayIgnored) {
  const auto before = ::signal(SIGHUP, SIG_IGN);
  const auto loop = EventLoop::create().value();
  int heard = 0;
  const auto signals = TerminationSignals::create(
                           {.first = [&] { ++heard; }, .enough = [&] { loop->stop(); }}, *loop)
                           .value();
  ::kill(::getpid(), SIGHUP);
  ::kill(::getpid(), SIGTERM);
  ::kill(::getpid(), SIGINT);
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(heard, 1);
  ::signal(SIGHUP, before);
}

TEST(Signals, AreThisThreadsAgainInTheEnd) {
  const auto loop = EventLoop::create().value();
  const auto blocks = [] {
    ::sigset_t now;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &now);
    return ::sigismember(&now, SIGTERM) == 1;
  };
  {
    const auto signals = TerminationSignals::create({[] {}, [] {}}, *loop).value();
    EXPECT_TRUE(blocks());
  }
  EXPECT_FALSE(blocks());
}

}  // namespace
}  // namespace guestproof::vmm
