#include "vmm/signals.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <map>
#include <string>

namespace guestproof::vmm {
namespace {

/// The signals are not ignored, however the test was started: by nohup(1), say.
class ByDefault {
 public:
  ByDefault() {
    for (auto& [number, handler] : before_) handler = ::signal(number, SIG_DFL);
  }
  ByDefault(const ByDefault&) = delete;
  ByDefault& operator=(const ByDefault&) = delete;
  ~ByDefault() {
    for (const auto& [number, handler] : before_) ::signal(number, handler);
  }

 private:
  std::map<int, ::sighandler_t> before_{{SIGTERM, {}}, {SIGINT, {}}, {SIGHUP, {}}};
};

/// Whether this thread does.
bool blocks(int number) {
  ::sigset_t now;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &now);
  return ::sigismember(&now, number) == 1;
}

class SignalsTest : public testing::Test {
 protected:
  ByDefault by_default;
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
                                      [this](std::string_view why) {
                                        EXPECT_EQ(why, "by another signal");
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

TEST(Signals, AGuestThatDoesNotPowerOffIsStopped) {
  const ByDefault by_default;
  const auto loop = EventLoop::create().value();
  std::string why;
  const auto signals = TerminationSignals::create({.first = [] {},
                                                   .enough =
                                                       [&](std::string_view reason) {
                                                         why = reason;
                                                         loop->stop();
                                                       },
                                                   .patience = std::chrono::nanoseconds(1)},
                                                  *loop)
                           .value();
  ::kill(::getpid(), SIGTERM);
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(why, "for it did not power off within 1 s");
}

TEST(Signals, ThoseThatTheProcessIgnoresStayIgnored) {
  const ByDefault by_default;
  ::signal(SIGHUP, SIG_IGN);
  const auto loop = EventLoop::create().value();
  int heard = 0;
  const auto signals =
      TerminationSignals::create({.first = [&] { ++heard; }, .enough = [&](auto) { loop->stop(); }},
                                 *loop)
          .value();
  EXPECT_FALSE(blocks(SIGHUP));
  EXPECT_TRUE(blocks(SIGTERM));
  ::kill(::getpid(), SIGHUP);
  ::kill(::getpid(), SIGTERM);
  ::kill(::getpid(), SIGINT);
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(heard, 1);
}

TEST(Signals, OneThatComesTooLateToBeHeardEndsNobody) {
  const ByDefault by_default;
  const auto loop = EventLoop::create().value();
  auto signals = TerminationSignals::create({[] {}, [](auto) {}}, *loop).value();
  ::kill(::getpid(), SIGTERM);
  ::kill(::getpid(), SIGINT);
  signals.reset();
  EXPECT_FALSE(blocks(SIGTERM));
}

TEST(Signals, AreThisThreadsAgainInTheEnd) {
  const ByDefault by_default;
  const auto loop = EventLoop::create().value();
  {
    const auto signals = TerminationSignals::create({[] {}, [](auto) {}}, *loop).value();
    EXPECT_TRUE(blocks(SIGTERM));
  }
  EXPECT_FALSE(blocks(SIGTERM));
}

}  // namespace
}  // namespace guestproof::vmm
