// A split virtqueue for one thread: what a device takes chains from, see turn.h for its loop.
//
// Thread-safety: none; SharedQueue has the same members for several threads.
// Specification: virtio 1.3 §2.7.
#pragma once

#include "guestproof/virtio/queue/chain.h"
#include "guestproof/virtio/queue/split_ring.h"

namespace guestproof::virtio {

template <GuestMemory M>
class SplitQueue {
 public:
  using Memory = M;

  [[nodiscard]] Result<void> activate(const M& memory, const QueueConfig& config,
                                      QueueFeatures features) {
    return ring_.activate(memory, config, features);
  }
  [[nodiscard]] Result<void> restore(const M& memory, const QueueState& state,
                                     std::uint16_t max_size, QueueFeatures features) {
    return ring_.restore(memory, state, max_size, features);
  }
  [[nodiscard]] Result<QueueState> save() const { return ring_.save(); }
  [[nodiscard]] Result<void> remap(const M& memory) { return ring_.remap(memory); }
  void reset() { ring_.reset(); }

  [[nodiscard]] bool active() const { return ring_.active(); }
  [[nodiscard]] std::optional<Error> broken() const { return ring_.broken(); }
  /// Queue Size; 0 while the queue is not active.
  [[nodiscard]] std::uint16_t size() const { return ring_.size(); }
  [[nodiscard]] std::uint32_t in_flight() const { return ring_.in_flight(); }
  [[nodiscard]] const M& memory() const { return ring_.memory(); }

  /// The next available chain, nothing when there is none. An error means that the queue is broken
  /// until reset.
  [[nodiscard]] Result<std::optional<Chain<SplitQueue>>> pop() {
    const auto record = ring_.take();
    if (!record) return std::unexpected(record.error());
    if (*record == nullptr) return std::nullopt;
    return Chain<SplitQueue>(*this, **record);
  }

  [[nodiscard]] bool needs_notification() { return ring_.needs_notification(); }
  [[nodiscard]] bool enable_kicks() { return ring_.enable_kicks(); }
  void disable_kicks() { ring_.disable_kicks(); }

 private:
  friend class Chain<SplitQueue>;
  [[nodiscard]] Result<void> finish(ChainRecord& record, std::uint32_t written) {
    return ring_.finish(record, written);
  }
  void abandon(ChainRecord& record) { ring_.abandon(record); }

  SplitRing<M> ring_;
};

}  // namespace guestproof::virtio
