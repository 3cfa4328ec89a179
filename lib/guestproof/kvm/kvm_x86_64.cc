// x86_64: what this host's processor and KVM offer guests.
#if defined(__x86_64__)

#include "guestproof/kvm/arrays.h"
#include "guestproof/kvm/kvm.h"

namespace guestproof::kvm {

Result<CpuId> Kvm::supported_cpuid() const {
  return filled<CpuId>(fd(), Ioctl::kGetSupportedCpuid);
}

Result<CpuId> Kvm::emulated_cpuid() const { return filled<CpuId>(fd(), Ioctl::kGetEmulatedCpuid); }

Result<CpuId> Kvm::supported_hyperv_cpuid() const {
  return filled<CpuId>(fd(), Ioctl::kGetSupportedHvCpuid);
}

Result<MsrList> Kvm::msr_index_list() const {
  return filled<MsrList>(fd(), Ioctl::kGetMsrIndexList);
}

Result<MsrList> Kvm::msr_feature_index_list() const {
  return filled<MsrList>(fd(), Ioctl::kGetMsrFeatureIndexList);
}

Result<void> Kvm::get_feature_msrs(Msrs& msrs) const {
  return for_all_msrs(fd(), Ioctl::kGetMsrs, msrs);
}

Result<std::uint64_t> Kvm::supported_mce_capabilities() const {
  return kvm::get<std::uint64_t>(fd(), Ioctl::kGetMceCapSupported);
}

}  // namespace guestproof::kvm

#endif
