// Waits for several ports at once: an epoll(7) instance whose descriptor is readable while a port
// has, or takes, bytes that the device waits for.
//
// Thread-safety: none; the descriptor may be waited for by another thread.
#pragma once

#include <cstdint>
#include <vector>

#include "guestproof/base/fd.h"

namespace guestproof::virtio::console {

class PortPoll {
 public:
  enum class Direction : std::uint8_t { kInput, kOutput };

  /// Errors: SystemError::kWatch.
  [[nodiscard]] static Result<PortPoll> create();

  [[nodiscard]] int get() const { return epoll_.get(); }
  /// Waits for `fd` as this end of the port `id`, instead of what was waited for before; −1: for
  /// nothing. A file that epoll cannot wait for is always ready, and is not waited for. Errors:
  /// SystemError::kWatch (nothing is waited for).
  [[nodiscard]] Result<void> wait_for(std::size_t id, Direction direction, int fd);

 private:
  explicit PortPoll(Fd epoll) : epoll_(std::move(epoll)) {}

  Fd epoll_;
  std::vector<int> waiting_;  // by 2·id + direction
};

}  // namespace guestproof::virtio::console
