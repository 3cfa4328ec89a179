#include "vmm/timer.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdint>

namespace guestproof::vmm {

Result<std::unique_ptr<Timer>> Timer::create(EventLoop& loop, Clock clock,
                                             std::function<void()> expired) {
  const auto id = clock == Clock::kRealtime ? CLOCK_REALTIME : CLOCK_MONOTONIC;
  Fd fd(::timerfd_create(id, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!fd.valid()) return fail(SystemError::kWatch, static_cast<std::uint64_t>(errno));
  std::unique_ptr<Timer> made(new Timer(loop, std::move(fd)));
  const auto ok = loop.watch(made->fd_.get(), [raw = made->fd_.get(), call = std::move(expired)] {
    std::uint64_t times = 0;
    // Nothing is there to be read when it was set anew meanwhile.
    if (::read(raw, &times, sizeof times) == sizeof times || errno == ECANCELED) call();
  });
  if (!ok) return std::unexpected(ok.error());
  return made;
}

Timer::~Timer() { loop_.forget(fd_.get()); }

void Timer::set(std::chrono::nanoseconds after) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(after);
  ::itimerspec when{};
  when.it_value.tv_sec = seconds.count();
  when.it_value.tv_nsec = (after - seconds).count();
  static_cast<void>(::timerfd_settime(fd_.get(), 0, &when, nullptr));
}

void Timer::set_at(std::chrono::sys_seconds when) {
  ::itimerspec at{};
  at.it_value.tv_sec = when.time_since_epoch().count();
  constexpr int kFlags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
  static_cast<void>(::timerfd_settime(fd_.get(), kFlags, &at, nullptr));
}

}  // namespace guestproof::vmm
