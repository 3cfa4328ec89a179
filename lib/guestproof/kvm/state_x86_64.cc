// x86_64: the order in which state goes out of, and into, a vCPU and a machine.
#if defined(__x86_64__)

#include <errno.h>

#include "guestproof/kvm/state.h"

namespace guestproof::kvm {
namespace {

/// Calls one after the other, until one fails.
class Steps {
 public:
  template <class T>
  void get(Result<T> got, T& out) {
    if (!got) return note(got.error());
    if (ok()) out = std::move(*got);
  }
  /// What the machine does not have: EINVAL or ENXIO without an in-kernel controller.
  template <class T>
  void get_if_there(Result<T> got, std::optional<T>& out) {
    if (got && ok()) out = std::move(*got);
    if (!got && got.error().value() != EINVAL && got.error().value() != ENXIO) note(got.error());
  }
  void note(const Error& error) {
    if (ok()) result_ = std::unexpected(error);
  }
  void did(const Result<void>& done) {
    if (!done) note(done.error());
  }
  [[nodiscard]] bool ok() const { return result_.has_value(); }
  [[nodiscard]] const Result<void>& result() const { return result_; }

 private:
  Result<void> result_;
};

/// The MSRs of the list that this vCPU has, with their values.
Result<std::vector<kvm_msr_entry>> read_msrs(const Vcpu& vcpu, const MsrList& list) {
  std::vector<kvm_msr_entry> values;
  for (auto rest = list.entries(); !rest.empty();) {
    const auto some = rest.first(std::min(rest.size(), kMsrsLimit));
    auto msrs = Msrs::zeroed(some.size());
    if (!msrs) return std::unexpected(msrs.error());
    for (std::size_t i = 0; i < some.size(); ++i) msrs->entries()[i].index = some[i];
    const auto done = vcpu.get_msrs(*msrs);
    const auto refused = !done && done.error() == CallError::kMsrRefused;
    if (!done && !refused) return std::unexpected(done.error());
    const auto count = refused ? static_cast<std::size_t>(done.error().limit()) : some.size();
    const auto read = msrs->entries().first(count);
    values.insert(values.end(), read.begin(), read.end());
    rest = rest.subspan(refused ? count + 1 : count);
  }
  return values;
}

bool has_value(const Vcpu& vcpu, const kvm_msr_entry& wanted) {
  auto now = Msrs::of(std::span(&wanted, 1));
  return now && vcpu.get_msrs(*now) && now->entries().front().data == wanted.data;
}

Result<void> write_msrs(const Vcpu& vcpu, std::span<const kvm_msr_entry> values) {
  while (!values.empty()) {
    const auto some = values.first(std::min(values.size(), kMsrsLimit));
    const auto msrs = Msrs::of(some);
    if (!msrs) return std::unexpected(msrs.error());
    const auto done = vcpu.set_msrs(*msrs);
    const auto refused = !done && done.error() == CallError::kMsrRefused;
    if (!done && !refused) return done;
    const auto count = refused ? static_cast<std::size_t>(done.error().limit()) : some.size();
    // Some may be read and not written (MSR_KVM_ASYNC_PF_INT without an APIC). That is no loss
    // where the new vCPU has the value already.
    if (refused && !has_value(vcpu, some[count])) return done;
    values = values.subspan(refused ? count + 1 : count);
  }
  return {};
}

}  // namespace

Result<VcpuState> save_vcpu(const Vcpu& vcpu, const MsrList& msrs) {
  VcpuState state;
  Steps steps;
  // First, because asking for it lets KVM finish what it has half accepted (INIT, SIPI).
  steps.get(vcpu.get_mp_state(), state.mp_state);
  steps.get(vcpu.get_cpuid2(), state.cpuid);
  steps.get(vcpu.get_tsc_khz(), state.tsc_khz);
  steps.get(vcpu.get_regs(), state.regs);
  steps.get(vcpu.get_sregs(), state.sregs);
  steps.get(vcpu.get_xsave2(), state.xsave);
  steps.get(vcpu.get_xcrs(), state.xcrs);
  steps.get(vcpu.get_debugregs(), state.debugregs);
  steps.get_if_there(vcpu.get_lapic(), state.lapic);
  steps.get_if_there(vcpu.get_nested_state(), state.nested);
  steps.get(read_msrs(vcpu, msrs), state.msrs);
  steps.get(vcpu.get_vcpu_events(), state.events);
  if (!steps.ok()) return std::unexpected(steps.result().error());
  return state;
}

Result<void> restore_vcpu(const Vcpu& vcpu, const VcpuState& state) {
  Steps steps;
  // What the processor is comes before what is in it; the APIC's mode (in sregs) before the APIC;
  // both before MSRs, the deadline timer among them; pending events last, because the calls before
  // may drop or raise some.
  steps.did(vcpu.set_cpuid2(state.cpuid));
  if (state.tsc_khz != 0) steps.did(vcpu.set_tsc_khz(state.tsc_khz));
  steps.did(vcpu.set_sregs(state.sregs));
  if (state.nested) steps.did(vcpu.set_nested_state(*state.nested));
  steps.did(vcpu.set_regs(state.regs));
  steps.did(vcpu.set_xcrs(state.xcrs));
  steps.did(vcpu.set_xsave(state.xsave));
  steps.did(vcpu.set_debugregs(state.debugregs));
  if (state.lapic) steps.did(vcpu.set_lapic(*state.lapic));
  steps.did(write_msrs(vcpu, state.msrs));
  steps.did(vcpu.set_vcpu_events(state.events));
  steps.did(vcpu.set_mp_state(state.mp_state));
  return steps.result();
}

Result<VmState> save_vm(const Vm& vm) {
  VmState state;
  Steps steps;
  steps.get_if_there(vm.get_clock(), state.clock);
  steps.get_if_there(vm.get_irqchip(KVM_IRQCHIP_PIC_MASTER), state.pic_master);
  steps.get_if_there(vm.get_irqchip(KVM_IRQCHIP_PIC_SLAVE), state.pic_slave);
  steps.get_if_there(vm.get_irqchip(KVM_IRQCHIP_IOAPIC), state.ioapic);
  steps.get_if_there(vm.get_pit2(), state.pit);
  if (!steps.ok()) return std::unexpected(steps.result().error());
  return state;
}

Result<void> restore_vm(const Vm& vm, const VmState& state) {
  Steps steps;
  for (const auto& chip : {state.pic_master, state.pic_slave, state.ioapic})
    if (chip) steps.did(vm.set_irqchip(*chip));
  if (state.pit) steps.did(vm.set_pit2(*state.pit));
  if (state.clock) {
    // Flags say how the clock was read; only these can be given back.
    auto clock = *state.clock;
    clock.flags &= KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
    steps.did(vm.set_clock(clock));
  }
  return steps.result();
}

}  // namespace guestproof::kvm

#endif
