// The registers of virtio over MMIO, version 2.
// Specification: virtio 1.3 §4.2.2.
#pragma once

#include <cstdint>

namespace guestproof::virtio::mmio {

inline constexpr std::uint32_t kMagicValue = 0x74726976;  // "virt"
inline constexpr std::uint32_t kVersion = 2;

// Name                                                 offset      access, width 4
inline constexpr std::uint32_t kMagicValueOffset = 0x000;         // R
inline constexpr std::uint32_t kVersionOffset = 0x004;            // R
inline constexpr std::uint32_t kDeviceIdOffset = 0x008;           // R
inline constexpr std::uint32_t kVendorIdOffset = 0x00c;           // R
inline constexpr std::uint32_t kDeviceFeaturesOffset = 0x010;     // R
inline constexpr std::uint32_t kDeviceFeaturesSelOffset = 0x014;  // W
inline constexpr std::uint32_t kDriverFeaturesOffset = 0x020;     // W
inline constexpr std::uint32_t kDriverFeaturesSelOffset = 0x024;  // W
inline constexpr std::uint32_t kQueueSelOffset = 0x030;           // W
inline constexpr std::uint32_t kQueueSizeMaxOffset = 0x034;       // R
inline constexpr std::uint32_t kQueueSizeOffset = 0x038;          // W
inline constexpr std::uint32_t kQueueReadyOffset = 0x044;         // RW
inline constexpr std::uint32_t kQueueNotifyOffset = 0x050;        // W
inline constexpr std::uint32_t kInterruptStatusOffset = 0x060;    // R
inline constexpr std::uint32_t kInterruptAckOffset = 0x064;       // W
inline constexpr std::uint32_t kStatusOffset = 0x070;             // RW
inline constexpr std::uint32_t kQueueDescLowOffset = 0x080;       // W
inline constexpr std::uint32_t kQueueDescHighOffset = 0x084;      // W
inline constexpr std::uint32_t kQueueDriverLowOffset = 0x090;     // W
inline constexpr std::uint32_t kQueueDriverHighOffset = 0x094;    // W
inline constexpr std::uint32_t kQueueDeviceLowOffset = 0x0a0;     // W
inline constexpr std::uint32_t kQueueDeviceHighOffset = 0x0a4;    // W
inline constexpr std::uint32_t kShmSelOffset = 0x0ac;             // W
inline constexpr std::uint32_t kShmLenLowOffset = 0x0b0;          // R
inline constexpr std::uint32_t kShmLenHighOffset = 0x0b4;         // R
inline constexpr std::uint32_t kShmBaseLowOffset = 0x0b8;         // R
inline constexpr std::uint32_t kShmBaseHighOffset = 0x0bc;        // R
inline constexpr std::uint32_t kQueueResetOffset = 0x0c0;         // RW
inline constexpr std::uint32_t kConfigGenerationOffset = 0x0fc;   // R
inline constexpr std::uint32_t kConfigOffset = 0x100;             // RW, any width

/// InterruptStatus and InterruptACK: masks.
inline constexpr std::uint32_t kInterruptUsedBuffer = 1;
inline constexpr std::uint32_t kInterruptConfigurationChange = 2;

}  // namespace guestproof::virtio::mmio
