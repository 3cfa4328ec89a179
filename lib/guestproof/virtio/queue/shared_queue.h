// A split virtqueue that several threads use: one takes chains, others return them (asynchronous
// back ends), or several do both. Same members and same results as SplitQueue.
//
// Thread-safety: every member, and complete() on its chains, may be called from any thread.
// reset(), remap() and activate() from another thread than the device's need the device to be
// quiescent: a chain must not be looked at while a reset takes its bytes away, and a Reader or
// Writer that is in use at that moment would still use the old memory map, and memory that is the
// driver's again.
// Specification: virtio 1.3 §2.7.
#pragma once

#include <mutex>

#include "guestproof/virtio/queue/split_queue.h"

namespace guestproof::virtio {

template <GuestMemory M>
using SharedQueue = BasicQueue<SplitRing<M>, std::mutex>;

}  // namespace guestproof::virtio
