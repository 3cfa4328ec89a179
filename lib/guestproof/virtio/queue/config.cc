#include "guestproof/virtio/queue/config.h"

#include <array>
#include <bit>

namespace guestproof::virtio {
namespace {

struct Area {
  std::uint64_t base;
  std::uint64_t bytes;
};

bool overlap(const Area& a, const Area& b) {
  return a.base < b.base ? b.base - a.base < a.bytes : a.base - b.base < b.bytes;
}

}  // namespace

Result<QueueConfig> QueueConfig::create(std::uint16_t max_size) {
  if (max_size > kMaxQueueSize || !std::has_single_bit(max_size))
    return fail(QueueConfigError::kMaxSize, max_size, kMaxQueueSize);
  return QueueConfig(max_size, RingLayout::kSplit);
}

Result<void> QueueConfig::set_layout(RingLayout layout) {
  if (ready_) return fail(QueueConfigError::kReady);
  if (layout != layout_) *this = QueueConfig(max_size_, layout);
  return {};
}

Result<void> QueueConfig::set_size(std::uint16_t size) {
  if (ready_) return fail(QueueConfigError::kReady);
  if (size == 0) return fail(QueueConfigError::kSizeZero, size, max_size_);
  if (layout_ == RingLayout::kSplit && !std::has_single_bit(size))
    return fail(QueueConfigError::kSizeNotPowerOfTwo, size, max_size_);
  if (size > max_size_) return fail(QueueConfigError::kSizeAboveMax, size, max_size_);
  size_ = size;
  return {};
}

Result<void> QueueConfig::set_area(GuestAddress& area, GuestAddress address,
                                   std::uint64_t alignment, QueueConfigError misaligned) {
  if (ready_) return fail(QueueConfigError::kReady);
  if (!address.aligned_to(alignment)) return fail(misaligned, address.raw(), alignment);
  area = address;
  return {};
}

Result<void> QueueConfig::set_descriptor_table(GuestAddress address) {
  return set_area(descriptor_table_, address, kDescriptorTableAlign,
                  QueueConfigError::kDescriptorTableAlign);
}

Result<void> QueueConfig::set_available_ring(GuestAddress address) {
  return set_area(available_ring_, address, available_ring_align(layout_),
                  QueueConfigError::kAvailableRingAlign);
}

Result<void> QueueConfig::set_used_ring(GuestAddress address) {
  return set_area(used_ring_, address, kUsedRingAlign, QueueConfigError::kUsedRingAlign);
}

Result<void> QueueConfig::set_ready() {
  if (ready_) return fail(QueueConfigError::kReady);
  const auto bytes = AreaBytes::of(layout_, size_);
  const std::array areas{
      Area{descriptor_table_.raw(), bytes.descriptor_table},
      Area{available_ring_.raw(), bytes.available_ring},
      Area{used_ring_.raw(), bytes.used_ring},
  };
  for (std::size_t i = 1; i < areas.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (overlap(areas[i], areas[j]))
        return fail(QueueConfigError::kAreasOverlap, areas[i].base, areas[j].base);
  ready_ = true;
  return {};
}

}  // namespace guestproof::virtio
