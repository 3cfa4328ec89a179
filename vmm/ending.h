// What the machine came to, once: the first that ends it says how.
//
// Thread-safety: any thread.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "vmm/event_loop.h"
#include "vmm/exit_code.h"

namespace guestproof::vmm {

/// An exit code and, where there is more to say than it does, a sentence.
struct End {
  ExitCode code = ExitCode::kFailure;
  std::string sentence;
};

class Ending {
 public:
  /// `loop` is stopped when there is an end.
  explicit Ending(EventLoop& loop) : loop_(loop) {}

  void set(End end) {
    const std::scoped_lock locked(mutex_);
    if (!end_) end_ = std::move(end);
    loop_.stop();
  }
  [[nodiscard]] std::optional<End> get() const {
    const std::scoped_lock locked(mutex_);
    return end_;
  }

 private:
  EventLoop& loop_;
  mutable std::mutex mutex_;
  std::optional<End> end_;
};

}  // namespace guestproof::vmm
