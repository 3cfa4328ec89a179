// What a transport lets the driver set of a queue: size, addresses, ready. Validated at every
// setter and, against guest memory, at activation; the device never sees this type, only the queue
// that was activated from it.
//
// Thread-safety: none; a transport serialises its register accesses.
// Specification: virtio 1.3 §2.7 and §2.8.10 (sizes, alignment), §4.1.4.3 and §4.2.2 (the registers
// behind the setters).
#pragma once

#include <cstdint>

#include "guestproof/memory/guest_memory.h"
#include "guestproof/virtio/queue/error.h"
#include "guestproof/virtio/queue/wire.h"

namespace guestproof::virtio {

/// What the three areas hold, as VIRTIO_F_RING_PACKED was negotiated.
///
///                      split (§2.7)       packed (§2.8)
///   descriptor_table   Descriptor Table   Descriptor Ring, which the device writes too
///   available_ring     Available Ring     Driver Event Suppression
///   used_ring          Used Ring          Device Event Suppression
enum class RingLayout : std::uint8_t { kSplit, kPacked };

/// Of the other two areas it is the same in both layouts.
constexpr std::uint64_t available_ring_align(RingLayout layout) {
  return layout == RingLayout::kPacked ? kPackedEventAlign : kAvailableRingAlign;
}

/// The areas' sizes in bytes.
struct AreaBytes {
  std::uint64_t descriptor_table;
  std::uint64_t available_ring;
  std::uint64_t used_ring;

  [[nodiscard]] static constexpr AreaBytes of(RingLayout layout, std::uint16_t size) {
    if (layout == RingLayout::kPacked)
      return {descriptor_table_bytes(size), kPackedEventBytes, kPackedEventBytes};
    return {descriptor_table_bytes(size), available_ring_bytes(size), used_ring_bytes(size)};
  }
};

class QueueConfig {
 public:
  /// `max_size` is the device's choice, made before the driver chooses a layout: a power of two
  /// from 1 to 32768, which is a valid size of either. Errors: kMaxSize.
  [[nodiscard]] static Result<QueueConfig> create(std::uint16_t max_size);

  [[nodiscard]] std::uint16_t max_size() const { return max_size_; }
  [[nodiscard]] std::uint16_t size() const { return size_; }
  [[nodiscard]] RingLayout layout() const { return layout_; }
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] GuestAddress descriptor_table() const { return descriptor_table_; }
  [[nodiscard]] GuestAddress available_ring() const { return available_ring_; }
  [[nodiscard]] GuestAddress used_ring() const { return used_ring_; }

  // Every setter refuses (kReady) while the queue is ready, and then and on any other error keeps
  // the old value.

  /// Features were negotiated. Another layout than before takes size and areas back to the start;
  /// the first one is split.
  [[nodiscard]] Result<void> set_layout(RingLayout layout);
  /// Errors: kSizeZero, kSizeNotPowerOfTwo (split only), kSizeAboveMax.
  [[nodiscard]] Result<void> set_size(std::uint16_t size);
  /// Errors: kDescriptorTableAlign (16).
  [[nodiscard]] Result<void> set_descriptor_table(GuestAddress address);
  /// Errors: kAvailableRingAlign (2; packed 4).
  [[nodiscard]] Result<void> set_available_ring(GuestAddress address);
  /// Errors: kUsedRingAlign (4).
  [[nodiscard]] Result<void> set_used_ring(GuestAddress address);

  /// Fixes the configuration. Errors: kAreasOverlap.
  [[nodiscard]] Result<void> set_ready();
  /// Not ready any more; the rest stays as it is.
  void disable() { ready_ = false; }
  /// Back to maximum size, no addresses, not ready; the layout stays.
  void reset() { *this = QueueConfig(max_size_, layout_); }

 private:
  QueueConfig(std::uint16_t max_size, RingLayout layout)
      : max_size_(max_size), size_(max_size), layout_(layout) {}
  [[nodiscard]] Result<void> set_area(GuestAddress& area, GuestAddress address,
                                      std::uint64_t alignment, QueueConfigError misaligned);

  GuestAddress descriptor_table_;
  GuestAddress available_ring_;
  GuestAddress used_ring_;
  std::uint16_t max_size_;
  std::uint16_t size_;
  RingLayout layout_;
  bool ready_ = false;
};

/// The three areas, translated. Errors: kNotReady, kDescriptorTableRange, kAvailableRingRange,
/// kUsedRingRange.
template <GuestMemory M>
struct QueueAreas {
  typename M::Slice descriptor_table;
  typename M::Slice available_ring;
  typename M::Slice used_ring;

  [[nodiscard]] static Result<QueueAreas> translate(const M& memory, const QueueConfig& config) {
    if (!config.ready()) return fail(QueueConfigError::kNotReady);
    const auto bytes = AreaBytes::of(config.layout(), config.size());
    const auto table =
        find_contiguous(memory, config.descriptor_table(), bytes.descriptor_table,
                        config.layout() == RingLayout::kPacked ? Access::kWrite : Access::kRead);
    if (!table)
      return fail(QueueConfigError::kDescriptorTableRange, config.descriptor_table().raw(),
                  bytes.descriptor_table);
    const auto available =
        find_contiguous(memory, config.available_ring(), bytes.available_ring, Access::kRead);
    if (!available)
      return fail(QueueConfigError::kAvailableRingRange, config.available_ring().raw(),
                  bytes.available_ring);
    const auto used = find_contiguous(memory, config.used_ring(), bytes.used_ring, Access::kWrite);
    if (!used)
      return fail(QueueConfigError::kUsedRingRange, config.used_ring().raw(), bytes.used_ring);
    return QueueAreas{*table, *available, *used};
  }
};

}  // namespace guestproof::virtio
