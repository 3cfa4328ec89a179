// The width of a datamatch is the length of the write: a literal's int would be a guess.
#include "guestproof/kvm/vm.h"

guestproof::kvm::IoEvent notify_queue() {
  const auto io = guestproof::kvm::IoEvent::mmio(0x1000);
#ifdef MUST_NOT_COMPILE
  return io.matching(1);
#else
  return io.matching(std::uint16_t{1});
#endif
}
