// aarch64 and riscv64: a vCPU is its registers.
#if defined(__aarch64__) || defined(__riscv)

#include "guestproof/kvm/state.h"

namespace guestproof::kvm {
namespace {

Result<std::vector<Register>> read_registers(const Vcpu& vcpu) {
  const auto list = vcpu.get_reg_list();
  if (!list) return std::unexpected(list.error());
  std::vector<Register> registers;
  for (const std::uint64_t id : list->entries()) {
    const auto size = Vcpu::register_size(id);
    if (size > kMaxRegisterBytes) return fail(CallError::kRegisterSize, kMaxRegisterBytes, size);
    Register one{id, std::vector<std::byte>(size)};
    if (const auto done = vcpu.get_one_reg(id, one.value); !done)
      return std::unexpected(done.error());
    registers.push_back(std::move(one));
  }
  return registers;
}

bool has_value(const Vcpu& vcpu, const Register& wanted) {
  std::vector<std::byte> now(wanted.value.size());
  return vcpu.get_one_reg(wanted.id, now) && now == wanted.value;
}

}  // namespace

#if defined(__aarch64__)
Result<VcpuState> save_vcpu(const Vcpu& vcpu, const kvm_vcpu_init& target) {
#else
Result<VcpuState> save_vcpu(const Vcpu& vcpu) {
#endif
  if (vcpu.exit_is_pending()) return fail(CallError::kExitPending);
  VcpuState state;
  const auto mp_state = vcpu.get_mp_state();
  if (!mp_state) return std::unexpected(mp_state.error());
  state.mp_state = *mp_state;
  auto registers = read_registers(vcpu);
  if (!registers) return std::unexpected(registers.error());
  state.registers = std::move(*registers);
#if defined(__aarch64__)
  const auto events = vcpu.get_vcpu_events();
  if (!events) return std::unexpected(events.error());
  state.events = *events;
  state.target = target;
#endif
  return state;
}

Result<void> restore_vcpu(const Vcpu& vcpu, const VcpuState& state) {
#if defined(__aarch64__)
  if (const auto done = vcpu.init(state.target); !done) return done;
  if ((state.target.features[0] & (1U << KVM_ARM_VCPU_SVE)) != 0) {
    // How long vectors are is settled before the registers that are as long as that exist.
    for (const auto& one : state.registers)
      if (one.id == KVM_REG_ARM64_SVE_VLS)
        if (const auto done = vcpu.set_one_reg(one.id, one.value); !done) return done;
    if (const auto done = vcpu.finalize(KVM_ARM_VCPU_SVE); !done) return done;
  }
#endif
  for (const auto& one : state.registers) {
    const auto done = vcpu.set_one_reg(one.id, one.value);
    // Some are refused (the state of a riscv64 timer that is off, vector lengths that are settled).
    // That is no loss where the new vCPU has the value already.
    if (!done && !has_value(vcpu, one)) return done;
  }
#if defined(__aarch64__)
  if (const auto done = vcpu.set_vcpu_events(state.events); !done) return done;
#endif
  return vcpu.set_mp_state(state.mp_state);
}

}  // namespace guestproof::kvm

#endif
