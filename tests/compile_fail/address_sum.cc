// Two addresses have no sum; an address and a length have one, which may not exist.
#include "guestproof/memory/guest_address.h"

using guestproof::GuestAddress;

std::optional<GuestAddress> after(GuestAddress address, GuestAddress other) {
#ifdef MUST_NOT_COMPILE
  return address + other;
#else
  return address.checked_add(other.raw());
#endif
}
