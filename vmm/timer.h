// A timer of an event loop: once, after some time.
//
// Thread-safety: set() by any thread; the rest by the event loop's.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "guestproof/base/fd.h"
#include "vmm/event_loop.h"

namespace guestproof::vmm {

class Timer {
 public:
  /// `loop` outlives it. Errors: SystemError::kWatch.
  [[nodiscard]] static Result<std::unique_ptr<Timer>> create(EventLoop& loop,
                                                             std::function<void()> expired);
  ~Timer();

  /// In place of what was set before; never, when it is zero.
  void set(std::chrono::nanoseconds after);

 private:
  Timer(EventLoop& loop, Fd fd) : loop_(loop), fd_(std::move(fd)) {}

  EventLoop& loop_;
  Fd fd_;
};

}  // namespace guestproof::vmm
