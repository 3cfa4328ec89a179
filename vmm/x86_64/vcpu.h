// What a virtual x86 processor is like when it starts.
//
// Thread-safety: functions.
#pragma once

#include <cstdint>

#include "guestproof/kvm/kvm.h"
#include "guestproof/loader/x86_boot.h"

namespace guestproof::vmm::x86_64 {

/// What KVM and the host's processor can do, as processor `id` of `count` has it: its APIC, one
/// package with a core for each processor, a hypervisor, and the TSC deadline timer when
/// `deadline_timer`. Errors: kTooManyEntries.
[[nodiscard]] Result<kvm::CpuId> processor_cpuid(const kvm::CpuId& supported, std::uint32_t id,
                                                 std::uint32_t count, bool deadline_timer);

/// The state of the processor that boots.
[[nodiscard]] Result<void> set_boot_state(const kvm::Vcpu& vcpu,
                                          const loader::x86::BootState& state);
/// Of every processor: memory is cached as a PC's is, the local APIC passes on what a PC's does.
[[nodiscard]] Result<void> set_common_state(const kvm::Vcpu& vcpu);

}  // namespace guestproof::vmm::x86_64
