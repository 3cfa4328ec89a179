// An owned file descriptor, and an eventfd on top of it (what ioeventfd, irqfd and worker threads
// are woken with).
//
// Thread-safety: an Fd is a value with one owner; EventFd's notify() and take() may be called from
// any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "guestproof/base/error.h"

namespace guestproof {

class Fd {
 public:
  constexpr Fd() = default;
  /// Takes ownership; -1 means none.
  constexpr explicit Fd(int raw) : raw_(raw) {}
  Fd(Fd&& other) noexcept : raw_(std::exchange(other.raw_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();

  [[nodiscard]] constexpr int get() const { return raw_; }
  [[nodiscard]] constexpr bool valid() const { return raw_ >= 0; }
  /// Gives ownership away.
  [[nodiscard]] constexpr int release() { return std::exchange(raw_, -1); }

  /// A second descriptor of the same open file (close-on-exec).
  [[nodiscard]] Result<Fd> duplicate() const;

 private:
  int raw_ = -1;
};

/// A non-blocking, close-on-exec eventfd(2).
class EventFd {
 public:
  [[nodiscard]] static Result<EventFd> create(std::uint32_t initial = 0);

  /// Adds one. A counter that is already at its maximum stays pending, which is what the waiter
  /// sees anyway.
  void notify() const;
  /// The counter, which becomes 0; nothing when it was 0.
  [[nodiscard]] std::optional<std::uint64_t> take() const;
  [[nodiscard]] int get() const { return fd_.get(); }

 private:
  explicit EventFd(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace guestproof
