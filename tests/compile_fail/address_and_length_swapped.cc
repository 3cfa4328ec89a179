// Address and length cannot change places.
#include "guestproof/memory/mapped_memory.h"

using guestproof::Access;
using guestproof::GuestAddress;

bool readable(const guestproof::MappedMemory& memory, GuestAddress address, std::uint64_t length) {
#ifdef MUST_NOT_COMPILE
  return check_range(memory, length, address, Access::kRead).has_value();
#else
  return check_range(memory, address, length, Access::kRead).has_value();
#endif
}
