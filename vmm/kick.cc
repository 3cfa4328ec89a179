#include "vmm/kick.h"

#include <pthread.h>
#include <signal.h>

#include <utility>

namespace guestproof::vmm {
namespace {

int kick_signal() { return SIGRTMIN; }

void unblock_kicks() {
  ::sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, kick_signal());
  static_cast<void>(::pthread_sigmask(SIG_UNBLOCK, &set, nullptr));
}

}  // namespace

std::thread start_kickable(std::function<void()> body) {
  // A handler that does nothing, and does not restart the call (no SA_RESTART).
  struct ::sigaction action{};
  action.sa_handler = [](int) {};
  static_cast<void>(::sigaction(kick_signal(), &action, nullptr));
  return std::thread([run = std::move(body)] {
    unblock_kicks();
    run();
  });
}

void kick(std::thread& thread) {
  static_cast<void>(::pthread_kill(thread.native_handle(), kick_signal()));
}

}  // namespace guestproof::vmm
