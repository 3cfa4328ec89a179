// What messages say of a processor that does not go on. Each architecture has its own.
//
// Thread-safety: the vCPU's thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "guestproof/kvm/vcpu.h"
#include "guestproof/memory/mapped_memory.h"

namespace guestproof::vmm {

/// The instruction pointer by its name, "rip 0xfff0"; empty when KVM does not tell it.
[[nodiscard]] std::string position(const kvm::Vcpu& vcpu);
/// The bytes that are there; none where that leads nowhere, or where KVM does not say whither.
[[nodiscard]] std::vector<std::byte> instruction(const kvm::Vcpu& vcpu, const MappedMemory& ram);

}  // namespace guestproof::vmm
