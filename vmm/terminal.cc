#include "vmm/terminal.h"

#include <errno.h>
#include <fmt/format.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace guestproof::vmm {
namespace {

/// Whose default is the end of the process; before an event loop takes three of them (signals.h),
/// too.
constexpr std::array kFatal{SIGABRT, SIGALRM, SIGBUS,  SIGFPE,  SIGILL,  SIGIO,     SIGPROF,
                            SIGPWR,  SIGQUIT, SIGSEGV, SIGSYS,  SIGTRAP, SIGSTKFLT, SIGUSR1,
                            SIGUSR2, SIGHUP,  SIGINT,  SIGTERM, SIGXCPU, SIGVTALRM};
constexpr std::byte kCtrlA{1};

::termios before, wanted;
std::atomic<bool> raw = false;

// Async-signal-safe.

void restore() {
  if (raw.exchange(false)) static_cast<void>(::tcsetattr(STDIN_FILENO, TCSANOW, &before));
}

void restore_and_die(int signal) {
  restore();
  // Its handler is taken back already (SA_RESETHAND): the next one is the end.
  static_cast<void>(::raise(signal));
}

void go_on(int) {
  const int error = errno;
  if (raw) static_cast<void>(::tcsetattr(STDIN_FILENO, TCSANOW, &wanted));
  errno = error;
}

/// Unless somebody else has a handler, a sanitizer say, or the signal is ignored.
void handle(int signal, void (*handler)(int), int flags) {
  struct ::sigaction action{};
  const bool free = ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_DFL;
  action.sa_handler = handler;
  action.sa_flags = flags;
  if (free) static_cast<void>(::sigaction(signal, &action, nullptr));
}

void restore_on_the_way_out() {
  static const bool once = [] {
    static_cast<void>(std::atexit(restore));
    constexpr auto kOnce = static_cast<int>(SA_RESETHAND | SA_NODEFER);
    for (const int signal : kFatal) handle(signal, restore_and_die, kOnce);
    // The first is what ends a thread's call (kick.h).
    for (int signal = SIGRTMIN + 1; signal <= SIGRTMAX; ++signal)
      handle(signal, restore_and_die, kOnce);
    handle(SIGCONT, go_on, SA_RESTART);
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace

Outcome<RawTerminal> RawTerminal::enter() {
  if (::isatty(STDIN_FILENO) == 0) return RawTerminal(false);
  const auto failed = [] {
    return std::unexpected(
        Complaint{ExitCode::kFailure, fmt::format("the terminal: {}.", std::strerror(errno))});
  };
  if (::tcgetattr(STDIN_FILENO, &before) != 0) return failed();
  restore_on_the_way_out();
  wanted = before;
  ::cfmakeraw(&wanted);
  // The host's messages are lines of the usual kind.
  wanted.c_oflag |= OPOST;
  raw = true;
  if (::tcsetattr(STDIN_FILENO, TCSANOW, &wanted) != 0) {
    raw = false;
    return failed();
  }
  return RawTerminal(true);
}

RawTerminal::RawTerminal(RawTerminal&& other) noexcept
    : active_(std::exchange(other.active_, false)) {}

RawTerminal::~RawTerminal() {
  if (active_) restore();
}

bool EscapeFilter::filter(std::span<const std::byte> typed, std::vector<std::byte>& out) {
  for (const auto key : typed) {
    if (!std::exchange(escaped_, false)) {
      escaped_ = key == kCtrlA;
      if (!escaped_) out.push_back(key);
      continue;
    }
    if (key == std::byte{'x'} || key == std::byte{'X'}) return true;
    out.push_back(kCtrlA);
    if (key != kCtrlA) out.push_back(key);
  }
  return false;
}

}  // namespace guestproof::vmm
