// A virtual machine from a Config: made whole or not at all, run once.
//
//   auto vm = Vm::create(*config);
//   if (!vm) return complain(vm.error());
//   const auto end = (*vm)->run();
//
// The calling thread serves devices, standard input and signals while the machine runs; each vCPU
// has a thread of its own. SIGTERM, SIGINT and SIGHUP press the power button; a second one, or
// kPatience without the guest powering off, stops the machine (signals.h); so does the first where
// there is no button. A front end ignores SIGPIPE and SIGXFSZ.
//
// Thread-safety: none, but press_power_button() and stop() from any thread.
#pragma once

#include <memory>
#include <span>

#include "guestproof/bus/bus.h"
#include "guestproof/kvm/vcpu.h"
#include "guestproof/kvm/vm.h"
#include "vmm/config.h"
#include "vmm/ending.h"

namespace guestproof::vmm {

/// What else is in a machine: who starts from this monitor begins here. It outlives the machine.
class Addition {
 public:
  virtual ~Addition() = default;
  /// Once, when all that the Config asks for is there, before the processors are.
  [[nodiscard]] virtual Outcome<void> attach(kvm::Vm& vm) = 0;
  /// The processors, as they will start.
  [[nodiscard]] virtual Outcome<void> start(std::span<const kvm::Vcpu> vcpus) = 0;
  /// Ranges that its devices answer at, on the threads of vCPUs.
  virtual void add_to(Bus::Builder& memory, Bus::Builder& ports) = 0;
};

class Vm {
 public:
  /// Complaints: kUsage, kSetup, kFailure; the addition's.
  [[nodiscard]] static Outcome<std::unique_ptr<Vm>> create(const Config& config,
                                                           Addition* addition = nullptr);
  ~Vm();

  /// Until the machine ends.
  [[nodiscard]] End run();
  /// The guest is asked to power off. False when the machine has no button.
  bool press_power_button();
  void stop(End end);

 private:
  struct Parts;
  explicit Vm(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace guestproof::vmm
