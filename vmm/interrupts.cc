#include "vmm/interrupts.h"

#include "vmm/layout.h"

namespace guestproof::vmm {

// KVM refuses a line only where there is no interrupt controller, and there is one.

void SharedGsi::change(bool asserted) {
  const std::scoped_lock locked(mutex_);
  const bool before = asserted_ != 0;
  asserted_ += asserted ? 1U : ~0U;
  const bool now = asserted_ != 0;
  if (now != before) static_cast<void>(vm_.set_irq_line(layout::irq_line(gsi_), now));
}

void OwnGsi::set(bool asserted) {
  static_cast<void>(vm_.set_irq_line(layout::irq_line(gsi_), asserted));
}

void MsiRoute::deliver(const pci::MsiMessage& message) {
  kvm_msi msi{};
  msi.address_lo = static_cast<std::uint32_t>(message.address);
  msi.address_hi = static_cast<std::uint32_t>(message.address >> 32);
  msi.data = message.data;
  static_cast<void>(vm_.signal_msi(msi));
}

}  // namespace guestproof::vmm
