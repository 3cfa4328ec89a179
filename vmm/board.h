// The machine but for its virtio devices: KVM's part of it, the chips of its board, what firmware
// would tell, and its processors as they start. There is one for each architecture.
//
// Thread-safety: press_power_button() and accesses of its chips by any thread; the rest by the
// machine's owner.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "guestproof/base/interrupt_line.h"
#include "guestproof/bus/bus.h"
#include "guestproof/kvm/vcpu.h"
#include "guestproof/kvm/vm.h"
#include "guestproof/memory/mapped_memory.h"
#include "vmm/config.h"
#include "vmm/ending.h"
#include "vmm/event_loop.h"
#include "vmm/virtio_machine.h"

namespace guestproof::vmm {

class Board {
 public:
  virtual ~Board() = default;

  [[nodiscard]] virtual kvm::Vm& vm() = 0;
  /// The serial port's interrupt.
  [[nodiscard]] virtual InterruptLine& serial_line() = 0;
  /// The ranges of its chips and of the serial port; those of ports are for processors that have
  /// some. Both outlive the buses.
  virtual void add_to(Bus::Builder& memory, Bus::Builder& ports, BusDevice& serial) = 0;

  /// Puts the kernel and all that it is told into memory. Returns the processors, of which the
  /// first enters the kernel. Once. Complaints: kSetup, kFailure.
  [[nodiscard]] virtual Outcome<std::vector<kvm::Vcpu>> boot(const MappedMemory& memory,
                                                             const VirtioMachine& virtio) = 0;

  /// The guest is asked to power off. False when there is no button.
  virtual bool press_power_button() = 0;
};

/// For --help.
struct KernelHelp {
  std::string_view formats;
  std::string_view arguments;  // before every command line
};
[[nodiscard]] KernelHelp kernel_help();

/// All outlive it. Complaints: kSetup: there is no KVM here; kFailure.
[[nodiscard]] Outcome<std::unique_ptr<Board>> make_board(const Config& config, EventLoop& loop,
                                                         Ending& ending);

}  // namespace guestproof::vmm
