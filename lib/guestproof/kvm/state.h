// All of a vCPU's state, and of the parts of a machine that KVM keeps: out of one, into a new one,
// and as bytes (state_codec.h has the form).
//
// decode() refuses what is not whole; what a restored guest then does with it is the guest's
// matter, as it was before. Not here: guest memory, devices outside KVM, a GIC's registers (its
// attributes: device.h), the PDPTRs of a guest with PAE paging (KVM loads them from memory again).
//
// Thread-safety: values; the functions use the vCPU as run() does, from its thread.
#pragma once

#include "guestproof/kvm/state_codec.h"
#include "guestproof/kvm/vcpu.h"
#include "guestproof/kvm/vm.h"

namespace guestproof::kvm {

struct VcpuState {
#if defined(__x86_64__)
  CpuId cpuid;
  std::uint32_t tsc_khz = 0;
  kvm_sregs sregs{};
  kvm_regs regs{};
  kvm_xcrs xcrs{};
  Xsave xsave;
  kvm_debugregs debugregs{};
  std::vector<kvm_msr_entry> msrs;
  kvm_vcpu_events events{};
  kvm_mp_state mp_state{};
  std::optional<kvm_lapic_state> lapic;  // with an in-kernel interrupt controller
  std::optional<NestedState> nested;     // with KVM_CAP_NESTED_STATE
#else
  kvm_mp_state mp_state{};
  std::vector<Register> registers;
#if defined(__aarch64__)
  kvm_vcpu_init target{};
  kvm_vcpu_events events{};
#endif
#endif

  [[nodiscard]] std::vector<std::byte> encode() const;
  /// Errors: StateError, CallError (of an array).
  [[nodiscard]] static Result<VcpuState> decode(std::span<const std::byte> bytes);
};

#if defined(__x86_64__)
/// Kvm::msr_index_list() and what KVM keeps without listing it: MTRRs, machine check banks,
/// Hyper-V's synthetic interrupt controller and timers.
[[nodiscard]] MsrList state_msrs(const MsrList& listed);
/// `msrs` is usually state_msrs(); those that this vCPU does not have are left out. Errors: of the
/// calls, kExitPending.
[[nodiscard]] Result<VcpuState> save_vcpu(const Vcpu& vcpu, const MsrList& msrs);
/// Into a vCPU that has not run, of a machine like the saved one. Errors: of the calls,
/// kMsrRefused.
[[nodiscard]] Result<void> restore_vcpu(const Vcpu& vcpu, const VcpuState& state);

/// What KVM keeps of a PC. Each part is there when the machine has it.
struct VmState {
  std::optional<kvm_clock_data> clock;
  std::optional<kvm_irqchip> pic_master;
  std::optional<kvm_irqchip> pic_slave;
  std::optional<kvm_irqchip> ioapic;
  std::optional<kvm_pit_state2> pit;

  [[nodiscard]] std::vector<std::byte> encode() const;
  /// Errors: StateError.
  [[nodiscard]] static Result<VmState> decode(std::span<const std::byte> bytes);
};
/// Errors: of the calls; a part that the machine does not have is left out.
[[nodiscard]] Result<VmState> save_vm(const Vm& vm);
/// Into a machine that was made with the same parts. A clock that was read with
/// KVM_CLOCK_REALTIME goes on by the time that has passed since; clear that flag to freeze it.
/// Errors: of the calls.
[[nodiscard]] Result<void> restore_vm(const Vm& vm, const VmState& state);
#elif defined(__aarch64__)
/// `target` is what the vCPU was initialised with. Errors: of the calls, kExitPending.
[[nodiscard]] Result<VcpuState> save_vcpu(const Vcpu& vcpu, const kvm_vcpu_init& target);
/// Into a vCPU that is new: initialises it. Errors: of the calls.
[[nodiscard]] Result<void> restore_vcpu(const Vcpu& vcpu, const VcpuState& state);
#else
/// Errors: of the calls, kExitPending.
[[nodiscard]] Result<VcpuState> save_vcpu(const Vcpu& vcpu);
/// Into a vCPU that has not run. Errors: of the calls.
[[nodiscard]] Result<void> restore_vcpu(const Vcpu& vcpu, const VcpuState& state);
#endif

}  // namespace guestproof::kvm
