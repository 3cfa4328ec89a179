// A result that may be an error is looked at.
#include "guestproof/memory/mapped_memory.h"
#include "guestproof/virtio/queue/config.h"

void configure(guestproof::virtio::QueueConfig& config) {
#ifdef MUST_NOT_COMPILE
  config.set_size(8);
#else
  static_cast<void>(config.set_size(8));
#endif
}
