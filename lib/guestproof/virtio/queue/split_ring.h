// The device's side of one split virtqueue (virtio 1.3 §2.7): takes chains from the available ring,
// returns them through the used ring, and decides about notifications both ways.
//
// Policies where the specification leaves room:
// - An available index more than Queue Size ahead breaks the queue; so do a head index outside the
// table and a head
//   that is in flight already (it could not be returned twice).
// - The available index is read again only when all chains that it announced were taken.
// - One used element is written per chain, also when chains are returned in order or together.
//
// Devices use SplitQueue, SharedQueue or VirtQueue, which hand out records as Chains.
//
// Thread-safety: none; BasicQueue locks.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <optional>

#include "guestproof/virtio/queue/chain_pool.h"
#include "guestproof/virtio/queue/chain_walk.h"
#include "guestproof/virtio/queue/notify.h"
#include "guestproof/virtio/queue/ring_base.h"

namespace guestproof::virtio {

template <GuestMemory M>
class SplitRing : public RingBase<M> {
 public:
  SplitRing() = default;

  /// REQUIRES for both: the ring is reset. Errors: as BasicQueue; the ring still is.
  [[nodiscard]] Result<void> activate(const M& memory, const QueueConfig& config,
                                      QueueFeatures features) {
    return this->open(memory, config, features, RingLayout::kSplit);
  }
  [[nodiscard]] Result<void> restore(const M& memory, const QueueState& state,
                                     std::uint16_t max_size, QueueFeatures features) {
    const auto done = this->reopen(memory, state, max_size, features, RingLayout::kSplit);
    if (!done) return done;
    seen_avail_ = next_avail_;
    signalled_used_ = state.signalled_used;
    return {};
  }
  /// REQUIRES: active(), nothing is in flight.
  [[nodiscard]] QueueState save() const {
    auto state = this->save_common();
    state.signalled_used = signalled_used_;
    return state;
  }
  void reset() {
    this->reset_common();
    seen_avail_ = 0;
    signalled_used_ = std::uint16_t{0};
  }

  /// The next available chain, with a record of the pool; null when there is none. Errors:
  /// QueueError, which stay until reset.
  [[nodiscard]] Result<ChainRecord*> take(ChainPool& pool) {
    if (!this->active() || broken_) [[unlikely]]
      return this->refuse();
    if (next_avail_ == seen_avail_ && !see_more())
      return broken_ ? this->refuse() : Result<ChainRecord*>(nullptr);
    const auto head = areas_.available_ring.template load<le16>(
        kAvailRingOffset + sizeof(le16) * (next_avail_ & (size_ - 1)));
    if (!may_take(head, pool)) [[unlikely]]
      return this->refuse();
    // Whatever throws up to here (no memory for the record or its buffers) leaves the chain to be
    // taken again.
    ChainRecord& record = pool.spare();
    ChainWalk<M>(*memory_, areas_.descriptor_table, size_, features_.indirect).run(head, record);
    pool.claim(record);
    ++next_avail_;
    return &record;
  }

  /// The chain that was taken last was not.
  void put_back(const ChainRecord&) { --next_avail_; }

  /// Writes a used element; the driver sees it, and those placed since, when show() is called.
  void place(const ChainRecord& record, std::uint32_t written) {
    areas_.used_ring.store(kUsedRingOffset + sizeof(VirtqUsedElem) * (next_used_ & (size_ - 1)),
                           VirtqUsedElem{.id = std::uint32_t{record.head}, .len = written});
    ++next_used_;
    // After 2^16 entries without a notification the distance is no longer known: notify for
    // certain.
    if (signalled_used_ == next_used_) signalled_used_.reset();
  }
  void show() { areas_.used_ring.store_release(kUsedIdxOffset, le_index(next_used_)); }

  /// Whether the driver wants an interrupt for what was finished since this was last asked
  /// (§2.7.7).
  [[nodiscard]] bool needs_notification() {
    if (!this->active() || signalled_used_ == next_used_) return false;
    // The used index must be visible before the driver's wish is read, or both sides could wait for
    // each other.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const auto old = std::exchange(signalled_used_, next_used_);
    if (!features_.event_index)
      return (areas_.available_ring.template load<le16>(kAvailFlagsOffset) &
              VIRTQ_AVAIL_F_NO_INTERRUPT) == 0;
    if (!old) return true;
    const std::uint16_t event =
        areas_.available_ring.template load<le16>(kAvailRingOffset + 2 * std::size_t{size_});
    return need_event(event, next_used_, *old);
  }

  /// Asks the driver for a kick at the next available chain (§2.7.10). True: chains came in
  /// between, take them first.
  [[nodiscard]] bool enable_kicks() {
    if (!this->active() || broken_) return false;
    if (features_.event_index)
      areas_.used_ring.store(kUsedRingOffset + sizeof(VirtqUsedElem) * size_, le16(next_avail_));
    else
      areas_.used_ring.store(kUsedFlagsOffset, le16(0));
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return available_index() != next_avail_;
  }

  /// Asks the driver not to kick. With event index an old event value says so already.
  void disable_kicks() {
    if (this->active() && !features_.event_index)
      areas_.used_ring.store(kUsedFlagsOffset, le16(VIRTQ_USED_F_NO_NOTIFY));
  }

 private:
  static constexpr std::uint16_t le_index(std::uint16_t index) {
    return std::bit_cast<std::uint16_t>(le16(index));
  }

  [[nodiscard]] std::uint16_t available_index() const {
    return std::bit_cast<le16>(
        areas_.available_ring.template load_acquire<std::uint16_t>(kAvailIdxOffset));
  }

  /// Reads the available index; true when there is a chain to take.
  [[nodiscard]] bool see_more() {
    const auto index = available_index();
    const auto ahead = static_cast<std::uint16_t>(index - next_avail_);
    if (ahead > size_) {
      broken_ = Error(QueueError::kAvailIndex, ahead, size_);
      return false;
    }
    seen_avail_ = index;
    return ahead != 0;
  }

  /// False when `head` cannot be in flight; the queue is broken then.
  [[nodiscard]] bool may_take(std::uint16_t head, const ChainPool& pool) {
    if (head >= size_) [[unlikely]]
      broken_ = Error(QueueError::kHeadIndex, head, size_);
    else if (pool.in_flight(head)) [[unlikely]]
      broken_ = Error(QueueError::kHeadInFlight, head);
    return !broken_;
  }

  using RingBase<M>::memory_;
  using RingBase<M>::areas_;
  using RingBase<M>::size_;
  using RingBase<M>::next_avail_;
  using RingBase<M>::next_used_;
  using RingBase<M>::features_;
  using RingBase<M>::broken_;

  std::uint16_t seen_avail_ = 0;
  std::optional<std::uint16_t> signalled_used_ = std::uint16_t{0};
};

}  // namespace guestproof::virtio
