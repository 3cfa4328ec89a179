// Threads that can be taken out of a system call, by a signal without a meaning of its own.
//
// Thread-safety: any thread.
#pragma once

#include <functional>
#include <thread>

namespace guestproof::vmm {

/// A thread that can be kicked, whatever mask of signals it would inherit.
[[nodiscard]] std::thread start_kickable(std::function<void()> body);
/// The call that `thread` is in, if any, ends with EINTR. REQUIRES: it is joinable, and was started
/// by start_kickable().
void kick(std::thread& thread);

}  // namespace guestproof::vmm
