// A virtqueue in either format: split, or packed when VIRTIO_F_RING_PACKED was negotiated. The
// features that it is activated or restored with say which; devices that take chains need not know.
// Chains held over a change of format are stale, as over any reset.
//
// Thread-safety: VirtQueue has none; SharedVirtQueue is the same for several threads, as
// SharedQueue (shared_queue.h) is for SplitQueue. Specification: virtio 1.3 §2.7 (split), §2.8
// (packed).
#pragma once

#include <mutex>

#include "guestproof/virtio/queue/packed_ring.h"
#include "guestproof/virtio/queue/queue.h"
#include "guestproof/virtio/queue/split_ring.h"

namespace guestproof::virtio {

/// The ring of the format that was active last; a split one before that.
template <GuestMemory M>
class VirtRing {
 public:
  using Memory = M;

  [[nodiscard]] Result<void> activate(const M& memory, const QueueConfig& config,
                                      QueueFeatures features) {
    return choose(features, [&](auto& ring) { return ring.activate(memory, config, features); });
  }
  [[nodiscard]] Result<void> restore(const M& memory, const QueueState& state,
                                     std::uint16_t max_size, QueueFeatures features) {
    return choose(features,
                  [&](auto& ring) { return ring.restore(memory, state, max_size, features); });
  }
  [[nodiscard]] QueueState save() const { return is_packed_ ? packed_.save() : split_.save(); }
  [[nodiscard]] Result<void> remap(const M& memory) {
    return is_packed_ ? packed_.remap(memory) : split_.remap(memory);
  }
  void reset() { is_packed_ ? packed_.reset() : split_.reset(); }

  [[nodiscard]] bool active() const { return is_packed_ ? packed_.active() : split_.active(); }
  [[nodiscard]] const std::optional<Error>& broken() const {
    return is_packed_ ? packed_.broken() : split_.broken();
  }
  [[nodiscard]] std::uint16_t size() const { return is_packed_ ? packed_.size() : split_.size(); }
  [[nodiscard]] const M& memory() const { return is_packed_ ? packed_.memory() : split_.memory(); }

  [[nodiscard]] Result<ChainRecord*> take(ChainPool& pool) {
    return is_packed_ ? packed_.take(pool) : split_.take(pool);
  }
  void put_back(const ChainRecord& record) {
    is_packed_ ? packed_.put_back(record) : split_.put_back(record);
  }
  void place(const ChainRecord& record, std::uint32_t written) {
    is_packed_ ? packed_.place(record, written) : split_.place(record, written);
  }
  void show() { is_packed_ ? packed_.show() : split_.show(); }

  [[nodiscard]] bool needs_notification() {
    return is_packed_ ? packed_.needs_notification() : split_.needs_notification();
  }
  [[nodiscard]] bool enable_kicks() {
    return is_packed_ ? packed_.enable_kicks() : split_.enable_kicks();
  }
  void disable_kicks() { is_packed_ ? packed_.disable_kicks() : split_.disable_kicks(); }

 private:
  /// Starts the ring that the features ask for. One that does not start is not chosen: a stale
  /// chain still asks the one before for its memory.
  template <class Start>
  [[nodiscard]] Result<void> choose(QueueFeatures features, Start&& start) {
    const auto started = features.packed ? start(packed_) : start(split_);
    if (started) is_packed_ = features.packed;
    return started;
  }

  SplitRing<M> split_;
  PackedRing<M> packed_;
  bool is_packed_ = false;
};

template <GuestMemory M>
using VirtQueue = BasicQueue<VirtRing<M>, NoMutex>;

template <GuestMemory M>
using SharedVirtQueue = BasicQueue<VirtRing<M>, std::mutex>;

}  // namespace guestproof::virtio
