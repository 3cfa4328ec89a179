// The ACPI tables of a small x86 machine of the hardware-reduced model: RSDP, XSDT, FADT, MADT,
// MCFG, DSDT.
//
// What a stock Linux needs in order to find its processors, interrupt controllers, serial ports,
// virtio-mmio devices and a PCI root, to power off, to reset, to hear of a power button, and to say
// that it panicked. The model has no PIC, no PIT, no fixed hardware (§4.1). The FADT says that
// there is no VGA, no keyboard controller to probe for (one may be there to reset the machine) and
// no CMOS clock: Linux takes the time from kvmclock, and without that it gives the clock up after a
// second.
//
// Not here: tables of other architectures, hot plug, NUMA, power states but S5; and whether the
// addresses are free, which the VMM knows.
//
// Thread-safety: pure functions.
// Specification: ACPI 6.5 §5.2, §4.8.3, §6.1, §6.2.13, §6.3.7; PCI Firmware 3.3 §4.1.2; QEMU,
// docs/specs/pvpanic, "ACPI Interface".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "guestproof/acpi/error.h"
#include "guestproof/memory/guest_address.h"

namespace guestproof::acpi {

/// Addresses; empty when its size is 0.
struct Window {
  std::uint64_t base = 0;
  std::uint64_t size = 0;
};

/// I/O ports of one byte, and what is written into them.
struct PowerRegisters {
  std::uint16_t reset = 0x600;
  std::uint8_t reset_value = 1;
  std::uint16_t sleep_control = 0x601;
  std::uint16_t sleep_status = 0x602;
  /// What \_S5 says.
  std::uint8_t sleep_type_off = 5;
};

struct SerialPort {
  std::uint16_t port = 0x3f8;
  std::uint32_t gsi = 4;
};

/// A window of virtio-mmio below 4 GiB, and its level-triggered interrupt, which several may share.
struct VirtioWindow {
  std::uint64_t base = 0;
  std::uint64_t size = 0x1000;
  std::uint32_t gsi = 0;
};

/// A host bridge with bus 0 of segment 0.
struct PciRoot {
  /// 1 MiB of configuration space.
  std::uint64_t ecam = 0;
  /// Where BARs may be (pci/bar_map.h); any may be empty.
  std::array<Window, 2> memory{};
  Window io{};
  /// Of the root's lines, as pci::intx_line() numbers them; level-triggered.
  std::array<std::uint32_t, 4> intx_gsi{};
};

struct Config {
  /// One a processor, ascending.
  std::vector<std::uint32_t> apic_ids{0};
  std::uint32_t local_apic = 0xfee0'0000;
  std::uint32_t io_apic = 0xfec0'0000;
  PowerRegisters power{};
  /// The edge-triggered input that a press of the power button pulses.
  std::optional<std::uint32_t> power_button_gsi = std::nullopt;
  /// Where a panic is reported: pvpanic's register.
  std::optional<std::uint16_t> panic_port = std::nullopt;
  std::vector<SerialPort> serial_ports{};
  std::vector<VirtioWindow> virtio_windows{};
  std::optional<PciRoot> pci = std::nullopt;
};

/// COM1 to COM4, as a PC has them.
inline constexpr std::size_t kMaxSerialPorts = 4;
/// Their names have two digits.
inline constexpr std::size_t kMaxVirtioWindows = 256;
/// Bounds the tables; more than KVM's vCPUs.
inline constexpr std::size_t kMaxProcessors = 4096;
inline constexpr std::uint64_t kEcamBytes = std::uint64_t{1} << 20;

struct Tables {
  /// What comes first in `bytes`, too.
  GuestAddress rsdp;
  std::vector<std::byte> bytes;
};

/// The tables as they are to lie from `base` on, in `room` bytes at most. A kernel that is not told
/// where they are looks from 0xE0000 to 1 MiB. Errors: AcpiError.
[[nodiscard]] Result<Tables> build(const Config& config, GuestAddress base, std::size_t room);

/// The definition block alone, without its header: for tests and for other tables. REQUIRES:
/// build() takes the configuration.
[[nodiscard]] std::vector<std::byte> definition_block(const Config& config);

}  // namespace guestproof::acpi
