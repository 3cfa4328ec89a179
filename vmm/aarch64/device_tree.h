// The device tree of a virtual Arm machine: what Linux knows it by.
//
// Thread-safety: functions.
// Specification: Devicetree Specification v0.4; Linux, Documentation/devicetree/bindings: arm/cpus,
// arm/psci, timer/arm,arch_timer, interrupt-controller/arm,gic-v3, serial/8250, rtc/arm,pl031,
// virtio/mmio, pci/host-generic-pci; QEMU, docs/specs/pvpanic.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "guestproof/base/error.h"
#include "guestproof/loader/image.h"
#include "vmm/virtio_machine.h"

namespace guestproof::vmm::aarch64 {

struct Machine {
  /// MPIDR_EL1's affinity of each processor.
  std::vector<std::uint64_t> affinities;
  loader::GuestRange ram;
  std::string cmdline;
  loader::GuestRange initrd;  // empty: none
  VirtioDescription virtio;
};

/// Errors: FdtError.
[[nodiscard]] Result<std::vector<std::byte>> device_tree(const Machine& machine);

}  // namespace guestproof::vmm::aarch64
