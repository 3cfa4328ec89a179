// What split and packed rings have in common: where the queue is in guest memory, how far it was
// taken and returned, whether it is broken; activating, saving and restoring.
//
// The three areas are translated once, at activation (and again by remap()); after that no access
// can fail, so state never runs ahead of memory. A ring that breaks the rules breaks the queue:
// taking keeps failing until reset, and the device reports DEVICE_NEEDS_RESET.
//
// Thread-safety: none; BasicQueue locks.
#pragma once

#include <cstdint>
#include <optional>

#include "guestproof/virtio/queue/config.h"
#include "guestproof/virtio/queue/state.h"

namespace guestproof::virtio {

template <GuestMemory M>
class RingBase {
 public:
  using Memory = M;

  RingBase(const RingBase&) = delete;
  RingBase& operator=(const RingBase&) = delete;

  /// The memory map has changed. Errors: QueueConfigError; the ring is then to be reset.
  [[nodiscard]] Result<void> remap(const M& memory) {
    if (!active()) return fail(QueueConfigError::kNotReady);
    auto areas = QueueAreas<M>::translate(memory, *config_);
    if (!areas) return std::unexpected(areas.error());
    memory_ = &memory;
    areas_ = *areas;
    return {};
  }

  [[nodiscard]] bool active() const { return config_.has_value(); }
  /// Why the queue is broken; nothing while it works.
  [[nodiscard]] const std::optional<Error>& broken() const { return broken_; }
  [[nodiscard]] std::uint16_t size() const { return size_; }
  /// REQUIRES: active(), or a chain taken from this ring is held and its memory still lives.
  [[nodiscard]] const M& memory() const {
    GUESTPROOF_HOT_INVARIANT(memory_ != nullptr);
    return *memory_;
  }

 protected:
  RingBase() = default;
  ~RingBase() = default;

  // REQUIRES for the next two: the ring is reset. After an error it still is.

  /// Errors: QueueConfigError.
  [[nodiscard]] Result<void> open(const M& memory, const QueueConfig& config,
                                  QueueFeatures features, RingLayout layout) {
    if (config.layout() != layout || features.layout() != layout)
      return fail(QueueConfigError::kLayout,
                  static_cast<std::uint64_t>(config.layout() != layout ? config.layout()
                                                                       : features.layout()),
                  static_cast<std::uint64_t>(layout));
    auto areas = QueueAreas<M>::translate(memory, config);
    if (!areas) return std::unexpected(areas.error());
    start(memory, config, features, *areas);
    return {};
  }

  /// Errors: QueueStateError, QueueConfigError.
  [[nodiscard]] Result<void> reopen(const M& memory, const QueueState& state,
                                    std::uint16_t max_size, QueueFeatures features,
                                    RingLayout layout);

  /// Without signalled_used. REQUIRES: active(), nothing is in flight.
  [[nodiscard]] QueueState save_common() const {
    auto state = QueueState::of(*config_);
    state.broken = broken_.has_value();
    state.features = features_;
    state.next_avail = next_avail_;
    state.next_used = next_used_;
    return state;
  }

  void reset_common() {
    config_.reset();
    areas_ = {};  // memory_ stays: a stale chain still makes readers, empty ones
    broken_.reset();
    size_ = next_avail_ = next_used_ = 0;
  }

  [[nodiscard]] std::unexpected<Error> refuse() const {
    if (broken_) return std::unexpected(*broken_);
    return fail(QueueError::kNotActive);
  }

  const M* memory_ = nullptr;
  QueueAreas<M> areas_;
  std::uint16_t size_ = 0;
  std::uint16_t next_avail_ = 0;
  std::uint16_t next_used_ = 0;
  QueueFeatures features_;
  std::optional<Error> broken_;
  std::optional<QueueConfig> config_;

 private:
  void start(const M& memory, const QueueConfig& config, QueueFeatures features,
             const QueueAreas<M>& areas) {
    config_ = config;
    memory_ = &memory;
    features_ = features;
    areas_ = areas;
    size_ = config.size();
  }
};

template <GuestMemory M>
Result<void> RingBase<M>::reopen(const M& memory, const QueueState& state, std::uint16_t max_size,
                                 QueueFeatures features, RingLayout layout) {
  const auto bits = [](QueueFeatures f) {
    return std::uint64_t{f.event_index} | std::uint64_t{f.indirect} << 1 |
           std::uint64_t{f.packed} << 2 | std::uint64_t{f.in_order} << 3;
  };
  const auto config = state.config();
  if (!config) return std::unexpected(config.error());
  if (state.max_size != max_size) return fail(QueueStateError::kMaxSize, state.max_size, max_size);
  if (state.features != features)
    return fail(QueueStateError::kFeatures, bits(state.features), bits(features));
  if (const auto opened = open(memory, *config, features, layout); !opened) {
    const Error& why = opened.error();
    if (why == QueueConfigError::kDescriptorTableRange)
      return fail(QueueStateError::kDescriptorTable, why.value(), kDescriptorTableAlign);
    if (why == QueueConfigError::kAvailableRingRange)
      return fail(QueueStateError::kAvailableRing, why.value(), available_ring_align(layout));
    if (why == QueueConfigError::kUsedRingRange)
      return fail(QueueStateError::kUsedRing, why.value(), kUsedRingAlign);
    return std::unexpected(why);
  }
  next_avail_ = state.next_avail;
  next_used_ = state.next_used;
  if (state.broken) broken_ = Error(QueueError::kSavedBroken);
  return {};
}

}  // namespace guestproof::virtio
