// A virtqueue whose ring is split, for one thread.
//
// Thread-safety: none; SharedQueue (shared_queue.h) is the same for several threads.
// Specification: virtio 1.3 §2.7.
#pragma once

#include "guestproof/virtio/queue/queue.h"
#include "guestproof/virtio/queue/split_ring.h"

namespace guestproof::virtio {

template <GuestMemory M>
using SplitQueue = BasicQueue<SplitRing<M>, NoMutex>;

}  // namespace guestproof::virtio
