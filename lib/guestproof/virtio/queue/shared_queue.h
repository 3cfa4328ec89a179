// A split virtqueue that several threads use: one takes chains, others return them (asynchronous
// back ends), or several do both. Same members and same results as SplitQueue.
//
// Thread-safety: every member, and complete() on its chains, may be called from any thread.
// reset(), remap() and activate() from another thread than the device's need the device to be
// quiescent: a Reader or Writer that is in use at that moment would still use the old memory map.
// Specification: virtio 1.3 §2.7.
#pragma once

#include <mutex>

#include "guestproof/virtio/queue/chain.h"
#include "guestproof/virtio/queue/split_ring.h"

namespace guestproof::virtio {

template <GuestMemory M>
class SharedQueue {
 public:
  using Memory = M;

  [[nodiscard]] Result<void> activate(const M& memory, const QueueConfig& config,
                                      QueueFeatures features) {
    return locked([&](auto& ring) { return ring.activate(memory, config, features); });
  }
  [[nodiscard]] Result<void> restore(const M& memory, const QueueState& state,
                                     std::uint16_t max_size, QueueFeatures features) {
    return locked([&](auto& ring) { return ring.restore(memory, state, max_size, features); });
  }
  [[nodiscard]] Result<QueueState> save() const {
    return locked([](auto& ring) { return ring.save(); });
  }
  [[nodiscard]] Result<void> remap(const M& memory) {
    return locked([&](auto& ring) { return ring.remap(memory); });
  }
  void reset() {
    locked([](auto& ring) { ring.reset(); });
  }

  [[nodiscard]] bool active() const {
    return locked([](auto& ring) { return ring.active(); });
  }
  [[nodiscard]] std::optional<Error> broken() const {
    return locked([](auto& ring) { return ring.broken(); });
  }
  [[nodiscard]] std::uint16_t size() const {
    return locked([](auto& ring) { return ring.size(); });
  }
  [[nodiscard]] std::uint32_t in_flight() const {
    return locked([](auto& ring) { return ring.in_flight(); });
  }
  [[nodiscard]] const M& memory() const {
    return locked([](auto& ring) -> const M& { return ring.memory(); });
  }

  [[nodiscard]] Result<std::optional<Chain<SharedQueue>>> pop() {
    const auto record = locked([](auto& ring) { return ring.take(); });
    if (!record) return std::unexpected(record.error());
    if (*record == nullptr) return std::nullopt;
    return Chain<SharedQueue>(*this, **record);
  }

  [[nodiscard]] bool needs_notification() {
    return locked([](auto& ring) { return ring.needs_notification(); });
  }
  [[nodiscard]] bool enable_kicks() {
    return locked([](auto& ring) { return ring.enable_kicks(); });
  }
  void disable_kicks() {
    locked([](auto& ring) { ring.disable_kicks(); });
  }

 private:
  friend class Chain<SharedQueue>;
  [[nodiscard]] Result<void> finish(ChainRecord& record, std::uint32_t written) {
    return locked([&](auto& ring) { return ring.finish(record, written); });
  }
  void abandon(ChainRecord& record) {
    locked([&](auto& ring) { ring.abandon(record); });
  }

  template <class Action>
  decltype(auto) locked(Action&& action) {
    const std::lock_guard lock(mutex_);
    return action(ring_);
  }
  template <class Action>
  decltype(auto) locked(Action&& action) const {
    const std::lock_guard lock(mutex_);
    return action(ring_);
  }

  mutable std::mutex mutex_;
  SplitRing<M> ring_;
};

}  // namespace guestproof::virtio
