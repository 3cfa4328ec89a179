#include "vmm/aarch64/vcpu.h"

namespace guestproof::vmm::aarch64 {
namespace {

/// Aff3, and Aff2 to Aff0: what tells processors apart.
constexpr std::uint64_t kAffinity = 0xff'00ff'ffff;

}  // namespace

Result<std::vector<kvm::Vcpu>> make_vcpus(const kvm::Vm& vm, std::uint32_t count) {
  auto target = vm.preferred_target();
  if (!target) return std::unexpected(target.error());
  target->features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
  std::vector<kvm::Vcpu> vcpus;
  for (std::uint32_t id = 0; id < count; ++id) {
    auto vcpu = vm.create_vcpu(id);
    if (!vcpu) return std::unexpected(vcpu.error());
    if (const auto ok = vcpu->init(*target); !ok) return std::unexpected(ok.error());
    vcpus.push_back(std::move(*vcpu));
    target->features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
  }
  return vcpus;
}

Result<std::vector<std::uint64_t>> affinities(const std::vector<kvm::Vcpu>& vcpus) {
  std::vector<std::uint64_t> all;
  for (const auto& vcpu : vcpus) {
    const auto mpidr = vcpu.get_one_reg<std::uint64_t>(kMpidr);
    if (!mpidr) return std::unexpected(mpidr.error());
    all.push_back(*mpidr & kAffinity);
  }
  return all;
}

Result<void> set_boot_state(const kvm::Vcpu& vcpu, const BootState& state) {
  const auto ok = vcpu.set_one_reg(kPc, state.pc);
  return ok ? vcpu.set_one_reg(kX0, state.x0) : ok;
}

}  // namespace guestproof::vmm::aarch64
