// The signals that ask a machine to end, as events of a loop.
//
// Thread-safety: by the event loop's thread.
#pragma once

#include <signal.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string_view>

#include "guestproof/base/fd.h"
#include "vmm/event_loop.h"
#include "vmm/timer.h"

namespace guestproof::vmm {

/// What a guest has to shut down in; service managers give as much by default.
inline constexpr std::chrono::seconds kPatience{60};

class TerminationSignals {
 public:
  struct Host {
    std::function<void()> first;
    /// "by another signal", or "for it did not power off within 60 s".
    std::function<void(std::string_view)> enough;
    std::chrono::nanoseconds patience = kPatience;
  };

  /// SIGTERM, SIGINT and SIGHUP, but for those that the process ignores (nohup(1), say); blocks
  /// them in this thread, until this is gone, and in those that it starts meanwhile. `loop`
  /// outlives this. Errors: SystemError::kWatch.
  [[nodiscard]] static Result<std::unique_ptr<TerminationSignals>> create(Host host,
                                                                          EventLoop& loop);
  ~TerminationSignals();

 private:
  TerminationSignals(const ::sigset_t& before, Host host, EventLoop& loop, Fd signals)
      : before_(before), host_(std::move(host)), loop_(loop), signals_(std::move(signals)) {}
  void signalled();

  ::sigset_t before_;  // this thread's mask
  Host host_;
  EventLoop& loop_;
  Fd signals_;
  std::unique_ptr<Timer> timer_;
  bool told_ = false;
};

}  // namespace guestproof::vmm
