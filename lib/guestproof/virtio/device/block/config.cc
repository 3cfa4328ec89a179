#include "guestproof/virtio/device/block/config.h"

namespace guestproof::virtio::block {

DeviceId device_id(std::string_view serial) {
  DeviceId id{};
  serial.copy(id.data(), id.size());
  return id;
}

Result<void> Config::check() const {
  if (capacity > kMaxCapacity) return fail(BlockConfigError::kCapacity, capacity, kMaxCapacity);
  if (has(VIRTIO_BLK_F_SIZE_MAX) && size_max == 0) return fail(BlockConfigError::kSizeMaxZero);
  if (has(VIRTIO_BLK_F_SEG_MAX) && seg_max == 0) return fail(BlockConfigError::kSegMaxZero);
  const std::array arrays{std::pair(VIRTIO_BLK_F_DISCARD, discard),
                          std::pair(VIRTIO_BLK_F_WRITE_ZEROES, write_zeroes),
                          std::pair(VIRTIO_BLK_F_SECURE_ERASE, secure_erase)};
  for (const auto& [feature, limits] : arrays)
    if (has(feature) && (limits.max_segments == 0 || limits.max_segments > kMaxSegments))
      return fail(BlockConfigError::kMaxSegments, limits.max_segments, kMaxSegments);
  return {};
}

}  // namespace guestproof::virtio::block
