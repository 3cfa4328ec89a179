// The guest's physical addresses, ports and interrupts on x86_64, but for what a boot puts into low
// memory (loader/x86_layout.h).
#pragma once

#include <array>
#include <cstdint>

#include "guestproof/loader/x86_layout.h"
#include "vmm/config.h"

namespace guestproof::vmm::x86_64::layout {

/// RAM ends here at the latest, and goes on behind the gap.
inline constexpr std::uint64_t kGapBase = loader::x86::kMmioGap.base.raw();
inline constexpr std::uint64_t kGapEnd = loader::x86::kIdentityEnd.raw();
inline constexpr std::array kRam{loader::GuestRange{GuestAddress(0), kGapBase},
                                 loader::GuestRange{GuestAddress(kGapEnd), UINT64_MAX - kGapEnd}};

/// A page for the registers of each virtio-mmio device.
inline constexpr std::uint64_t kMmioBase = kGapBase;
inline constexpr std::uint64_t kMmioStride = 0x1000;
/// BARs: 239 MiB below the ECAM. A virtio device takes 32 KiB of them.
inline constexpr std::uint64_t kBarBase = 0xd100'0000;
inline constexpr std::uint64_t kBarBytes = 0x0f00'0000;
/// Configuration space of bus 0.
inline constexpr std::uint64_t kEcamBase = 0xe000'0000;
/// Where they are on every PC, and where KVM has them.
inline constexpr std::uint64_t kIoApicBase = 0xfec0'0000;
inline constexpr std::uint64_t kLocalApicBase = 0xfee0'0000;
/// What Intel's virtual processors need for themselves: a page and three, below the reset vector.
inline constexpr std::uint64_t kKvmIdentityMap = 0xfffb'c000;
inline constexpr std::uint64_t kKvmTss = 0xfffb'd000;

inline constexpr std::uint16_t kSerial = 0x3f8;
/// Where QEMU's machines have their ACPI registers, too; no device of a PC is there.
inline constexpr std::uint16_t kAcpiRegisters = 0x600;
/// Where QEMU has it.
inline constexpr std::uint16_t kPvPanic = 0x505;

/// Pins of the IOAPIC. COM1's is a PC's; no device of this machine has the others.
inline constexpr std::uint32_t kSerialGsi = 4;
inline constexpr std::uint32_t kPowerGsi = 9;
/// virtio-mmio devices share these eight by turns, PCI's four lines have the first four of them.
inline constexpr std::uint32_t kDeviceGsi = 16;
inline constexpr std::uint32_t kDeviceGsis = 8;

/// What KVM_IRQ_LINE calls a GSI.
[[nodiscard]] constexpr std::uint32_t irq_line(std::uint32_t gsi) { return gsi; }

}  // namespace guestproof::vmm::x86_64::layout
