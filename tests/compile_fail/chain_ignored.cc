// A chain that nobody takes hold of would come back unserved.
#include "guestproof/memory/mapped_memory.h"
#include "guestproof/virtio/queue/split_queue.h"

void serve(guestproof::virtio::SplitQueue<guestproof::MappedMemory>& queue) {
#ifdef MUST_NOT_COMPILE
  queue.pop();
#else
  static_cast<void>(queue.pop());
#endif
}
