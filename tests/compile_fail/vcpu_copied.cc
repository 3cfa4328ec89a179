// A vCPU is one descriptor and one page: it moves, and nobody has a second one.
#include "guestproof/kvm/vcpu.h"

int descriptor(guestproof::kvm::Vcpu vcpu) {
#ifdef MUST_NOT_COMPILE
  const guestproof::kvm::Vcpu other = vcpu;
#else
  const guestproof::kvm::Vcpu other = std::move(vcpu);
#endif
  return other.fd();
}
