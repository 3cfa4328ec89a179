// aarch64 and riscv64: registers by id.
#if defined(__aarch64__) || defined(__riscv)

#include "guestproof/kvm/arrays.h"
#include "guestproof/kvm/vcpu.h"

namespace guestproof::kvm {

Result<RegList> Vcpu::get_reg_list() const { return filled<RegList>(fd(), Ioctl::kGetRegList); }

Result<void> Vcpu::get_one_reg(std::uint64_t id, std::span<std::byte> out) const {
  if (out.size() != register_size(id))
    return fail(CallError::kRegisterSize, out.size(), register_size(id));
  return kvm::set(fd(), Ioctl::kGetOneReg,
                  kvm_one_reg{.id = id, .addr = reinterpret_cast<std::uintptr_t>(out.data())});
}

Result<void> Vcpu::set_one_reg(std::uint64_t id, std::span<const std::byte> value) const {
  if (value.size() != register_size(id))
    return fail(CallError::kRegisterSize, value.size(), register_size(id));
  return kvm::set(fd(), Ioctl::kSetOneReg,
                  kvm_one_reg{.id = id, .addr = reinterpret_cast<std::uintptr_t>(value.data())});
}

#if defined(__aarch64__)
Result<void> Vcpu::init(const kvm_vcpu_init& target) const {
  return kvm::set(fd(), Ioctl::kArmVcpuInit, target);
}

Result<void> Vcpu::finalize(int feature) const {
  return kvm::set(fd(), Ioctl::kArmVcpuFinalize, feature);
}

Result<kvm_vcpu_events> Vcpu::get_vcpu_events() const {
  return kvm::get<kvm_vcpu_events>(fd(), Ioctl::kGetVcpuEvents);
}

Result<void> Vcpu::set_vcpu_events(const kvm_vcpu_events& events) const {
  return kvm::set(fd(), Ioctl::kSetVcpuEvents, events);
}
#else
Result<void> Vcpu::set_interrupt(bool level) const {
  return kvm::set(fd(), Ioctl::kInterrupt,
                  kvm_interrupt{level ? static_cast<__u32>(KVM_INTERRUPT_SET)
                                      : static_cast<__u32>(KVM_INTERRUPT_UNSET)});
}
#endif

}  // namespace guestproof::kvm

#endif
