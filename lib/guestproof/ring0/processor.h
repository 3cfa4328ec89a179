// What only an architecture knows of a vCPU that has left its guest.
//
// Thread-safety: by the vCPU's thread.
#pragma once

#include <optional>

#include "guestproof/kvm/kvm.h"
#include "guestproof/ring0/address_sanitizer.h"
#include "guestproof/ring0/cpu_state.h"
#include "guestproof/ring0/mirror.h"
#include "guestproof/ring0/supervisor.h"

namespace guestproof::ring0 {

/// Errors: kvm's, of the registers.
[[nodiscard]] Result<CpuState> state_of(const kvm::Vcpu& vcpu);
/// As they were when the exception came; control registers, which the frame has not, are 0.
[[nodiscard]] CpuState state_of(const TrapFrame& frame);
/// With control registers.
[[nodiscard]] Result<CpuState> completed(const CpuState& state, const kvm::Vcpu& vcpu);

/// What an exception was.
struct Trap {
  std::uint32_t vector = 0;  // x86_64; the class (EC) on aarch64
  std::uint64_t value = 0;   // the error code; ESR_EL1
  std::uint64_t pc = 0;
  bool fault = false;  // at `address`, for lack of a page or of a right
  std::uint64_t address = 0;
  Access access{};
};
[[nodiscard]] Trap trap_of(const TrapFrame& frame);

/// What the supervisor's code, or a test, has told the host; `page` is Supervisor::control().
struct Control {
  bool trap = false;  // value is that of Supervisor::frame(), else a Call
  std::uint64_t value = 0;
};
[[nodiscard]] std::optional<Control> control_of(const kvm::Vcpu& vcpu, std::uint64_t page,
                                                const kvm::Exit& exit);

/// The Call that an exception is: code at the lower privilege has no ports (x86_64). The guest goes
/// on behind it.
[[nodiscard]] std::optional<Call> call_by_exception(TrapFrame& frame);

/// The system call that an exception is the failure of.
[[nodiscard]] std::optional<SystemCall> system_call_of(const TrapFrame& frame);
/// The guest goes on behind it with this value.
void answer(TrapFrame& frame, std::uint64_t value);

/// The bytes at an address of this process, as far as they are there.
[[nodiscard]] std::size_t read_code(std::uint64_t address, std::span<std::uint8_t> to);

/// This KVM executes guest code itself, or most of it, so that there are instructions that it
/// cannot execute. Found out at the first call, which takes the heap.
[[nodiscard]] bool emulates();

}  // namespace guestproof::ring0
