// What a block device is: capacity, negotiated features, limits, identity. Chosen by the host,
// except that the driver picks from the features that it was offered; fixed while the device runs.
//
// Thread-safety: a value.
// Specification: virtio 1.3 §5.2.3 (features), §5.2.4 (the fields that carry the same names).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "guestproof/base/error.h"
#include "guestproof/virtio/device/block/error.h"
#include "guestproof/virtio/device/block/wire.h"

namespace guestproof::virtio::block {

/// The largest segment count of one discard, write zeroes or secure erase request. A device keeps
/// room for that many, because all of them are checked before the first is executed; other devices
/// of the field allow from 1 to 256.
inline constexpr std::uint32_t kMaxSegments = 256;

/// Byte offsets must fit the kernel's signed 64-bit file offset.
inline constexpr std::uint64_t kMaxCapacity = (std::uint64_t{1} << 63) / kSectorBytes - 1;

/// The largest segment unless the host says otherwise: 512 bytes less than 2 GiB. A device may have
/// to write every byte of it before it looks at another request: so much takes a disk seconds,
/// UINT32_MAX sectors (2 TiB) would take it hours. QEMU has the same number; drivers cut what is
/// longer.
inline constexpr std::uint32_t kDefaultSegmentSectors = (1U << 22) - 1;

/// Of one kind of segment array: max_discard_sectors and max_discard_seg, and so on.
struct SegmentLimits {
  std::uint32_t max_sectors = kDefaultSegmentSectors;
  std::uint32_t max_segments = 1;
};

using DeviceId = std::array<char, VIRTIO_BLK_ID_BYTES>;

/// The first 20 bytes of `serial`, padded with NUL.
[[nodiscard]] DeviceId device_id(std::string_view serial);

struct Config {
  std::uint64_t capacity = 0;  // in sectors
  std::uint64_t features = 0;  // what the driver accepted: bit n is VIRTIO_BLK_F_… number n
  bool read_only = false;      // VIRTIO_BLK_F_RO was offered, whether it was accepted or not
  DeviceId id{};

  std::uint32_t size_max = 0;  // counts with VIRTIO_BLK_F_SIZE_MAX
  std::uint32_t seg_max = 0;   // counts with VIRTIO_BLK_F_SEG_MAX
  SegmentLimits discard{};
  SegmentLimits write_zeroes{};
  SegmentLimits secure_erase{};
  bool write_zeroes_may_unmap = false;

  [[nodiscard]] constexpr bool has(unsigned feature) const {
    return (features >> feature & 1) != 0;
  }
  /// Limits are looked at only when their feature is on. Errors: BlockConfigError.
  [[nodiscard]] Result<void> check() const;
};

}  // namespace guestproof::virtio::block
