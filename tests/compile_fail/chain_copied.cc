// A chain is returned once, so it has one holder: it moves and is not copied.
#include "guestproof/memory/mapped_memory.h"
#include "guestproof/virtio/queue/split_queue.h"

using Chain = guestproof::virtio::Chain<guestproof::virtio::SplitQueue<guestproof::MappedMemory>>;

Chain hand_over(Chain& chain) {
#ifdef MUST_NOT_COMPILE
  return chain;
#else
  return std::move(chain);
#endif
}
