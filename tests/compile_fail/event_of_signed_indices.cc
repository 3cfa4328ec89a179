// Indices wrap; signed numbers do not.
#include "guestproof/virtio/queue/notify.h"

bool notify(std::uint16_t event) {
#ifdef MUST_NOT_COMPILE
  return guestproof::virtio::need_event(int{event}, 6, 5);
#else
  return guestproof::virtio::need_event<std::uint16_t>(event, 6, 5);
#endif
}
