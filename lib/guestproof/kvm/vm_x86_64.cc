// x86_64: the parts of a PC that KVM has inside, and who may touch which MSR.
#if defined(__x86_64__)

#include "guestproof/kvm/vm.h"

namespace guestproof::kvm {

Result<void> Vm::set_tss_address(std::uint64_t address) const {
  return order(fd(), Ioctl::kSetTssAddr, address);
}

Result<void> Vm::set_identity_map_address(std::uint64_t address) const {
  return kvm::set(fd(), Ioctl::kSetIdentityMapAddr, address);
}

Result<void> Vm::set_boot_cpu_id(std::uint32_t id) const {
  return order(fd(), Ioctl::kSetBootCpuId, id);
}

Result<kvm_irqchip> Vm::get_irqchip(std::uint32_t chip_id) const {
  kvm_irqchip chip{};
  chip.chip_id = chip_id;
  return kvm::get(fd(), Ioctl::kGetIrqchip, chip);
}

Result<void> Vm::set_irqchip(const kvm_irqchip& chip) const {
  return kvm::set(fd(), Ioctl::kSetIrqchip, chip);
}

Result<std::int32_t> Vm::set_irq_line_status(std::uint32_t irq, bool level) const {
  kvm_irq_level request{};
  request.irq = irq;
  request.level = level ? 1 : 0;
  const auto answered = kvm::get(fd(), Ioctl::kIrqLineStatus, request);
  if (!answered) return std::unexpected(answered.error());
  return answered->status;
}

Result<void> Vm::create_pit2(std::uint32_t flags) const {
  kvm_pit_config config{};
  config.flags = flags;
  return kvm::set(fd(), Ioctl::kCreatePit2, config);
}

Result<kvm_pit_state2> Vm::get_pit2() const {
  return kvm::get<kvm_pit_state2>(fd(), Ioctl::kGetPit2);
}

Result<void> Vm::set_pit2(const kvm_pit_state2& state) const {
  return kvm::set(fd(), Ioctl::kSetPit2, state);
}

Result<void> Vm::set_pit_reinject(bool reinject) const {
  kvm_reinject_control control{};
  control.pit_reinject = reinject ? 1 : 0;
  return kvm::set(fd(), Ioctl::kReinjectControl, control);
}

Result<kvm_clock_data> Vm::get_clock() const {
  return kvm::get<kvm_clock_data>(fd(), Ioctl::kGetClock);
}

Result<void> Vm::set_clock(const kvm_clock_data& clock) const {
  return kvm::set(fd(), Ioctl::kSetClock, clock);
}

Result<void> Vm::set_msr_filter(std::span<const MsrFilterRange> ranges, bool deny_others) const {
  kvm_msr_filter filter{};
  if (ranges.size() > std::size(filter.ranges))
    return fail(CallError::kTooManyEntries, ranges.size(), std::size(filter.ranges));
  filter.flags = deny_others ? KVM_MSR_FILTER_DEFAULT_DENY : KVM_MSR_FILTER_DEFAULT_ALLOW;
  // The kernel reads whole words of 64 bits.
  std::array<std::vector<std::uint64_t>, KVM_MSR_FILTER_MAX_RANGES> bitmaps;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const auto& range = ranges[i];
    if (range.allowed.size() != (std::size_t{range.count} + 7) / 8)
      return fail(CallError::kMsrBitmap, range.allowed.size() * 8, range.count);
    // One by one, so that what lies between them stays 0.
    bitmaps[i].resize((range.allowed.size() + 7) / 8);
    std::ranges::copy(range.allowed, reinterpret_cast<std::uint8_t*>(bitmaps[i].data()));
    auto& out = filter.ranges[i];
    out.flags = range.flags;
    out.nmsrs = range.count;
    out.base = range.base;
    out.bitmap = reinterpret_cast<std::uint8_t*>(bitmaps[i].data());
  }
  return kvm::set(fd(), Ioctl::kSetMsrFilter, filter);
}

Result<void> Vm::set_pmu_event_filter(const PmuEventFilter& filter) const {
  return kvm::set(fd(), Ioctl::kSetPmuEventFilter, filter.header());
}

Result<void> Vm::encrypt_op(kvm_sev_cmd& command) const {
  if (const auto done = call_with(fd(), Ioctl::kMemoryEncryptOp, command); !done)
    return std::unexpected(done.error());
  return {};
}

Result<void> Vm::encryption_available() const { return order(fd(), Ioctl::kMemoryEncryptOp); }

Result<void> Vm::register_encrypted_region(const kvm_enc_region& region) const {
  return kvm::set(fd(), Ioctl::kMemoryEncryptRegRegion, region);
}

Result<void> Vm::unregister_encrypted_region(const kvm_enc_region& region) const {
  return kvm::set(fd(), Ioctl::kMemoryEncryptUnregRegion, region);
}

Result<void> Vm::configure_xen(const kvm_xen_hvm_config& config) const {
  return kvm::set(fd(), Ioctl::kXenHvmConfig, config);
}

Result<kvm_xen_hvm_attr> Vm::get_xen_attribute(std::uint16_t type) const {
  kvm_xen_hvm_attr attribute{};
  attribute.type = type;
  return kvm::get(fd(), Ioctl::kXenHvmGetAttr, attribute);
}

Result<void> Vm::set_xen_attribute(const kvm_xen_hvm_attr& attribute) const {
  return kvm::set(fd(), Ioctl::kXenHvmSetAttr, attribute);
}

}  // namespace guestproof::kvm

#endif
