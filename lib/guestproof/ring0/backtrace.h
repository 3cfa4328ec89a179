// Who called whom in a guest that has stopped, found as for a signal handler: the unwinder of the
// compiler's runtime reads the guest's stack, which is this process's.
//
// Thread-safety: one caller at a time in a process, which loses its handlers of the signals
// SIGUSR1, SIGUSR2 and SIGSEGV.
#pragma once

#include <cstdint>
#include <span>

#include "guestproof/ring0/cpu_state.h"

namespace guestproof::ring0 {

/// Addresses of code, the innermost first; all but the first are return addresses. Returns how
/// many; a stack that makes no sense gives few.
[[nodiscard]] std::size_t backtrace(const CpuState& state, std::span<std::uint64_t> addresses);

}  // namespace guestproof::ring0
