// A split virtqueue: what a device takes chains from, see turn.h for its loop.
//
// Thread-safety: SplitQueue has none; SharedQueue (shared_queue.h) is the same for several threads.
// Specification: virtio 1.3 §2.7.
#pragma once

#include <mutex>

#include "guestproof/virtio/queue/chain.h"
#include "guestproof/virtio/queue/split_ring.h"

namespace guestproof::virtio {

/// Every member holds `Mutex`; the ones of guest memory and of the driver's making are described at
/// SplitRing.
template <GuestMemory M, class Mutex>
class BasicSplitQueue {
 public:
  using Memory = M;

  [[nodiscard]] Result<void> activate(const M& memory, const QueueConfig& config,
                                      QueueFeatures features) {
    const std::lock_guard lock(mutex_);
    return ring_.activate(memory, config, features);
  }
  [[nodiscard]] Result<void> restore(const M& memory, const QueueState& state,
                                     std::uint16_t max_size, QueueFeatures features) {
    const std::lock_guard lock(mutex_);
    return ring_.restore(memory, state, max_size, features);
  }
  [[nodiscard]] Result<QueueState> save() const {
    const std::lock_guard lock(mutex_);
    return ring_.save();
  }
  [[nodiscard]] Result<void> remap(const M& memory) {
    const std::lock_guard lock(mutex_);
    return ring_.remap(memory);
  }
  void reset() {
    const std::lock_guard lock(mutex_);
    ring_.reset();
  }

  [[nodiscard]] bool active() const {
    const std::lock_guard lock(mutex_);
    return ring_.active();
  }
  [[nodiscard]] std::optional<Error> broken() const {
    const std::lock_guard lock(mutex_);
    return ring_.broken();
  }
  /// Queue Size; 0 while the queue is not active.
  [[nodiscard]] std::uint16_t size() const {
    const std::lock_guard lock(mutex_);
    return ring_.size();
  }
  [[nodiscard]] std::uint32_t in_flight() const {
    const std::lock_guard lock(mutex_);
    return ring_.in_flight();
  }
  [[nodiscard]] const M& memory() const {
    const std::lock_guard lock(mutex_);
    return ring_.memory();
  }

  /// The next available chain, nothing when there is none. An error means that the queue is broken
  /// until reset.
  [[nodiscard]] Result<std::optional<Chain<BasicSplitQueue>>> pop() {
    const auto record = [this] {
      const std::lock_guard lock(mutex_);
      return ring_.take();
    }();
    if (!record) return std::unexpected(record.error());
    if (*record == nullptr) return std::nullopt;
    return Chain<BasicSplitQueue>(*this, **record);
  }

  [[nodiscard]] bool needs_notification() {
    const std::lock_guard lock(mutex_);
    return ring_.needs_notification();
  }
  [[nodiscard]] bool enable_kicks() {
    const std::lock_guard lock(mutex_);
    return ring_.enable_kicks();
  }
  void disable_kicks() {
    const std::lock_guard lock(mutex_);
    ring_.disable_kicks();
  }

 private:
  friend class Chain<BasicSplitQueue>;
  [[nodiscard]] Result<void> finish(ChainRecord& record, std::uint32_t written) {
    const std::lock_guard lock(mutex_);
    return ring_.finish(record, written);
  }
  void abandon(ChainRecord& record) {
    const std::lock_guard lock(mutex_);
    ring_.abandon(record);
  }

  [[no_unique_address]] mutable Mutex mutex_;
  SplitRing<M> ring_;
};

/// What one thread locks: nothing.
struct NoMutex {
  void lock() {}
  void unlock() {}
};

template <GuestMemory M>
using SplitQueue = BasicSplitQueue<M, NoMutex>;

}  // namespace guestproof::virtio
