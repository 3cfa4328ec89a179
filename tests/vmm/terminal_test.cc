#include "vmm/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "guestproof/base/fd.h"

namespace guestproof::vmm {
namespace {

struct Filtered {
  std::string text;
  bool leaves;
};
Filtered filter(EscapeFilter& filter, std::string_view typed) {
  std::vector<std::byte> out;
  const bool leaves = filter.filter(std::as_bytes(std::span(typed)), out);
  return {{reinterpret_cast<const char*>(out.data()), out.size()}, leaves};
}

TEST(EscapeFilter, PassesOnWhatIsTyped) {
  EscapeFilter escapes;
  EXPECT_EQ(filter(escapes, "ls -l\r\3").text, "ls -l\r\3");
}

TEST(EscapeFilter, LeavesAtCtrlAX) {
  EscapeFilter escapes;
  const auto typed = filter(escapes, "ab\1x");
  EXPECT_EQ(typed.text, "ab");
  EXPECT_TRUE(typed.leaves);
  EXPECT_TRUE(filter(escapes, "\1X").leaves);
}

TEST(EscapeFilter, KeepsAnEscapeThatComesInTwoParts) {
  EscapeFilter escapes;
  EXPECT_FALSE(filter(escapes, "a\1").leaves);
  EXPECT_TRUE(filter(escapes, "x").leaves);
}

TEST(EscapeFilter, GivesTheGuestWhatIsNoEscape) {
  EscapeFilter escapes;
  EXPECT_EQ(filter(escapes, "\1\1").text, "\1");
  EXPECT_EQ(filter(escapes, "\1b").text, "\1b");
  EXPECT_FALSE(filter(escapes, "x").leaves);
}

/// A pseudo-terminal, whose other end a child has as its standard input.
class OnATerminal : public testing::Test {
 protected:
  OnATerminal() : controller(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    EXPECT_EQ(::grantpt(controller.get()), 0);
    EXPECT_EQ(::unlockpt(controller.get()), 0);
    std::array<char, 64> name{};
    EXPECT_EQ(::ptsname_r(controller.get(), name.data(), name.size()), 0);
    terminal = Fd(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    EXPECT_TRUE(terminal.valid());
  }
  [[nodiscard]] bool is_raw() const {
    ::termios now{};
    EXPECT_EQ(::tcgetattr(terminal.get(), &now), 0);
    const bool for_the_guest = (now.c_lflag & (ICANON | ECHO | ISIG)) == 0;
    const bool lines_end_well = (now.c_oflag & OPOST) != 0;
    return for_the_guest && lines_end_well;
  }
  /// Makes it raw in a child, after `before()`; the child then comes to its end by `end()`. Its
  /// wait status: of exit code 99 when the terminal was not raw.
  template <class End>
  int run(End end, void (*before)() = [] {}) {
    const auto child = ::fork();
    if (child == 0) {
      ::dup2(terminal.get(), STDIN_FILENO);
      for (const int number : {SIGABRT, SIGSEGV, SIGTRAP, SIGHUP}) ::signal(number, SIG_DFL);
      before();
      auto raw = RawTerminal::enter();
      if (!raw || !raw->active() || !is_raw()) ::_exit(99);
      end(*raw);
      ::_exit(98);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return status;
  }

  Fd controller, terminal;
};

TEST_F(OnATerminal, IsAsBeforeWhenTheObjectIsGone) {
  ASSERT_FALSE(is_raw());
  const int status = run([](RawTerminal& raw) {
    {
      const RawTerminal gone(std::move(raw));
    }
    ::_exit(7);
  });
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_FALSE(is_raw());
}

TEST_F(OnATerminal, IsAsBeforeAfterExit) {
  const int status = run([](RawTerminal&) { ::exit(7); });
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_FALSE(is_raw());
}

TEST_F(OnATerminal, IsAsBeforeAfterAnAbort) {
  const int status = run([](RawTerminal&) { ::raise(SIGABRT); });
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) << status;
  EXPECT_FALSE(is_raw());
}

TEST_F(OnATerminal, IsAsBeforeAfterAnySignalThatEndsTheProcess) {
  for (const int number : {SIGQUIT, SIGUSR1, SIGXCPU, SIGTERM, SIGHUP, SIGALRM, SIGTRAP}) {
    const int status = run([number](RawTerminal&) { ::raise(number); });
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == number) << number << ": " << status;
    EXPECT_FALSE(is_raw()) << number;
  }
}

TEST_F(OnATerminal, IsRawStillAfterASignalThatIsIgnored) {
  const int status = run(
      [this](RawTerminal&) {
        ::raise(SIGHUP);
        ::_exit(is_raw() ? 7 : 8);
      },
      [] { ::signal(SIGHUP, SIG_IGN); });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << status;
}

TEST_F(OnATerminal, IsRawAgainWhenTheProcessGoesOn) {
  const int status = run([this](RawTerminal&) {
    ::termios cooked{};
    ::tcgetattr(STDIN_FILENO, &cooked);
    cooked.c_lflag |= ICANON | ECHO | ISIG;  // as a shell does meanwhile
    ::tcsetattr(STDIN_FILENO, TCSANOW, &cooked);
    ::raise(SIGCONT);
    ::_exit(is_raw() ? 7 : 8);
  });
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(RawTerminal, WhatIsNoTerminalStaysAsItIs) {
  const auto child = ::fork();
  if (child == 0) {
    const Fd nothing(::open("/dev/null", O_RDONLY));
    ::dup2(nothing.get(), STDIN_FILENO);
    const auto raw = RawTerminal::enter();
    ::_exit(raw && !raw->active() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace guestproof::vmm
