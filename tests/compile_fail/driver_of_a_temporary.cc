// A driver keeps a pointer to the memory it is given: a temporary would be gone at its first
// access.
#include "guestproof/testing/driver.h"
#include "guestproof/testing/watched_memory.h"

using guestproof::testing::QueueLayout;
using guestproof::testing::WatchedMemory;

void drive(const WatchedMemory& memory, const QueueLayout& layout) {
#ifdef MUST_NOT_COMPILE
  const guestproof::testing::Driver driver(memory.guest(), layout);
#else
  const auto guest = memory.guest();
  const guestproof::testing::Driver driver(guest, layout);
#endif
  static_cast<void>(driver.layout());
}
