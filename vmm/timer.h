// A timer of an event loop: once, after some time or at a time of day.
//
// Thread-safety: set() and set_at() by any thread; the rest by the event loop's.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "guestproof/base/fd.h"
#include "vmm/event_loop.h"

namespace guestproof::vmm {

class Timer {
 public:
  enum class Clock : std::uint8_t { kMonotonic, kRealtime };

  /// `loop` outlives it. Errors: SystemError::kWatch.
  [[nodiscard]] static Result<std::unique_ptr<Timer>> create(EventLoop& loop, Clock clock,
                                                             std::function<void()> expired);
  ~Timer();

  /// In place of what was set before; never, when it is zero.
  void set(std::chrono::nanoseconds after);
  /// At that time, and whenever the clock is set meanwhile. REQUIRES: Clock::kRealtime.
  void set_at(std::chrono::sys_seconds when);

 private:
  Timer(EventLoop& loop, Fd fd) : loop_(loop), fd_(std::move(fd)) {}

  EventLoop& loop_;
  Fd fd_;
};

}  // namespace guestproof::vmm
