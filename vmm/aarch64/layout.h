// The guest's physical addresses and interrupts on aarch64. As in the reference VMM of rust-vmm,
// RAM is from 2 GiB on, devices are from 1 GiB on, and the interrupt controller lies right below
// them.
#pragma once

#include <array>
#include <cstdint>

#include "guestproof/loader/arm64_image.h"
#include "vmm/config.h"

namespace guestproof::vmm::aarch64::layout {

/// A redistributor for each processor, two pages of 64 KiB, below the distributor's page.
inline constexpr std::uint64_t kRedistributorBytes = 0x2'0000;
inline constexpr std::uint64_t kDistributorBytes = 0x1'0000;
inline constexpr std::uint64_t kDistributor = 0x3fff'0000;
inline constexpr std::uint64_t kRedistributors = kDistributor - kMaxVcpus * kRedistributorBytes;

/// A page for the registers of each virtio-mmio device.
inline constexpr std::uint64_t kMmioBase = 0x4000'0000;
inline constexpr std::uint64_t kMmioStride = 0x1000;
// A page for each chip of the board.
inline constexpr std::uint64_t kChipBytes = 0x1000;
inline constexpr std::uint64_t kSerial = 0x4010'0000;
inline constexpr std::uint64_t kRtc = 0x4010'1000;
inline constexpr std::uint64_t kPvPanic = 0x4010'2000;
/// Configuration space of bus 0.
inline constexpr std::uint64_t kEcamBase = 0x4020'0000;
inline constexpr std::uint64_t kBarBase = 0x5000'0000;
inline constexpr std::uint64_t kBarBytes = 0x1000'0000;

inline constexpr std::uint64_t kRamBase = 0x8000'0000;
inline constexpr std::array kRam{loader::GuestRange{GuestAddress(kRamBase), UINT64_MAX - kRamBase}};
/// Where kernels go by themselves.
inline constexpr GuestAddress kKernelStart{kRamBase};
static_assert(kKernelStart.aligned_to(loader::Arm64Image::kBaseAlignment));
/// The device tree may have 2 MiB, and may not cross one (Documentation/arch/arm64/booting.rst): it
/// has the last that RAM has.
inline constexpr std::uint64_t kDeviceTreeBytes = 2 << 20;
[[nodiscard]] constexpr loader::GuestRange device_tree(std::uint64_t ram_bytes) {
  const auto end = (kRamBase + ram_bytes) / kDeviceTreeBytes * kDeviceTreeBytes;
  return {GuestAddress(end - kDeviceTreeBytes), kDeviceTreeBytes};
}

// Shared peripheral interrupts, which a GSI of KVM's is the number of.
inline constexpr std::uint32_t kSerialGsi = 0;
inline constexpr std::uint32_t kRtcGsi = 1;
/// virtio-mmio devices share these eight by turns, PCI's four lines have the first four of them.
inline constexpr std::uint32_t kDeviceGsi = 8;
inline constexpr std::uint32_t kDeviceGsis = 8;
/// Of all kinds: the 32 that belong to a processor, and the shared ones. KVM's least.
inline constexpr std::uint32_t kInterrupts = 64;
static_assert(32 + kDeviceGsi + kDeviceGsis <= kInterrupts);

/// What KVM_IRQ_LINE calls a GSI: of type SPI, by its number among all interrupts
/// (Documentation/virt/kvm/api.rst).
[[nodiscard]] constexpr std::uint32_t irq_line(std::uint32_t gsi) { return 1u << 24 | (32 + gsi); }

}  // namespace guestproof::vmm::aarch64::layout
