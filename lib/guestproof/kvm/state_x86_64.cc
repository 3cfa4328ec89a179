// x86_64: the order in which state goes out of, and into, a vCPU and a machine.
#if defined(__x86_64__)

#include <errno.h>

#include <algorithm>

#include "guestproof/kvm/state.h"

namespace guestproof::kvm {
namespace {

/// Calls one after the other, `steps(...) && steps(...)`: the first that fails is the last.
class Steps {
 public:
  [[nodiscard]] bool operator()(const Result<void>& done) {
    if (!done) result_ = done;
    return done.has_value();
  }
  template <class T>
  [[nodiscard]] bool operator()(Result<T> got, T& out) {
    if (!got) return (*this)(Result<void>(std::unexpected(got.error())));
    out = std::move(*got);
    return true;
  }
  /// What the machine does not have stays absent: EINVAL or ENXIO without an in-kernel controller.
  template <class T>
  [[nodiscard]] bool if_there(Result<T> got, std::optional<T>& out) {
    if (got) out = std::move(*got);
    const bool absent = !got && (got.error().value() == EINVAL || got.error().value() == ENXIO);
    return got || absent || (*this)(Result<void>(std::unexpected(got.error())));
  }
  [[nodiscard]] const Result<void>& result() const { return result_; }

 private:
  Result<void> result_;
};

/// The MSRs of the list that this vCPU has, with their values.
Result<std::vector<kvm_msr_entry>> read_msrs(const Vcpu& vcpu, const MsrList& list) {
  std::vector<kvm_msr_entry> values;
  for (auto rest = list.entries(); !rest.empty();) {
    const auto some = rest.first(std::min(rest.size(), kMsrsPerCall));
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
    const auto some = values.first(std::min(values.size(), kMsrsPerCall));
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

/// What nested state and the checks of other MSRs rest on: feature control, VMX's capabilities.
bool comes_early(const kvm_msr_entry& msr) {
  return msr.index == 0x3a || (msr.index >= 0x480 && msr.index <= 0x491);
}

/// MCG_CAP is set by a call of its own, and says how many banks there are.
Result<void> set_up_mce(const Vcpu& vcpu, std::span<const kvm_msr_entry> msrs) {
  const auto mcg_cap = std::ranges::find(msrs, std::uint32_t{0x179}, &kvm_msr_entry::index);
  return mcg_cap == msrs.end() ? Result<void>() : vcpu.setup_mce(mcg_cap->data);
}

void add_range(std::vector<std::uint32_t>& msrs, std::uint32_t first, std::uint32_t last) {
  for (auto index = first; index <= last; ++index) msrs.push_back(index);
}

}  // namespace

MsrList state_msrs(const MsrList& listed) {
  std::vector<std::uint32_t> msrs(listed.entries().begin(), listed.entries().end());
  add_range(msrs, 0x179, 0x17b);            // MCG_CAP, MCG_STATUS, MCG_CTL
  add_range(msrs, 0x200, 0x20f);            // variable MTRRs
  add_range(msrs, 0x250, 0x250);            // fixed MTRR, 64 KiB
  add_range(msrs, 0x258, 0x259);            // 16 KiB
  add_range(msrs, 0x268, 0x26f);            // 4 KiB
  add_range(msrs, 0x2ff, 0x2ff);            // the MTRRs' default type
  add_range(msrs, 0x400, 0x47f);            // 32 machine check banks
  add_range(msrs, 0x40000080, 0x40000084);  // Hyper-V: SynIC
  add_range(msrs, 0x40000090, 0x4000009f);  // its interrupt sources
  add_range(msrs, 0x400000b0, 0x400000b7);  // its timers
  std::ranges::sort(msrs);
  const auto twice = std::ranges::unique(msrs);
  msrs.erase(twice.begin(), twice.end());
  msrs.resize(std::min(msrs.size(), kMsrListLimit));
  return MsrList::of(msrs).value();
}

Result<VcpuState> save_vcpu(const Vcpu& vcpu, const MsrList& msrs) {
  if (vcpu.exit_is_pending()) return fail(CallError::kExitPending);
  VcpuState state;
  Steps steps;
  // First, because asking for it lets KVM finish what it has half accepted (INIT, SIPI).
  const bool whole =
      steps(vcpu.get_mp_state(), state.mp_state) && steps(vcpu.get_cpuid2(), state.cpuid) &&
      steps(vcpu.get_tsc_khz(), state.tsc_khz) && steps(vcpu.get_regs(), state.regs) &&
      steps(vcpu.get_sregs(), state.sregs) && steps(vcpu.get_xsave2(), state.xsave) &&
      steps(vcpu.get_xcrs(), state.xcrs) && steps(vcpu.get_debugregs(), state.debugregs) &&
      steps.if_there(vcpu.get_lapic(), state.lapic) &&
      steps.if_there(vcpu.get_nested_state(), state.nested) &&
      steps(read_msrs(vcpu, msrs), state.msrs) && steps(vcpu.get_vcpu_events(), state.events);
  if (!whole) return std::unexpected(steps.result().error());
  return state;
}

Result<void> restore_vcpu(const Vcpu& vcpu, const VcpuState& state) {
  std::vector<kvm_msr_entry> early, late;
  for (const auto& msr : state.msrs) (comes_early(msr) ? early : late).push_back(msr);
  Steps steps;
  // What the processor is comes before what is in it; the APIC's mode (in sregs) before the APIC;
  // both before MSRs, the deadline timer among them; pending events last, because the calls before
  // may drop or raise some.
  (void)(steps(vcpu.set_cpuid2(state.cpuid)) &&
         (state.tsc_khz == 0 || steps(vcpu.set_tsc_khz(state.tsc_khz))) &&
         steps(vcpu.set_sregs(state.sregs)) && steps(set_up_mce(vcpu, state.msrs)) &&
         steps(write_msrs(vcpu, early)) &&
         (!state.nested || steps(vcpu.set_nested_state(*state.nested))) &&
         steps(vcpu.set_regs(state.regs)) && steps(vcpu.set_xcrs(state.xcrs)) &&
         steps(vcpu.set_xsave(state.xsave)) && steps(vcpu.set_debugregs(state.debugregs)) &&
         (!state.lapic || steps(vcpu.set_lapic(*state.lapic))) && steps(write_msrs(vcpu, late)) &&
         steps(vcpu.set_vcpu_events(state.events)) && steps(vcpu.set_mp_state(state.mp_state)));
  return steps.result();
}

Result<VmState> save_vm(const Vm& vm) {
  VmState state;
  Steps steps;
  const bool whole = steps.if_there(vm.get_clock(), state.clock) &&
                     steps.if_there(vm.get_irqchip(KVM_IRQCHIP_PIC_MASTER), state.pic_master) &&
                     steps.if_there(vm.get_irqchip(KVM_IRQCHIP_PIC_SLAVE), state.pic_slave) &&
                     steps.if_there(vm.get_irqchip(KVM_IRQCHIP_IOAPIC), state.ioapic) &&
                     steps.if_there(vm.get_pit2(), state.pit);
  if (!whole) return std::unexpected(steps.result().error());
  return state;
}

Result<void> restore_vm(const Vm& vm, const VmState& state) {
  auto clock = state.clock;
  // Flags say how the clock was read; only these can be given back.
  if (clock) clock->flags &= KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
  Steps steps;
  (void)((!state.pic_master || steps(vm.set_irqchip(*state.pic_master))) &&
         (!state.pic_slave || steps(vm.set_irqchip(*state.pic_slave))) &&
         (!state.ioapic || steps(vm.set_irqchip(*state.ioapic))) &&
         (!state.pit || steps(vm.set_pit2(*state.pit))) && (!clock || steps(vm.set_clock(*clock))));
  return steps.result();
}

}  // namespace guestproof::kvm

#endif
