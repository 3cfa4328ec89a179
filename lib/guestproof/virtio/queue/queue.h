// A virtqueue: what a device takes chains from, see turn.h for its loop. The format of the ring is
// a parameter: SplitQueue (split_queue.h), or VirtQueue (virt_queue.h), which is either at run
// time.
//
// What each format refuses is said at split_ring.h and packed_ring.h. In both, what breaks the
// rules so that chains cannot be told apart any more breaks the queue: pop() keeps failing until
// reset. With VIRTIO_F_IN_ORDER chains are returned to the driver in the order in which they were
// taken, however they are completed: one that is completed before its turn stays in flight until
// those before it are.
//
// Thread-safety: that of the mutex, see SharedQueue (shared_queue.h); with NoMutex none.
// Specification: virtio 1.3 §2.6 to §2.8.
#pragma once

#include <mutex>

#include "guestproof/virtio/queue/chain.h"
#include "guestproof/virtio/queue/chain_pool.h"
#include "guestproof/virtio/queue/config.h"
#include "guestproof/virtio/queue/state.h"

namespace guestproof::virtio {

/// Every member holds `Mutex`.
template <class Ring, class Mutex>
class BasicQueue {
 public:
  using Memory = typename Ring::Memory;

  BasicQueue() = default;
  BasicQueue(const BasicQueue&) = delete;
  BasicQueue& operator=(const BasicQueue&) = delete;
  /// REQUIRES: every chain that was taken has been completed, put back or dropped.
  ~BasicQueue() = default;

  /// Starts on an empty queue. `memory` must outlive the activation and the chains taken in it.
  /// Errors: QueueConfigError; the queue is then inactive.
  [[nodiscard]] Result<void> activate(const Memory& memory, const QueueConfig& config,
                                      QueueFeatures features) {
    const std::lock_guard lock(mutex_);
    start(config.size(), features);
    return ring_.activate(memory, config, features);
  }
  /// Goes on where a saved queue stopped. The state must be of a queue with this maximum size and
  /// these features. Errors: QueueStateError, QueueConfigError::kNotReady (a valid state, but of a
  /// queue that was not active); the queue is then inactive.
  [[nodiscard]] Result<void> restore(const Memory& memory, const QueueState& state,
                                     std::uint16_t max_size, QueueFeatures features) {
    const std::lock_guard lock(mutex_);
    start(state.size, features);
    return ring_.restore(memory, state, max_size, features);
  }
  /// Errors: QueueError::kNotActive, kChainsInFlight.
  [[nodiscard]] Result<QueueState> save() const {
    const std::lock_guard lock(mutex_);
    if (!ring_.active()) return fail(QueueError::kNotActive);
    if (pool_.in_flight() != 0) return fail(QueueError::kChainsInFlight, pool_.in_flight());
    return ring_.save();
  }
  /// The memory map has changed. Errors: QueueConfigError when an area is gone, or the queue is not
  /// active; it is then inactive.
  [[nodiscard]] Result<void> remap(const Memory& memory) {
    const std::lock_guard lock(mutex_);
    const auto done = ring_.remap(memory);
    if (!done) forget();
    return done;
  }
  /// Forgets everything. Chains still held become stale: they have no bytes any more, and
  /// completing them touches nothing.
  void reset() {
    const std::lock_guard lock(mutex_);
    forget();
  }

  [[nodiscard]] bool active() const {
    const std::lock_guard lock(mutex_);
    return ring_.active();
  }
  /// Why the queue is broken; nothing while it works.
  [[nodiscard]] std::optional<Error> broken() const {
    const std::lock_guard lock(mutex_);
    return ring_.broken();
  }
  /// Queue Size; 0 while the queue is not active.
  [[nodiscard]] std::uint16_t size() const {
    const std::lock_guard lock(mutex_);
    return ring_.size();
  }
  /// Chains that were taken and not yet returned to the driver.
  [[nodiscard]] std::uint32_t in_flight() const {
    const std::lock_guard lock(mutex_);
    return pool_.in_flight();
  }
  /// REQUIRES: active(), or a chain is held and its memory still lives.
  [[nodiscard]] const Memory& memory() const {
    const std::lock_guard lock(mutex_);
    return ring_.memory();
  }

  /// The next available chain, nothing when there is none. An error means that the queue is broken
  /// until reset.
  [[nodiscard]] Result<std::optional<Chain<BasicQueue>>> pop() {
    const auto record = [this] {
      const std::lock_guard lock(mutex_);
      return ring_.take(pool_);
    }();
    if (!record) return std::unexpected(record.error());
    if (*record == nullptr) return std::nullopt;
    return Chain<BasicQueue>(*this, **record);
  }

  /// Whether the driver wants an interrupt for what was returned since this was last asked (§2.7.7,
  /// §2.8.10).
  [[nodiscard]] bool needs_notification() {
    const std::lock_guard lock(mutex_);
    return ring_.needs_notification();
  }
  /// Asks the driver for a kick at the next available chain (§2.7.10, §2.8.10). True: chains came
  /// in between, take them first.
  [[nodiscard]] bool enable_kicks() {
    const std::lock_guard lock(mutex_);
    return ring_.enable_kicks();
  }
  /// Asks the driver not to kick.
  void disable_kicks() {
    const std::lock_guard lock(mutex_);
    ring_.disable_kicks();
  }

 private:
  friend class Chain<BasicQueue>;

  // Of Chain.

  /// Errors: kUsedLength (the record is still the caller's), kStaleChain (it is not).
  [[nodiscard]] Result<void> finish(ChainRecord& record, std::uint32_t written) {
    const std::lock_guard lock(mutex_);
    if (record.stale()) [[unlikely]]
      return take_back(record);
    if (written > record.writable_bytes)
      return fail(QueueError::kUsedLength, written, record.writable_bytes);
    if (pool_.in_order()) {
      pool_.keep_back(record, written);
      give_back_in_order();
    } else {
      give_back(record, written);
      ring_.show();
    }
    return {};
  }
  /// Errors: kStaleChain, kUsedLength; the records are all still the caller's.
  [[nodiscard]] Result<void> finish_together(std::span<const Chain<BasicQueue>> chains,
                                             std::span<const std::uint32_t> written) {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < chains.size(); ++i) {
      const auto& record = *chains[i].record_;
      if (record.stale()) return fail(QueueError::kStaleChain, record.head);
      if (written[i] > record.writable_bytes)
        return fail(QueueError::kUsedLength, written[i], record.writable_bytes);
    }
    for (std::size_t i = 0; i < chains.size(); ++i) {
      if (pool_.in_order())
        pool_.keep_back(*chains[i].record_, written[i]);
      else
        give_back(*chains[i].record_, written[i]);
    }
    if (pool_.in_order())
      give_back_in_order();
    else
      ring_.show();
    return {};
  }
  /// Errors: kNotTakenLast (the record is still the caller's), kStaleChain (it is not).
  [[nodiscard]] Result<void> put_back(ChainRecord& record) {
    const std::lock_guard lock(mutex_);
    if (record.stale()) return take_back(record);
    if (!pool_.taken_last(record)) return fail(QueueError::kNotTakenLast, record.head);
    ring_.put_back(record);
    pool_.put_back(record);
    return {};
  }
  void abandon(ChainRecord& record) {
    // Length 0 fits every chain, and a stale record is taken back all the same: there is no error
    // left to tell.
    static_cast<void>(finish(record, 0));
  }

  // REQUIRES for all below: the mutex is held.

  /// The driver sees it when the ring shows it.
  void give_back(ChainRecord& record, std::uint32_t written) {
    ring_.place(record, written);
    pool_.release(record);
  }
  /// All that are complete and whose turn it is.
  void give_back_in_order() {
    ChainRecord* next = pool_.next_to_return();
    if (next == nullptr) return;
    for (; next != nullptr; next = pool_.next_to_return()) give_back(*next, next->written);
    ring_.show();
  }
  [[nodiscard]] std::unexpected<Error> take_back(ChainRecord& record) {
    const auto head = record.head;
    pool_.release_stale(record);
    return fail(QueueError::kStaleChain, head);
  }
  void forget() {
    ring_.reset();
    pool_.reset();
  }
  void start(std::uint16_t size, QueueFeatures features) {
    forget();
    pool_.start(size, features.in_order);
  }

  [[no_unique_address]] mutable Mutex mutex_;
  Ring ring_;
  ChainPool pool_;
};

/// What one thread locks: nothing.
struct NoMutex {
  void lock() {}
  void unlock() {}
};

}  // namespace guestproof::virtio
