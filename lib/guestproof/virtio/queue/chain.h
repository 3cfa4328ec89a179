// A descriptor chain that was taken from a queue: an obligation to return it.
//
// The chain was read from guest memory once, checked, and copied: what its readers and writers use
// cannot change any more. A chain that is malformed is still a Chain, so that its head gets back to
// the driver: it has no bytes to read or write, and fault() says what was wrong. Dropping a Chain
// returns it with length 0; it cannot leak.
//
// A reset of the queue takes back the chains that are held: they become stale. The driver owns
// their memory again, so a stale chain, like a malformed one, has no bytes to read or write, and
// its fault() is QueueError::kStaleChain; a device that looks at fault() first does nothing for it.
//
// Thread-safety: a Chain has one owner at a time; whether complete() may be called from another
// thread than pop() depends on the queue it came from (SplitQueue: no, SharedQueue: yes).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "guestproof/base/error.h"
#include "guestproof/memory/guest_address.h"
#include "guestproof/virtio/queue/cursor.h"

namespace guestproof::virtio {

/// What pop() learned of a chain. Owned and recycled by the queue, so that no allocation happens
/// per chain.
struct ChainRecord {
  std::vector<Buffer> buffers;  // device-readable ones first
  std::size_t readable_count = 0;
  std::uint64_t readable_bytes = 0;
  std::uint64_t writable_bytes = 0;
  std::optional<Error> fault;
  std::uint16_t head = 0;        // its first descriptor's index; in a packed ring the Buffer ID
  std::uint16_t ring_slots = 0;  // descriptors of a packed ring that it takes up

  // Of ChainPool.
  bool kept_back = false;  // completed, with `written` bytes, before its turn
  std::uint32_t written = 0;
  std::uint64_t sequence = 0;  // how many chains were taken before it

  /// No bytes; their room is kept.
  void clear() {
    buffers.clear();
    readable_count = 0;
    readable_bytes = writable_bytes = 0;
  }
  /// The queue was reset: the chain is the driver's again.
  void revoke() {
    clear();
    fault.emplace(QueueError::kStaleChain, head);
  }
  [[nodiscard]] bool stale() const { return fault == QueueError::kStaleChain; }
};

template <class Queue>
class [[nodiscard]] Chain {
 public:
  using Memory = typename Queue::Memory;

  Chain(Queue& queue, ChainRecord& record) : queue_(&queue), record_(&record) {}
  Chain(Chain&& other) noexcept
      : queue_(other.queue_), record_(std::exchange(other.record_, nullptr)) {}
  Chain& operator=(Chain&& other) noexcept {
    if (this != &other) {
      abandon();
      queue_ = other.queue_;
      record_ = std::exchange(other.record_, nullptr);
    }
    return *this;
  }
  ~Chain() { abandon(); }

  // REQUIRES for all below: complete() or put_back() has not succeeded on this chain, nor taken it
  // as stale. Readers and writers are used no longer than that either, nor over a reset: the record
  // is recycled, and those made before would still work on the driver's memory.

  /// What names the chain among those in flight: its first descriptor's index, in a packed ring its
  /// Buffer ID.
  [[nodiscard]] std::uint16_t head() const { return record_->head; }
  /// Why the chain is malformed or stale; nothing for a good one.
  [[nodiscard]] const std::optional<Error>& fault() const { return record_->fault; }
  /// Whether the queue was reset since the chain was taken.
  [[nodiscard]] bool stale() const { return record_->stale(); }
  [[nodiscard]] std::uint64_t readable_bytes() const { return record_->readable_bytes; }
  [[nodiscard]] std::uint64_t writable_bytes() const { return record_->writable_bytes; }
  [[nodiscard]] std::span<const Buffer> readable() const {
    return std::span(record_->buffers).first(record_->readable_count);
  }
  [[nodiscard]] std::span<const Buffer> writable() const {
    return std::span(record_->buffers).subspan(record_->readable_count);
  }

  [[nodiscard]] const Memory& memory() const { return queue_->memory(); }
  /// From the first device-readable byte on.
  [[nodiscard]] Reader<Memory> reader() const {
    return {queue_->memory(), readable(), readable_bytes()};
  }
  /// From the first device-writable byte on.
  [[nodiscard]] Writer<Memory> writer() const {
    return {queue_->memory(), writable(), writable_bytes()};
  }

  /// Returns the chain to the driver; `written` bytes, counted from the first device-writable one,
  /// were written (§2.7.8.2). Errors: QueueError::kUsedLength (the chain is still held),
  /// kStaleChain (reset took it back).
  [[nodiscard]] Result<void> complete(std::uint32_t written) {
    GUESTPROOF_INVARIANT(record_ != nullptr);
    return release_if(queue_->finish(*record_, written));
  }

  /// The chain is as if it had never been taken: pop() reads it again. For a device that can do
  /// nothing with it yet, or not all it needs; chains go back in the reverse order of taking.
  /// Errors: QueueError::kNotTakenLast (the chain is still held), kStaleChain (reset took it back).
  [[nodiscard]] Result<void> put_back() {
    GUESTPROOF_INVARIANT(record_ != nullptr);
    return release_if(queue_->put_back(*record_));
  }

  /// Returns chains of one queue in this order, so that the driver sees all of them as used or
  /// none: for what spans several (§5.1.6.4.1). `written` has a length for each, as of complete().
  /// REQUIRES: at least one chain; with VIRTIO_F_IN_ORDER, they were taken one after the other.
  /// Errors: kUsedLength, kStaleChain; all are still held.
  [[nodiscard]] static Result<void> complete_together(std::span<Chain> chains,
                                                      std::span<const std::uint32_t> written) {
    GUESTPROOF_INVARIANT(!chains.empty() && chains.size() == written.size());
    const auto done = chains.front().queue_->finish_together(chains, written);
    if (done)
      for (auto& chain : chains) chain.record_ = nullptr;
    return done;
  }

 private:
  friend Queue;

  Result<void> release_if(const Result<void>& done) {
    if (done || done.error() == QueueError::kStaleChain) record_ = nullptr;
    return done;
  }
  void abandon() {
    if (record_ != nullptr) queue_->abandon(*std::exchange(record_, nullptr));
  }

  Queue* queue_;
  ChainRecord* record_;
};

}  // namespace guestproof::virtio
