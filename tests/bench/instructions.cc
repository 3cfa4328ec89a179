#include "instructions.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

namespace guestproof::bench {
namespace {

/// What the child does: stops where counting begins and where it ends.
[[noreturn]] void be_traced(const std::function<void()>& work) {
  if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(1);
  ::raise(SIGSTOP);
  work();
  ::raise(SIGSTOP);
  ::_exit(0);
}

/// The signal that the child has stopped with.
std::optional<int> stop_of(::pid_t child) {
  int status = 0;
  if (::waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return std::nullopt;
  return WSTOPSIG(status);
}

std::optional<std::uint64_t> steps_of(::pid_t child) {
  if (stop_of(child) != SIGSTOP) return std::nullopt;
  for (std::uint64_t steps = 0;; ++steps) {
    if (::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) return std::nullopt;
    const auto stop = stop_of(child);
    if (stop == SIGSTOP) return steps;
    if (stop != SIGTRAP) return std::nullopt;
  }
}

std::optional<std::uint64_t> with_stops(const std::function<void()>& work) {
  const auto child = ::fork();
  if (child < 0) return std::nullopt;
  if (child == 0) be_traced(work);
  const auto steps = steps_of(child);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return steps;
}

}  // namespace

std::optional<std::uint64_t> instructions(const std::function<void()>& work) {
  const auto stops = with_stops([] {});
  const auto all = with_stops(work);
  if (!stops || !all) return std::nullopt;
  return *all - *stops;
}

}  // namespace guestproof::bench
