#include "guestproof/kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>

namespace guestproof::kvm {

Result<Kvm> Kvm::open(const char* path) {
  Fd fd(::open(path, O_RDWR | O_CLOEXEC));
  if (!fd.valid()) return fail(SystemError::kOpen, static_cast<std::uint64_t>(errno));
  return adopt(std::move(fd));
}

Result<Kvm> Kvm::adopt(Fd fd) {
  Kvm kvm(std::move(fd));
  const auto version = kvm.api_version();
  if (!version) return std::unexpected(version.error());
  if (*version != KVM_API_VERSION)
    return fail(CallError::kApiVersion, static_cast<std::uint64_t>(*version), KVM_API_VERSION);
  return kvm;
}

Result<int> Kvm::api_version() const { return call(fd(), Ioctl::kGetApiVersion); }

Result<int> Kvm::check_extension(Capability capability) const {
  return check_extension(static_cast<std::uint32_t>(capability));
}

Result<int> Kvm::check_extension(std::uint32_t number) const {
  return call(fd(), Ioctl::kCheckExtension, number);
}

Result<std::size_t> Kvm::vcpu_mmap_size() const {
  const auto size = call(fd(), Ioctl::kGetVcpuMmapSize);
  if (!size) return std::unexpected(size.error());
  return static_cast<std::size_t>(*size);
}

Result<std::size_t> Kvm::limit(Capability capability, std::size_t when_absent) const {
  const auto value = check_extension(capability);
  if (!value) return std::unexpected(value.error());
  return *value > 0 ? static_cast<std::size_t>(*value) : when_absent;
}

Result<std::size_t> Kvm::recommended_vcpus() const { return limit(Capability::kNrVcpus, 4); }

Result<std::size_t> Kvm::max_vcpus() const {
  const auto recommended = recommended_vcpus();
  return recommended ? limit(Capability::kMaxVcpus, *recommended) : recommended;
}

Result<std::size_t> Kvm::max_vcpu_id() const {
  const auto vcpus = max_vcpus();
  return vcpus ? limit(Capability::kMaxVcpuId, *vcpus) : vcpus;
}

Result<std::size_t> Kvm::max_memory_slots() const { return limit(Capability::kNrMemslots, 32); }

Result<Vm> Kvm::create_vm(std::uint64_t type) const {
  const auto run_size = vcpu_mmap_size();
  if (!run_size) return std::unexpected(run_size.error());
  auto vm = call(fd(), Ioctl::kCreateVm, type);
  // A pending signal interrupts the creation, and nothing was created.
  while (!vm && vm.error().value() == EINTR) vm = call(fd(), Ioctl::kCreateVm, type);
  if (!vm) return std::unexpected(vm.error());
  return Vm::adopt(Fd(*vm), *run_size);
}

#if defined(__aarch64__)
Result<std::size_t> Kvm::host_ipa_limit() const { return limit(Capability::kArmVmIpaSize, 0); }

Result<std::size_t> Kvm::hardware_breakpoints() const {
  return limit(Capability::kGuestDebugHwBps, 0);
}

Result<std::size_t> Kvm::hardware_watchpoints() const {
  return limit(Capability::kGuestDebugHwWps, 0);
}

Result<Vm> Kvm::create_vm_with_ipa_size(std::uint32_t bits) const {
  return create_vm(KVM_VM_TYPE_ARM_IPA_SIZE(bits));
}
#endif

}  // namespace guestproof::kvm
