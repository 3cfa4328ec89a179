// What a virtual Arm processor is like when it starts.
//
// Thread-safety: functions.
// Specification: Linux, Documentation/arch/arm64/booting.rst §4; Arm ARM DDI 0487, D19.
#pragma once

#include <stddef.h>

#include <cstdint>
#include <vector>

#include "guestproof/kvm/vm.h"
#include "vmm/aarch64/kernel.h"

namespace guestproof::vmm::aarch64 {

constexpr std::uint64_t core_register(std::size_t offset) {
  return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | offset / sizeof(std::uint32_t);
}
inline constexpr std::uint64_t kX0 = core_register(offsetof(kvm_regs, regs.regs[0]));
inline constexpr std::uint64_t kPc = core_register(offsetof(kvm_regs, regs.pc));
inline constexpr std::uint64_t kMpidr = ARM64_SYS_REG(3, 0, 0, 0, 5);
inline constexpr std::uint64_t kSctlr = ARM64_SYS_REG(3, 0, 1, 0, 0);

/// The first runs, the others wait for PSCI's CPU_ON.
[[nodiscard]] Result<std::vector<kvm::Vcpu>> make_vcpus(const kvm::Vm& vm, std::uint32_t count);
/// What each is called in a device tree and by PSCI: its affinity.
[[nodiscard]] Result<std::vector<std::uint64_t>> affinities(const std::vector<kvm::Vcpu>& vcpus);
/// KVM's reset leaves a processor as Linux expects it: at EL1, without MMU and interrupts.
[[nodiscard]] Result<void> set_boot_state(const kvm::Vcpu& vcpu, const BootState& state);

}  // namespace guestproof::vmm::aarch64
