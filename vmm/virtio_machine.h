// The virtio devices of the machine on their transport: virtio-mmio, each in a page of its own, or
// virtio-pci, all on one bus.
//
// Thread-safety: accesses by any vCPU's thread, each device's serialised by its lock (on PCI there
// is one for all); the rest by the machine's owner.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "guestproof/acpi/tables.h"
#include "guestproof/bus/bus.h"
#include "guestproof/kvm/vm.h"
#include "vmm/served_device.h"

namespace guestproof::vmm {

/// What firmware tells of them.
struct VirtioDescription {
  std::vector<acpi::VirtioWindow> windows;
  std::optional<acpi::PciRoot> pci;
};

class VirtioMachine {
 public:
  virtual ~VirtioMachine() = default;

  /// Its ranges; those of ports are for processors that have some. It outlives the buses.
  virtual void add_to(Bus::Builder& memory, Bus::Builder& ports) = 0;
  [[nodiscard]] virtual VirtioDescription describe() const = 0;
};

/// All outlive it. Complaints: kFailure.
[[nodiscard]] Outcome<std::unique_ptr<VirtioMachine>> make_mmio_machine(std::vector<Device> devices,
                                                                        const MappedMemory& memory,
                                                                        const kvm::Vm& vm,
                                                                        EventLoop& loop);
[[nodiscard]] Outcome<std::unique_ptr<VirtioMachine>> make_pci_machine(std::vector<Device> devices,
                                                                       const MappedMemory& memory,
                                                                       const kvm::Vm& vm,
                                                                       EventLoop& loop);

}  // namespace guestproof::vmm
