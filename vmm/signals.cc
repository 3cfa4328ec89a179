#include "vmm/signals.h"

#include <errno.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <utility>

namespace guestproof::vmm {
namespace {

std::unexpected<Error> failed() {
  return fail(SystemError::kWatch, static_cast<std::uint64_t>(errno));
}

}  // namespace

Result<std::unique_ptr<TerminationSignals>> TerminationSignals::create(Host host, EventLoop& loop) {
  ::sigset_t set, before;
  ::sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    struct ::sigaction action{};
    const bool ignored = ::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
    if (!ignored) ::sigaddset(&set, number);
  }
  Fd signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.valid() || ::pthread_sigmask(SIG_BLOCK, &set, &before) != 0) return failed();
  std::unique_ptr<TerminationSignals> made(
      new TerminationSignals(before, std::move(host), loop, std::move(signals)));
  auto* self = made.get();
  if (const auto ok = loop.watch(made->signals_.get(), [self] { self->signalled(); }); !ok)
    return std::unexpected(ok.error());
  auto timer = Timer::create(loop, Timer::Clock::kMonotonic, [self] {
    self->host_.enough(
        fmt::format("for it did not power off within {} s",
                    std::chrono::ceil<std::chrono::seconds>(self->host_.patience).count()));
  });
  if (!timer) return std::unexpected(timer.error());
  made->timer_ = std::move(*timer);
  return made;
}

TerminationSignals::~TerminationSignals() {
  loop_.forget(signals_.get());
  // The machine has ended: what came too late to be heard would end the process in another way.
  ::signalfd_siginfo late{};
  while (::read(signals_.get(), &late, sizeof late) == sizeof late) {
  }
  static_cast<void>(::pthread_sigmask(SIG_SETMASK, &before_, nullptr));
}

void TerminationSignals::signalled() {
  ::signalfd_siginfo info{};
  if (::read(signals_.get(), &info, sizeof info) != sizeof info) return;
  if (std::exchange(told_, true)) return host_.enough("by another signal");
  timer_->set(host_.patience);
  host_.first();
}

}  // namespace guestproof::vmm
