// Interrupts of devices on their way to KVM's interrupt controllers.
//
// Thread-safety: any thread; a GsiLine is its device's, under the device's lock.
#pragma once

#include <cstdint>
#include <mutex>
#include <utility>

#include "guestproof/base/interrupt_line.h"
#include "guestproof/kvm/vm.h"
#include "guestproof/pci/bus.h"
#include "guestproof/pci/msix.h"

namespace guestproof::vmm {

/// An input of the interrupt controller that several level-triggered devices share: high while one
/// of them is.
class SharedGsi {
 public:
  /// `vm` outlives it.
  SharedGsi(const kvm::Vm& vm, std::uint32_t gsi) : vm_(vm), gsi_(gsi) {}

  /// One of its devices has become asserted, or has ceased to be.
  void change(bool asserted);
  [[nodiscard]] std::uint32_t gsi() const { return gsi_; }

 private:
  const kvm::Vm& vm_;
  const std::uint32_t gsi_;
  std::mutex mutex_;
  std::uint32_t asserted_ = 0;
};

/// A device's line to such an input.
class GsiLine final : public InterruptLine {
 public:
  explicit GsiLine(SharedGsi& gsi) : gsi_(gsi) {}
  void set(bool asserted) override {
    if (std::exchange(level_, asserted) != asserted) gsi_.change(asserted);
  }

 private:
  SharedGsi& gsi_;
  bool level_ = false;
};

/// An input that one device has for itself.
class OwnGsi final : public InterruptLine {
 public:
  OwnGsi(const kvm::Vm& vm, std::uint32_t gsi) : vm_(vm), gsi_(gsi) {}
  void set(bool asserted) override;

 private:
  const kvm::Vm& vm_;
  std::uint32_t gsi_;
};

/// Messages of MSI-X. One that names no interrupt of this machine reaches nobody.
class MsiRoute final : public pci::MsiSink {
 public:
  explicit MsiRoute(const kvm::Vm& vm) : vm_(vm) {}
  void deliver(const pci::MsiMessage& message) override;

 private:
  const kvm::Vm& vm_;
};

}  // namespace guestproof::vmm
