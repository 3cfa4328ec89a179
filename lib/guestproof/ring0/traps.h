// Exceptions of a guest, as far as every host serves them: faults of memory that the guest is to
// have after all. The others end the test.
//
// Thread-safety: one vCPU's thread.
#pragma once

#include <optional>
#include <string_view>

#include "guestproof/ring0/channel.h"
#include "guestproof/ring0/end.h"
#include "guestproof/ring0/mirror.h"
#include "guestproof/ring0/processor.h"

namespace guestproof::ring0 {

class Traps {
 public:
  /// `stack`: the vCPU's.
  Traps(Mirror& mirror, std::span<const std::byte> stack)
      : mirror_(mirror), stack_(reinterpret_cast<std::uint64_t>(stack.data())) {}

  /// Nothing: the guest goes on. Else how the test ends, with what the frame has of the state.
  /// Errors: Mirror::resolve()'s.
  [[nodiscard]] Result<std::optional<EndRecord>> serve(TrapFrame& frame);

 private:
  Mirror& mirror_;
  std::uint64_t stack_;  // its lowest address
  // The last fault, and how often it has come back.
  std::uint64_t address_ = 0;
  std::uint64_t pc_ = 0;
  unsigned times_ = 0;
};

/// Into the ring: the end, with the instruction and the backtrace of its state.
void write_end(const Channel& channel, std::uint32_t ring, EndRecord end, std::string_view text);

/// What the C and C++ libraries ask the kernel for at a thread's first use of them, which a guest
/// cannot: memory of the thread's heap, and what throwing takes.
void warm_up();

}  // namespace guestproof::ring0
