// What a transport lets the driver set of a queue: size, addresses, ready. Validated at every
// setter and, against guest memory, at activation; the device never sees this type, only the queue
// that was activated from it.
//
// Thread-safety: none; a transport serialises its register accesses.
// Specification: virtio 1.3 §2.7 (sizes, alignment), §4.1.4.3 and §4.2.2 (the registers behind the
// setters).
#pragma once

#include <cstdint>

#include "guestproof/memory/guest_memory.h"
#include "guestproof/virtio/queue/error.h"
#include "guestproof/virtio/queue/wire.h"

namespace guestproof::virtio {

class QueueConfig {
 public:
  /// `max_size` is the device's choice: a power of two from 1 to 32768. Errors: kMaxSize.
  [[nodiscard]] static Result<QueueConfig> create(std::uint16_t max_size);

  [[nodiscard]] std::uint16_t max_size() const { return max_size_; }
  [[nodiscard]] std::uint16_t size() const { return size_; }
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] GuestAddress descriptor_table() const { return descriptor_table_; }
  [[nodiscard]] GuestAddress available_ring() const { return available_ring_; }
  [[nodiscard]] GuestAddress used_ring() const { return used_ring_; }

  // Every setter refuses (kReady) while the queue is ready, and then and on any other error keeps
  // the old value.

  /// Errors: kSizeZero, kSizeNotPowerOfTwo, kSizeAboveMax.
  [[nodiscard]] Result<void> set_size(std::uint16_t size);
  /// Errors: kDescriptorTableAlign (16).
  [[nodiscard]] Result<void> set_descriptor_table(GuestAddress address);
  /// Errors: kAvailableRingAlign (2).
  [[nodiscard]] Result<void> set_available_ring(GuestAddress address);
  /// Errors: kUsedRingAlign (4).
  [[nodiscard]] Result<void> set_used_ring(GuestAddress address);

  /// Fixes the configuration. Errors: kAreasOverlap.
  [[nodiscard]] Result<void> set_ready();
  /// Back to maximum size, no addresses, not ready.
  void reset() { *this = QueueConfig(max_size_); }

 private:
  explicit QueueConfig(std::uint16_t max_size) : max_size_(max_size), size_(max_size) {}
  [[nodiscard]] Result<void> set_area(GuestAddress& area, GuestAddress address,
                                      std::uint64_t alignment, QueueConfigError misaligned);

  GuestAddress descriptor_table_;
  GuestAddress available_ring_;
  GuestAddress used_ring_;
  std::uint16_t max_size_;
  std::uint16_t size_;
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
    const auto size = config.size();
    const auto table = find_contiguous(memory, config.descriptor_table(),
                                       descriptor_table_bytes(size), Access::kRead);
    if (!table)
      return fail(QueueConfigError::kDescriptorTableRange, config.descriptor_table().raw(),
                  descriptor_table_bytes(size));
    const auto available =
        find_contiguous(memory, config.available_ring(), available_ring_bytes(size), Access::kRead);
    if (!available)
      return fail(QueueConfigError::kAvailableRingRange, config.available_ring().raw(),
                  available_ring_bytes(size));
    const auto used =
        find_contiguous(memory, config.used_ring(), used_ring_bytes(size), Access::kWrite);
    if (!used)
      return fail(QueueConfigError::kUsedRingRange, config.used_ring().raw(),
                  used_ring_bytes(size));
    return QueueAreas{*table, *available, *used};
  }
};

}  // namespace guestproof::virtio
