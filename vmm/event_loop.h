// The thread that waits for file descriptors: back ends, devices that were woken, standard input,
// signals. Handlers run one at a time.
//
// Thread-safety: watch() and forget() only by the loop's own thread or before it runs; stop() may
// be called from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "guestproof/base/fd.h"
#include "vmm/complaint.h"

namespace guestproof::vmm {

class EventLoop {
 public:
  using Handler = std::function<void()>;

  [[nodiscard]] static Result<std::unique_ptr<EventLoop>> create();

  /// `handler` runs while `fd`, which stays open, is readable. REQUIRES: it is not watched.
  /// Errors: SystemError::kWatch (EPERM: a regular file, which is always readable).
  [[nodiscard]] Result<void> watch(int fd, Handler handler);
  /// Nothing where it is not watched.
  void forget(int fd);

  /// Until stop(). Errors: SystemError::kWatch.
  [[nodiscard]] Result<void> run();
  void stop() { stopped_.notify(); }

 private:
  EventLoop(Fd epoll, EventFd stopped) : epoll_(std::move(epoll)), stopped_(std::move(stopped)) {}

  Fd epoll_;
  EventFd stopped_;
  bool running_ = true;
  // A handler may forget itself, or another that is in the same batch.
  std::map<int, std::shared_ptr<Handler>> handlers_;
};

}  // namespace guestproof::vmm
