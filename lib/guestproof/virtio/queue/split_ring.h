// The device's side of one split virtqueue (virtio 1.3 §2.7): takes chains from the available ring,
// returns them through the used ring, and decides about notifications both ways.
//
// The three areas are translated once, at activation (and again by remap()); after that no access
// can fail, so state never runs ahead of memory. A ring that breaks the rules breaks the queue:
// pop() keeps failing until reset, and the device reports DEVICE_NEEDS_RESET. Policies where the
// specification leaves room:
// - An available index more than Queue Size ahead breaks the queue; so do a head index outside the
// table and a head
//   that is in flight already (it could not be returned twice).
// - The available index is read again only when all chains that it announced were taken.
// - One used element is published per finish(), with its index.
// Devices use SplitQueue or SharedQueue, which hand out records as Chains.
//
// Thread-safety: none; see SharedQueue.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "guestproof/virtio/queue/chain_walk.h"
#include "guestproof/virtio/queue/config.h"
#include "guestproof/virtio/queue/notify.h"
#include "guestproof/virtio/queue/state.h"

namespace guestproof::virtio {

template <GuestMemory M>
class SplitRing {
 public:
  SplitRing() = default;
  SplitRing(const SplitRing&) = delete;
  SplitRing& operator=(const SplitRing&) = delete;
  /// REQUIRES: every chain that was taken has been completed or dropped.
  ~SplitRing() { GUESTPROOF_INVARIANT(free_.size() == records_.size()); }

  /// Starts on an empty queue. `memory` must outlive the activation and the chains taken in it.
  /// Errors: QueueConfigError; the ring is then inactive.
  [[nodiscard]] Result<void> activate(const M& memory, const QueueConfig& config,
                                      QueueFeatures features) {
    reset();
    auto areas = QueueAreas<M>::translate(memory, config);
    if (!areas) return std::unexpected(areas.error());
    start(memory, config, features, *areas);
    return {};
  }

  /// Goes on where a saved queue stopped. The state must be of a queue with this maximum size and
  /// these features. Errors: QueueStateError, QueueConfigError::kNotReady (a valid state, but of a
  /// queue that was not active); the ring is then inactive.
  [[nodiscard]] Result<void> restore(const M& memory, const QueueState& state,
                                     std::uint16_t max_size, QueueFeatures features);

  /// Errors: QueueError::kNotActive, kChainsInFlight.
  [[nodiscard]] Result<QueueState> save() const;

  /// The memory map has changed. Errors: QueueConfigError when an area is gone; the ring is then
  /// inactive.
  [[nodiscard]] Result<void> remap(const M& memory) {
    if (!active()) return fail(QueueConfigError::kNotReady);
    auto areas = QueueAreas<M>::translate(memory, *config_);
    if (!areas) {
      reset();
      return std::unexpected(areas.error());
    }
    memory_ = &memory;
    areas_ = *areas;
    return {};
  }

  /// Forgets everything. Chains still held become stale: they have no bytes any more, and
  /// completing them touches nothing.
  void reset() {
    config_.reset();
    areas_ = {};  // memory_ stays: a stale chain still makes readers, empty ones
    broken_.reset();
    size_ = next_avail_ = seen_avail_ = next_used_ = 0;
    signalled_used_ = std::uint16_t{0};
    in_flight_.clear();
    in_flight_count_ = 0;
    for (const auto& record : records_) record->revoke();
    // The room that one driver's long chains took is not kept for the next one's.
    for (ChainRecord* record : free_)
      if (record->buffers.capacity() > kKeptBuffers) record->buffers = {};
  }

  [[nodiscard]] bool active() const { return config_.has_value(); }
  /// Why the queue is broken; nothing while it works.
  [[nodiscard]] const std::optional<Error>& broken() const { return broken_; }
  [[nodiscard]] std::uint32_t in_flight() const { return in_flight_count_; }
  [[nodiscard]] std::uint16_t size() const { return size_; }
  /// REQUIRES: active(), or a chain taken from this ring is held and its memory still lives.
  [[nodiscard]] const M& memory() const {
    GUESTPROOF_HOT_INVARIANT(memory_ != nullptr);
    return *memory_;
  }

  /// The next available chain; null when there is none. Errors: QueueError, which stay until reset.
  [[nodiscard]] Result<ChainRecord*> take() {
    if (!active() || broken_) [[unlikely]]
      return refuse();
    if (next_avail_ == seen_avail_ && !see_more())
      return broken_ ? refuse() : Result<ChainRecord*>(nullptr);
    const auto head = areas_.available_ring.template load<le16>(
        kAvailRingOffset + sizeof(le16) * (next_avail_ & (size_ - 1)));
    if (!may_take(head)) [[unlikely]]
      return refuse();
    // Whatever throws up to here (no memory for the record or its buffers) leaves the chain to be
    // taken again.
    ChainRecord& record = spare_record();
    ChainWalk<M>(*memory_, areas_.descriptor_table, size_, features_.indirect).run(head, record);
    claim(record);
    return &record;
  }

  /// Publishes a used element. Errors: kUsedLength (the record is still the caller's), kStaleChain
  /// (it is not).
  [[nodiscard]] Result<void> finish(ChainRecord& record, std::uint32_t written) {
    if (record.stale()) [[unlikely]] {
      const auto head = record.head;
      free_.push_back(&record);
      return fail(QueueError::kStaleChain, head);
    }
    if (written > record.writable_bytes)
      return fail(QueueError::kUsedLength, written, record.writable_bytes);
    areas_.used_ring.store(kUsedRingOffset + sizeof(VirtqUsedElem) * (next_used_ & (size_ - 1)),
                           VirtqUsedElem{.id = std::uint32_t{record.head}, .len = written});
    ++next_used_;
    areas_.used_ring.store_release(kUsedIdxOffset, le_index(next_used_));
    // After 2^16 entries without a notification the distance is no longer known: notify for
    // certain.
    if (signalled_used_ == next_used_) signalled_used_.reset();
    in_flight_[record.head / 64] &= ~(std::uint64_t{1} << (record.head % 64));
    --in_flight_count_;
    free_.push_back(&record);
    return {};
  }

  void abandon(ChainRecord& record) {
    // Length 0 fits every chain, and a stale record is taken back all the same: there is no error
    // left to tell.
    static_cast<void>(finish(record, 0));
  }

  /// Whether the driver wants an interrupt for what was finished since this was last asked
  /// (§2.7.7).
  [[nodiscard]] bool needs_notification() {
    if (!active() || signalled_used_ == next_used_) return false;
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
    if (!active() || broken_) return false;
    if (features_.event_index)
      areas_.used_ring.store(kUsedRingOffset + sizeof(VirtqUsedElem) * size_, le16(next_avail_));
    else
      areas_.used_ring.store(kUsedFlagsOffset, le16(0));
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return available_index() != next_avail_;
  }

  /// Asks the driver not to kick. With event index an old event value says so already.
  void disable_kicks() {
    if (active() && !features_.event_index)
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

  [[nodiscard]] std::unexpected<Error> refuse() const {
    if (broken_) return std::unexpected(*broken_);
    return fail(QueueError::kNotActive);
  }

  void start(const M& memory, const QueueConfig& config, QueueFeatures features,
             const QueueAreas<M>& areas) {
    in_flight_.assign((config.size() + 63U) / 64, 0);
    config_ = config;
    memory_ = &memory;
    features_ = features;
    areas_ = areas;
    size_ = config.size();
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
  [[nodiscard]] bool may_take(std::uint16_t head) {
    if (head >= size_) [[unlikely]]
      broken_ = Error(QueueError::kHeadIndex, head, size_);
    else if ((in_flight_[head / 64] >> (head % 64) & 1) != 0) [[unlikely]]
      broken_ = Error(QueueError::kHeadInFlight, head);
    return !broken_;
  }

  /// A record that is still among the free ones.
  [[nodiscard]] ChainRecord& spare_record() {
    if (free_.empty()) [[unlikely]] {
      free_.reserve(records_.size() + 1);
      records_.push_back(std::make_unique<ChainRecord>());
      free_.push_back(records_.back().get());
    }
    return *free_.back();
  }

  /// The spare record's chain is in flight from now on.
  void claim(ChainRecord& record) {
    free_.pop_back();
    in_flight_[record.head / 64] |= std::uint64_t{1} << (record.head % 64);
    ++in_flight_count_;
    ++next_avail_;
  }

  // Buffers of a record that a reset leaves allocated: chains of usual length allocate nothing.
  static constexpr std::size_t kKeptBuffers = 64;

  const M* memory_ = nullptr;
  QueueAreas<M> areas_;
  std::uint16_t size_ = 0;
  std::uint16_t next_avail_ = 0;
  std::uint16_t seen_avail_ = 0;
  std::uint16_t next_used_ = 0;
  std::optional<std::uint16_t> signalled_used_ = std::uint16_t{0};
  QueueFeatures features_;
  std::uint32_t in_flight_count_ = 0;
  std::vector<std::uint64_t> in_flight_;  // one bit per head
  std::vector<ChainRecord*> free_;
  std::vector<std::unique_ptr<ChainRecord>> records_;
  std::optional<Error> broken_;
  std::optional<QueueConfig> config_;
};

template <GuestMemory M>
Result<QueueState> SplitRing<M>::save() const {
  if (!active()) return fail(QueueError::kNotActive);
  if (in_flight_count_ != 0) return fail(QueueError::kChainsInFlight, in_flight_count_);
  auto state = QueueState::of(*config_);
  state.broken = broken_.has_value();
  state.features = features_;
  state.next_avail = next_avail_;
  state.next_used = next_used_;
  state.signalled_used = signalled_used_;
  return state;
}

template <GuestMemory M>
Result<void> SplitRing<M>::restore(const M& memory, const QueueState& state, std::uint16_t max_size,
                                   QueueFeatures features) {
  const auto bits = [](QueueFeatures f) {
    return std::uint64_t{f.event_index} | std::uint64_t{f.indirect} << 1;
  };
  reset();
  const auto config = state.config();
  if (!config) return std::unexpected(config.error());
  if (state.max_size != max_size) return fail(QueueStateError::kMaxSize, state.max_size, max_size);
  if (state.features != features)
    return fail(QueueStateError::kFeatures, bits(state.features), bits(features));
  const auto areas = QueueAreas<M>::translate(memory, *config);
  if (!areas) {
    if (areas.error() == QueueConfigError::kDescriptorTableRange)
      return fail(QueueStateError::kDescriptorTable, areas.error().value(), kDescriptorTableAlign);
    if (areas.error() == QueueConfigError::kAvailableRingRange)
      return fail(QueueStateError::kAvailableRing, areas.error().value(), kAvailableRingAlign);
    if (areas.error() == QueueConfigError::kUsedRingRange)
      return fail(QueueStateError::kUsedRing, areas.error().value(), kUsedRingAlign);
    return std::unexpected(areas.error());
  }
  start(memory, *config, features, *areas);
  next_avail_ = seen_avail_ = state.next_avail;
  next_used_ = state.next_used;
  signalled_used_ = state.signalled_used;
  if (state.broken) broken_ = Error(QueueError::kSavedBroken);
  return {};
}

}  // namespace guestproof::virtio
