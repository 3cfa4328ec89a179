// The device's side of one packed virtqueue (virtio 1.3 §2.8): takes chains from the descriptor
// ring, writes used descriptors into it, and decides about notifications both ways.
//
// A chain is the descriptors that follow each other in the ring, all but the last with NEXT; the
// last one has its Buffer ID. A descriptor's flags are polled for availability; the rest of the
// chain's first descriptor is loaded once they say that it is available, and every further
// descriptor once as a whole. Policies where the specification leaves room:
// - Where a chain ends, and what its Buffer ID is, must be known for its being returned. A chain
//   that goes on in a descriptor that is not marked available (§2.8.6), or round the ring in one
//   that was not returned yet, breaks the queue; so do a Buffer ID that is not below Queue Size and
//   one that is in flight already.
// - Of a chain that is malformed otherwise (ChainError) the descriptors are followed to their end,
//   so that it can be returned.
// - One used descriptor is written per chain, also when chains are returned in order or
//   together. It has WRITE when bytes were written (§2.8.3); its address stays.
// - The driver is notified unless it says RING_EVENT_FLAGS_DISABLE, or RING_EVENT_FLAGS_DESC with
//   event index negotiated: then when the descriptor it names was passed, or cannot be as it is
//   outside the ring.
//
// Devices use VirtQueue, which hands out records as Chains.
//
// Thread-safety: none; BasicQueue locks.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <utility>

#include "guestproof/virtio/queue/chain_pool.h"
#include "guestproof/virtio/queue/chain_walk.h"
#include "guestproof/virtio/queue/packed_position.h"
#include "guestproof/virtio/queue/ring_base.h"

namespace guestproof::virtio {

template <GuestMemory M>
class PackedRing : public RingBase<M> {
 public:
  PackedRing() = default;

  /// REQUIRES for both: the ring is reset. Errors: as BasicQueue; the ring still is.
  [[nodiscard]] Result<void> activate(const M& memory, const QueueConfig& config,
                                      QueueFeatures features) {
    const auto done = this->open(memory, config, features, RingLayout::kPacked);
    if (done) next_avail_ = next_used_ = PackedPosition().raw();
    return done;
  }
  [[nodiscard]] Result<void> restore(const M& memory, const QueueState& state,
                                     std::uint16_t max_size, QueueFeatures features) {
    const auto done = this->reopen(memory, state, max_size, features, RingLayout::kPacked);
    if (!done) return done;
    unsignalled_ = state.signalled_used
                       ? next_used().since(PackedPosition(*state.signalled_used), size_)
                       : 2U * size_;
    return {};
  }
  /// REQUIRES: active(), nothing is in flight.
  [[nodiscard]] QueueState save() const {
    auto state = this->save_common();
    if (unsignalled_ < size_)
      state.signalled_used = next_used().minus(unsignalled_, size_).raw();
    else if (unsignalled_ < 2U * size_)
      state.signalled_used =
          next_used().minus(size_, size_).minus(unsignalled_ - size_, size_).raw();
    return state;
  }
  void reset() {
    this->reset_common();
    unsignalled_ = 0;
  }

  /// The next available chain, with a record of the pool; null when there is none. Errors:
  /// QueueError, which stay until reset.
  [[nodiscard]] Result<ChainRecord*> take(ChainPool& pool) {
    if (!this->active() || broken_) [[unlikely]]
      return this->refuse();
    const auto flags = poll_flags(next_avail());
    if (!is_available(flags, next_avail())) return nullptr;
    // Whatever throws up to claim() (no memory for the record or its buffers) leaves the chain to
    // be taken again.
    ChainRecord& record = pool.spare();
    if (!walk(flags, record) || !may_take(record.head, pool)) [[unlikely]]
      return this->refuse();
    pool.claim(record);
    next_avail_ = next_avail().plus(record.ring_slots, size_).raw();
    return &record;
  }

  /// The chain that was taken last was not.
  void put_back(const ChainRecord& record) {
    next_avail_ = next_avail().minus(record.ring_slots, size_).raw();
  }

  /// Writes a used descriptor, and skips as many as the chain had. The driver sees it, and those
  /// placed since, when show() is called: it looks at the first one first.
  void place(const ChainRecord& record, std::uint32_t written) {
    const auto at = sizeof(PackedDesc) * next_used().offset();
    areas_.descriptor_table.store(at + offsetof(PackedDesc, len), le32(written));
    areas_.descriptor_table.store(at + offsetof(PackedDesc, id), le16(record.head));
    const auto flags = static_cast<std::uint16_t>(
        (next_used().wrap() ? VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED : 0) |
        (written != 0 ? VIRTQ_DESC_F_WRITE : 0));
    if (placed_)
      store_flags({at, flags});
    else
      placed_ = {at, flags};
    next_used_ = next_used().plus(record.ring_slots, size_).raw();
    // Two turns without a notification have passed every event there is.
    unsignalled_ = std::min(unsignalled_ + record.ring_slots, 2U * size_);
  }
  /// REQUIRES: something was placed.
  void show() {
    store_flags(*placed_);
    placed_.reset();
  }

  /// Whether the driver wants an interrupt for what was published since this was last asked
  /// (§2.8.10).
  [[nodiscard]] bool needs_notification() {
    if (!this->active() || unsignalled_ == 0) return false;
    // The used descriptors must be visible before the driver's wish is read, or both sides could
    // wait for each other.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const auto passed = std::exchange(unsignalled_, 0);
    const auto wish = areas_.available_ring.template load<PackedEvent>(0);
    const auto mode = wish.flags & kEventFlags;
    if (mode == RING_EVENT_FLAGS_DISABLE) return false;
    if (mode != RING_EVENT_FLAGS_DESC || !features_.event_index) return true;
    return packed_event_passed(PackedPosition(wish.desc), next_used(), passed, size_);
  }

  /// Asks the driver for a kick at the next available chain (§2.8.10). True: chains came in
  /// between, take them first.
  [[nodiscard]] bool enable_kicks() {
    if (!this->active() || broken_) return false;
    if (features_.event_index)
      wish_for({.desc = next_avail_, .flags = RING_EVENT_FLAGS_DESC});
    else
      wish_for({.desc = 0, .flags = RING_EVENT_FLAGS_ENABLE});
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return is_available(poll_flags(next_avail()), next_avail());
  }

  /// Asks the driver not to kick.
  void disable_kicks() {
    if (this->active()) wish_for({.desc = 0, .flags = RING_EVENT_FLAGS_DISABLE});
  }

 private:
  static constexpr std::uint16_t kEventFlags = 3;  // the bits that are not reserved

  /// The flags that make a descriptor a used one.
  struct UsedFlags {
    std::size_t at = 0;  // the descriptor's place
    std::uint16_t flags = 0;
  };
  void store_flags(const UsedFlags& used) {
    areas_.descriptor_table.store_release(used.at + offsetof(PackedDesc, flags),
                                          std::bit_cast<std::uint16_t>(le16(used.flags)));
  }

  [[nodiscard]] PackedPosition next_avail() const { return PackedPosition(next_avail_); }
  [[nodiscard]] PackedPosition next_used() const { return PackedPosition(next_used_); }

  [[nodiscard]] std::uint16_t poll_flags(PackedPosition at) const {
    return std::bit_cast<le16>(areas_.descriptor_table.template load_acquire<std::uint16_t>(
        sizeof(PackedDesc) * at.offset() + offsetof(PackedDesc, flags)));
  }
  [[nodiscard]] static bool is_available(std::uint16_t flags, PackedPosition at) {
    return (flags & (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)) ==
           (at.wrap() ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED);
  }
  /// In one store, so that the driver never sees half of it.
  void wish_for(const PackedEvent& event) { areas_.used_ring.store(0, event); }

  /// The descriptor at next_avail(), whose flags were polled.
  [[nodiscard]] PackedDesc first_descriptor(std::uint16_t flags) const {
    const auto& ring = areas_.descriptor_table;
    const auto place = sizeof(PackedDesc) * next_avail().offset();
    return {.addr = ring.template load<le64>(place),
            .len = ring.template load<le32>(place + offsetof(PackedDesc, len)),
            .id = ring.template load<le16>(place + offsetof(PackedDesc, id)),
            .flags = flags};
  }

  /// Fills `record` from the chain at next_avail(). False when its end cannot be known; the queue
  /// is broken then.
  [[nodiscard]] bool walk(std::uint16_t flags, ChainRecord& record) {
    const auto free = size_ - next_avail().since(next_used(), size_);
    if (free == 0) [[unlikely]]
      return broke(QueueError::kDescriptorInFlight, next_avail());
    ChainWalk<M> chain(*memory_, areas_.descriptor_table, size_, features_.indirect);
    chain.begin(record);
    auto desc = first_descriptor(flags);
    std::uint16_t slots = 1;
    for (;; ++slots) {
      chain.gather(desc, record);
      if ((desc.flags & VIRTQ_DESC_F_NEXT) == 0) break;
      const auto at = next_avail().plus(slots, size_);
      if (slots == free) [[unlikely]]
        return broke(QueueError::kDescriptorInFlight, at);
      desc = areas_.descriptor_table.template load<PackedDesc>(sizeof(PackedDesc) * at.offset());
      if (!is_available(desc.flags, at)) [[unlikely]]
        return broke(QueueError::kDescriptorNotAvailable, at);
    }
    record.head = desc.id;
    record.ring_slots = slots;
    return true;
  }

  [[nodiscard]] bool broke(QueueError why, PackedPosition at) {
    broken_ = Error(why, at.offset());
    return false;
  }

  /// False when `id` cannot be in flight; the queue is broken then.
  [[nodiscard]] bool may_take(std::uint16_t id, const ChainPool& pool) {
    if (id >= size_) [[unlikely]]
      broken_ = Error(QueueError::kHeadIndex, id, size_);
    else if (pool.in_flight(id)) [[unlikely]]
      broken_ = Error(QueueError::kHeadInFlight, id);
    return !broken_;
  }

  using RingBase<M>::memory_;
  using RingBase<M>::areas_;
  using RingBase<M>::size_;
  using RingBase<M>::next_avail_;
  using RingBase<M>::next_used_;
  using RingBase<M>::features_;
  using RingBase<M>::broken_;

  std::optional<UsedFlags> placed_;  // the first used descriptor that the driver does not see yet
  std::uint32_t unsignalled_ = 0;  // descriptors passed since the last notification, at most 2·size
};

}  // namespace guestproof::virtio
