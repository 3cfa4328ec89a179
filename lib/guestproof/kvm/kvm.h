// /dev/kvm: what this host's KVM can do, and virtual machines from it
// (Documentation/virt/kvm/api.rst, "System ioctls").
//
// Thread-safety: all members may be called from any thread.
#pragma once

#include "guestproof/base/fd.h"
#include "guestproof/kvm/capability.h"
#include "guestproof/kvm/flex_array.h"
#include "guestproof/kvm/vm.h"

namespace guestproof::kvm {

class Kvm {
 public:
  static constexpr const char* kPath = "/dev/kvm";

  /// Opens the device, close-on-exec, and checks its API version. Errors: SystemError::kOpen,
  /// kGetApiVersion, kApiVersion.
  [[nodiscard]] static Result<Kvm> open(const char* path = kPath);
  /// Takes over a descriptor of /dev/kvm that somebody else opened (a jailer, say). Errors:
  /// kGetApiVersion (ENOTTY: it is something else), kApiVersion.
  [[nodiscard]] static Result<Kvm> adopt(Fd fd);
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// Gives the descriptor away.
  [[nodiscard]] Fd release() && { return std::move(fd_); }

  /// Errors: kGetApiVersion.
  [[nodiscard]] Result<int> api_version() const;
  /// 0 when it is absent; what else the value means is the capability's matter. Errors:
  /// kCheckExtension.
  [[nodiscard]] Result<int> check_extension(Capability capability) const;
  [[nodiscard]] Result<int> check_extension(std::uint32_t number) const;
  /// Bytes to map of a vCPU's descriptor. Errors: kGetVcpuMmapSize.
  [[nodiscard]] Result<std::size_t> vcpu_mmap_size() const;

  // Limits, with the values that the documentation gives for kernels that do not say. Errors:
  // kCheckExtension.

  [[nodiscard]] Result<std::size_t> recommended_vcpus() const;
  [[nodiscard]] Result<std::size_t> max_vcpus() const;
  /// One more than the largest vCPU id.
  [[nodiscard]] Result<std::size_t> max_vcpu_id() const;
  [[nodiscard]] Result<std::size_t> max_memory_slots() const;

  /// `type` is 0 for the ordinary machine; KVM_X86_SW_PROTECTED_VM, KVM_VM_TYPE_ARM_IPA_SIZE(n), …
  /// for others. Errors: kCreateVm, kGetVcpuMmapSize.
  [[nodiscard]] Result<Vm> create_vm(std::uint64_t type = 0) const;

#if defined(__x86_64__)
  /// What KVM and the processor can offer a guest. Errors: kGetSupportedCpuid, kEntryCount.
  [[nodiscard]] Result<CpuId> supported_cpuid() const;
  /// What KVM can only emulate. Errors: kGetEmulatedCpuid, kEntryCount.
  [[nodiscard]] Result<CpuId> emulated_cpuid() const;
  /// The Hyper-V leaves that KVM offers (KVM_CAP_SYS_HYPERV_CPUID). Errors: kGetSupportedHvCpuid,
  /// kEntryCount.
  [[nodiscard]] Result<CpuId> supported_hyperv_cpuid() const;
  /// The MSRs that make up a guest's state. Errors: kGetMsrIndexList, kTooManyEntries, kEntryCount.
  [[nodiscard]] Result<MsrList> msr_index_list() const;
  /// The MSRs that describe what the host offers. Errors: kGetMsrFeatureIndexList,
  /// kTooManyEntries, kEntryCount.
  [[nodiscard]] Result<MsrList> msr_feature_index_list() const;
  /// Values of feature MSRs: the entries say which. Errors: kGetMsrs, kMsrRefused.
  [[nodiscard]] Result<void> get_feature_msrs(Msrs& msrs) const;
  /// The machine check capabilities a guest can have (MCG_CAP). Errors: kGetMceCapSupported.
  [[nodiscard]] Result<std::uint64_t> supported_mce_capabilities() const;
#elif defined(__aarch64__)
  /// Bits of guest-physical addresses; 0 where only the default of 40 can be had. Errors:
  /// kCheckExtension.
  [[nodiscard]] Result<std::size_t> host_ipa_limit() const;
  [[nodiscard]] Result<std::size_t> hardware_breakpoints() const;
  [[nodiscard]] Result<std::size_t> hardware_watchpoints() const;
  /// A machine with addresses of that many bits. Errors: as create_vm().
  [[nodiscard]] Result<Vm> create_vm_with_ipa_size(std::uint32_t bits) const;
#endif

 private:
  explicit Kvm(Fd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] Result<std::size_t> limit(Capability capability, std::size_t when_absent) const;

  Fd fd_;
};

}  // namespace guestproof::kvm
