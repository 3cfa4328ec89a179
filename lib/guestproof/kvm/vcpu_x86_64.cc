// x86_64: a vCPU's registers, and what is injected into it.
#if defined(__x86_64__)

#include <errno.h>

#include "guestproof/kvm/arrays.h"
#include "guestproof/kvm/vcpu.h"

namespace guestproof::kvm {

Result<kvm_regs> Vcpu::get_regs() const { return kvm::get<kvm_regs>(fd(), Ioctl::kGetRegs); }
Result<void> Vcpu::set_regs(const kvm_regs& regs) const {
  return kvm::set(fd(), Ioctl::kSetRegs, regs);
}

Result<kvm_sregs> Vcpu::get_sregs() const { return kvm::get<kvm_sregs>(fd(), Ioctl::kGetSregs); }
Result<void> Vcpu::set_sregs(const kvm_sregs& sregs) const {
  return kvm::set(fd(), Ioctl::kSetSregs, sregs);
}

Result<kvm_sregs2> Vcpu::get_sregs2() const {
  return kvm::get<kvm_sregs2>(fd(), Ioctl::kGetSregs2);
}
Result<void> Vcpu::set_sregs2(const kvm_sregs2& sregs) const {
  return kvm::set(fd(), Ioctl::kSetSregs2, sregs);
}

Result<kvm_fpu> Vcpu::get_fpu() const { return kvm::get<kvm_fpu>(fd(), Ioctl::kGetFpu); }
Result<void> Vcpu::set_fpu(const kvm_fpu& fpu) const { return kvm::set(fd(), Ioctl::kSetFpu, fpu); }

Result<Xsave> Vcpu::xsave_of(Ioctl ioctl, std::size_t size) const {
  Xsave xsave{std::vector<std::uint32_t>(size / sizeof(std::uint32_t))};
  if (const auto done = call_with(fd(), ioctl, xsave.words.front()); !done)
    return std::unexpected(done.error());
  return xsave;
}

Result<Xsave> Vcpu::get_xsave() const { return xsave_of(Ioctl::kGetXsave, sizeof(kvm_xsave)); }
Result<Xsave> Vcpu::get_xsave2() const { return xsave_of(Ioctl::kGetXsave2, xsave_size_); }

Result<void> Vcpu::set_xsave(const Xsave& xsave) const {
  const auto bytes = xsave.words.size() * sizeof(std::uint32_t);
  if (bytes != xsave_size_) return fail(CallError::kStateLength, bytes, xsave_size_);
  return kvm::set(fd(), Ioctl::kSetXsave, xsave.words.front());
}

Result<kvm_xcrs> Vcpu::get_xcrs() const { return kvm::get<kvm_xcrs>(fd(), Ioctl::kGetXcrs); }
Result<void> Vcpu::set_xcrs(const kvm_xcrs& xcrs) const {
  return kvm::set(fd(), Ioctl::kSetXcrs, xcrs);
}

Result<kvm_debugregs> Vcpu::get_debugregs() const {
  return kvm::get<kvm_debugregs>(fd(), Ioctl::kGetDebugregs);
}
Result<void> Vcpu::set_debugregs(const kvm_debugregs& debugregs) const {
  return kvm::set(fd(), Ioctl::kSetDebugregs, debugregs);
}

Result<kvm_lapic_state> Vcpu::get_lapic() const {
  return kvm::get<kvm_lapic_state>(fd(), Ioctl::kGetLapic);
}
Result<void> Vcpu::set_lapic(const kvm_lapic_state& lapic) const {
  return kvm::set(fd(), Ioctl::kSetLapic, lapic);
}

Result<kvm_vcpu_events> Vcpu::get_vcpu_events() const {
  return kvm::get<kvm_vcpu_events>(fd(), Ioctl::kGetVcpuEvents);
}
Result<void> Vcpu::set_vcpu_events(const kvm_vcpu_events& events) const {
  return kvm::set(fd(), Ioctl::kSetVcpuEvents, events);
}

Result<void> Vcpu::get_msrs(Msrs& msrs) const { return for_all_msrs(fd(), Ioctl::kGetMsrs, msrs); }
Result<void> Vcpu::set_msrs(const Msrs& msrs) const {
  return for_all_msrs(fd(), Ioctl::kSetMsrs, msrs);
}

NestedState::NestedState(std::size_t bytes) : words_((bytes + 7) / 8) {
  raw().size = static_cast<std::uint32_t>(bytes);
}

Result<NestedState> NestedState::from_bytes(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(kvm_nested_state) || bytes.size() > kLimit)
    return fail(CallError::kStateLength, bytes.size(), kLimit);
  NestedState state(bytes.size());
  std::memcpy(state.words_.data(), bytes.data(), bytes.size());
  if (state.header().size != bytes.size())
    return fail(CallError::kStateLength, bytes.size(), state.header().size);
  return state;
}

Result<NestedState> Vcpu::get_nested_state() const {
  NestedState state(NestedState::kLimit);
  if (const auto done = call_with(fd(), Ioctl::kGetNestedState, state.raw()); !done)
    return std::unexpected(done.error());
  const auto size = state.header().size;
  if (size < sizeof(kvm_nested_state) || size > NestedState::kLimit)
    return fail(CallError::kEntryCount, size, NestedState::kLimit);
  state.words_.resize((size + 7) / 8);
  return state;
}

Result<void> Vcpu::set_nested_state(const NestedState& state) const {
  return kvm::set(fd(), Ioctl::kSetNestedState, state.header());
}

namespace {

bool is_zero(const kvm_cpuid_entry2& entry) {
  static constexpr kvm_cpuid_entry2 kZero{};
  return std::memcmp(&entry, &kZero, sizeof entry) == 0;
}

/// Without the entries at the end that are all 0.
std::span<const kvm_cpuid_entry2> without_zeros(std::span<const kvm_cpuid_entry2> entries) {
  while (!entries.empty() && is_zero(entries.back())) entries = entries.first(entries.size() - 1);
  return entries;
}

}  // namespace

Result<CpuId> Vcpu::get_cpuid2() const {
  auto cpuid = filled<CpuId>(fd(), Ioctl::kGetCpuid2);
  // Some kernels, 6.1 among them, fill the entries and leave the count as it was given.
  if (!cpuid || cpuid->size() < kCpuIdLimit) return cpuid;
  return CpuId::of(without_zeros(cpuid->entries()));
}
Result<void> Vcpu::set_cpuid2(const CpuId& cpuid) const {
  return kvm::set(fd(), Ioctl::kSetCpuid2, cpuid.header());
}

Result<std::uint32_t> Vcpu::get_tsc_khz() const {
  const auto khz = call(fd(), Ioctl::kGetTscKhz);
  if (!khz) return std::unexpected(khz.error());
  return static_cast<std::uint32_t>(*khz);
}
Result<void> Vcpu::set_tsc_khz(std::uint32_t khz) const {
  return order(fd(), Ioctl::kSetTscKhz, khz);
}

Result<kvm_translation> Vcpu::translate(std::uint64_t guest_virtual) const {
  kvm_translation translation{};
  translation.linear_address = guest_virtual;
  return kvm::get(fd(), Ioctl::kTranslate, translation);
}

Result<void> Vcpu::interrupt(std::uint32_t vector) const {
  return kvm::set(fd(), Ioctl::kInterrupt, kvm_interrupt{vector});
}

Result<void> Vcpu::nmi() const { return order(fd(), Ioctl::kNmi); }
Result<void> Vcpu::smi() const { return order(fd(), Ioctl::kSmi); }
Result<void> Vcpu::kvmclock_ctrl() const { return order(fd(), Ioctl::kKvmclockCtrl); }

Result<void> Vcpu::report_tpr_access(bool enabled) const {
  kvm_tpr_access_ctl control{};
  control.enabled = enabled ? 1 : 0;
  return kvm::set(fd(), Ioctl::kTprAccessReporting, control);
}

Result<void> Vcpu::set_vapic_address(std::uint64_t address) const {
  return kvm::set(fd(), Ioctl::kSetVapicAddr, kvm_vapic_addr{address});
}

Result<void> Vcpu::setup_mce(std::uint64_t capabilities) const {
  return kvm::set(fd(), Ioctl::kSetupMce, capabilities);
}

Result<void> Vcpu::set_mce(const kvm_x86_mce& mce) const {
  return kvm::set(fd(), Ioctl::kSetMce, mce);
}

Result<kvm_xen_vcpu_attr> Vcpu::get_xen_attribute(std::uint16_t type) const {
  kvm_xen_vcpu_attr attribute{};
  attribute.type = type;
  return kvm::get(fd(), Ioctl::kXenVcpuGetAttr, attribute);
}

Result<void> Vcpu::set_xen_attribute(const kvm_xen_vcpu_attr& attribute) const {
  return kvm::set(fd(), Ioctl::kXenVcpuSetAttr, attribute);
}

}  // namespace guestproof::kvm

#endif
