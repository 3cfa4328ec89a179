// Virtio over PCI as it stands in configuration space and in BARs: capabilities, the common
// configuration structure, and where this library puts the structures.
// Specification: virtio 1.3 §4.1.2 (IDs), §4.1.4 (capabilities and structures).
#pragma once

#include <cstdint>

namespace guestproof::virtio::pci_transport {

inline constexpr std::uint16_t kVendorId = 0x1af4;
/// Plus the virtio device ID, §4.1.2.1.
inline constexpr std::uint16_t kDeviceIdBase = 0x1040;

/// cfg_type of struct virtio_pci_cap, §4.1.4.
inline constexpr std::uint8_t VIRTIO_PCI_CAP_COMMON_CFG = 1;
inline constexpr std::uint8_t VIRTIO_PCI_CAP_NOTIFY_CFG = 2;
inline constexpr std::uint8_t VIRTIO_PCI_CAP_ISR_CFG = 3;
inline constexpr std::uint8_t VIRTIO_PCI_CAP_DEVICE_CFG = 4;
inline constexpr std::uint8_t VIRTIO_PCI_CAP_PCI_CFG = 5;

// struct virtio_pci_cap from its first byte on, §4.1.4.
inline constexpr unsigned kCapBar = 4;
inline constexpr unsigned kCapOffset = 8;
inline constexpr unsigned kCapLength = 12;
inline constexpr unsigned kCapBytes = 16;
/// notify_off_multiplier, or pci_cfg_data.
inline constexpr unsigned kCapTail = 16;

// struct virtio_pci_common_cfg, §4.1.4.3.
//
// Name                                               offset   width, access
inline constexpr std::uint32_t kDeviceFeatureSelect = 0x00;   // 4 RW
inline constexpr std::uint32_t kDeviceFeature = 0x04;         // 4 R
inline constexpr std::uint32_t kDriverFeatureSelect = 0x08;   // 4 RW
inline constexpr std::uint32_t kDriverFeature = 0x0c;         // 4 RW
inline constexpr std::uint32_t kConfigMsixVector = 0x10;      // 2 RW
inline constexpr std::uint32_t kNumQueues = 0x12;             // 2 R
inline constexpr std::uint32_t kDeviceStatus = 0x14;          // 1 RW
inline constexpr std::uint32_t kConfigGeneration = 0x15;      // 1 R
inline constexpr std::uint32_t kQueueSelect = 0x16;           // 2 RW
inline constexpr std::uint32_t kQueueSize = 0x18;             // 2 RW
inline constexpr std::uint32_t kQueueMsixVector = 0x1a;       // 2 RW
inline constexpr std::uint32_t kQueueEnable = 0x1c;           // 2 RW
inline constexpr std::uint32_t kQueueNotifyOff = 0x1e;        // 2 R
inline constexpr std::uint32_t kQueueDesc = 0x20;             // 8 RW, by halves too
inline constexpr std::uint32_t kQueueDriver = 0x28;           // 8 RW, by halves too
inline constexpr std::uint32_t kQueueDevice = 0x30;           // 8 RW, by halves too
inline constexpr std::uint32_t kQueueNotifConfigData = 0x38;  // 2 R
inline constexpr std::uint32_t kQueueReset = 0x3a;            // 2 RW
inline constexpr std::uint32_t kAdminQueueIndex = 0x3c;       // 2 R
inline constexpr std::uint32_t kAdminQueueNum = 0x3e;         // 2 R
inline constexpr std::uint32_t kCommonBytes = 0x40;

inline constexpr std::uint16_t VIRTIO_MSI_NO_VECTOR = 0xffff;

/// The ISR status byte, §4.1.4.5: masks.
inline constexpr std::uint8_t kIsrQueue = 1;
inline constexpr std::uint8_t kIsrConfiguration = 2;

// Where the structures lie in the BAR kStructureBar, a page for each kind, so that a VMM can let a
// guest have one kind without trapping.
inline constexpr unsigned kStructureBar = 0;  // 64 bits wide
inline constexpr unsigned kMsixBar = 2;       // 32 bits wide
inline constexpr std::uint32_t kCommonAt = 0x0000;
inline constexpr std::uint32_t kIsrAt = 0x1000;
inline constexpr std::uint32_t kDeviceAt = 0x2000;
inline constexpr std::uint32_t kNotifyAt = 0x3000;
inline constexpr std::uint32_t kPageBytes = 0x1000;
inline constexpr std::uint32_t kStructureBytes = 0x4000;
/// notify_off_multiplier: four bytes for each queue.
inline constexpr std::uint32_t kNotifyStride = 4;

}  // namespace guestproof::virtio::pci_transport
