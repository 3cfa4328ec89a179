// A number becomes an address only where somebody says so.
#include "guestproof/memory/guest_address.h"

using guestproof::GuestAddress;

GuestAddress first_page() {
#ifdef MUST_NOT_COMPILE
  return 0x1000;
#else
  return GuestAddress(0x1000);
#endif
}
