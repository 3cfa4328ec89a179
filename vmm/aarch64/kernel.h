// Puts an arm64 kernel, its initrd and its device tree into guest memory.
//
// Thread-safety: functions; nobody else uses guest memory yet.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "guestproof/memory/mapped_memory.h"
#include "vmm/config.h"
#include "vmm/virtio_machine.h"

namespace guestproof::vmm::aarch64 {

/// What is put before every kernel command line: a kernel that panicked is to leave the machine.
/// What comes later on the line counts.
inline constexpr std::string_view kKernelArguments = "panic=-1";

/// Registers of the processor that boots.
struct BootState {
  std::uint64_t pc = 0;
  std::uint64_t x0 = 0;  // the device tree

  friend bool operator==(const BootState&, const BootState&) = default;
};

/// `affinities` are the processors' (MPIDR_EL1). REQUIRES: RAM as the layout has it. Complaints:
/// kSetup: a file that cannot be read or is no kernel, too little memory for it.
[[nodiscard]] Outcome<BootState> load_kernel(const Config& config, const MappedMemory& memory,
                                             std::vector<std::uint64_t> affinities,
                                             VirtioDescription virtio);

}  // namespace guestproof::vmm::aarch64
