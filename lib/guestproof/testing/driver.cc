#include "guestproof/testing/driver.h"

namespace guestproof::testing {
namespace {

std::uint64_t round_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace

QueueLayout QueueLayout::at(GuestAddress base, std::uint16_t size, virtio::RingLayout format) {
  const auto bytes = virtio::AreaBytes::of(format, size);
  const auto available = base.raw() + bytes.descriptor_table;
  const auto used = round_up(available + bytes.available_ring, virtio::kUsedRingAlign);
  return {size, base, GuestAddress(available), GuestAddress(used), format};
}

std::uint64_t QueueLayout::bytes(std::uint16_t size) {
  return at(GuestAddress(0), size).used_ring.raw() + virtio::used_ring_bytes(size);
}

virtio::QueueConfig QueueLayout::config(std::uint16_t max_size) const {
  auto config = virtio::QueueConfig::create(max_size);
  GUESTPROOF_INVARIANT(config);
  GUESTPROOF_INVARIANT(config->set_layout(format));
  GUESTPROOF_INVARIANT(config->set_size(size));
  GUESTPROOF_INVARIANT(config->set_descriptor_table(descriptor_table));
  GUESTPROOF_INVARIANT(config->set_available_ring(available_ring));
  GUESTPROOF_INVARIANT(config->set_used_ring(used_ring));
  GUESTPROOF_INVARIANT(config->set_ready());
  return *config;
}

}  // namespace guestproof::testing
