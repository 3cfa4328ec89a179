// What all virtio devices have in common as the driver sees it: status bits, feature bits that are
// not a device type's own, device IDs.
// Specification: virtio 1.3 §2.1 (status), §2.2 and §6 (features), §5 (device IDs).
#pragma once

#include <cstdint>

namespace guestproof::virtio {

/// Device status field, §2.1: masks.
inline constexpr std::uint8_t VIRTIO_STATUS_ACKNOWLEDGE = 1;
inline constexpr std::uint8_t VIRTIO_STATUS_DRIVER = 2;
inline constexpr std::uint8_t VIRTIO_STATUS_DRIVER_OK = 4;
inline constexpr std::uint8_t VIRTIO_STATUS_FEATURES_OK = 8;
inline constexpr std::uint8_t VIRTIO_STATUS_DEVICE_NEEDS_RESET = 64;
inline constexpr std::uint8_t VIRTIO_STATUS_FAILED = 128;

/// Reserved feature bits, §6: bit numbers.
inline constexpr unsigned VIRTIO_F_INDIRECT_DESC = 28;
inline constexpr unsigned VIRTIO_F_EVENT_IDX = 29;
inline constexpr unsigned VIRTIO_F_VERSION_1 = 32;
inline constexpr unsigned VIRTIO_F_ACCESS_PLATFORM = 33;
inline constexpr unsigned VIRTIO_F_RING_PACKED = 34;
inline constexpr unsigned VIRTIO_F_IN_ORDER = 35;
inline constexpr unsigned VIRTIO_F_ORDER_PLATFORM = 36;
inline constexpr unsigned VIRTIO_F_SR_IOV = 37;
inline constexpr unsigned VIRTIO_F_NOTIFICATION_DATA = 38;
inline constexpr unsigned VIRTIO_F_NOTIF_CONFIG_DATA = 39;
inline constexpr unsigned VIRTIO_F_RING_RESET = 40;

constexpr std::uint64_t feature_bit(unsigned feature) { return std::uint64_t{1} << feature; }

/// Device IDs, §5.
inline constexpr std::uint32_t VIRTIO_ID_NET = 1;
inline constexpr std::uint32_t VIRTIO_ID_BLOCK = 2;
inline constexpr std::uint32_t VIRTIO_ID_CONSOLE = 3;
inline constexpr std::uint32_t VIRTIO_ID_ENTROPY = 4;
inline constexpr std::uint32_t VIRTIO_ID_BALLOON = 5;
inline constexpr std::uint32_t VIRTIO_ID_SOCKET = 19;

}  // namespace guestproof::virtio
