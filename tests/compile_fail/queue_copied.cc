// Chains point to their queue: it stays where it is.
#include "guestproof/memory/mapped_memory.h"
#include "guestproof/virtio/queue/split_queue.h"

using Queue = guestproof::virtio::SplitQueue<guestproof::MappedMemory>;

bool active(Queue& queue) {
#ifdef MUST_NOT_COMPILE
  Queue other = std::move(queue);
#else
  Queue& other = queue;
#endif
  return other.active();
}
