// What the kernel refuses is looked at.
#include "guestproof/kvm/vm.h"

void lower(const guestproof::kvm::Vm& vm) {
#ifdef MUST_NOT_COMPILE
  vm.set_irq_line(5, false);
#else
  static_cast<void>(vm.set_irq_line(5, false));
#endif
}
