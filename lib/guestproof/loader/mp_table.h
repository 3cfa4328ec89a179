// The MP table: processors and interrupts for kernels without ACPI (`acpi=off`).
//
// One local APIC for each processor, numbered from 0; one I/O APIC; one ISA bus, whose interrupt n
// is input n of the I/O APIC. Not here: PCI buses, other interrupt routes, extended entries.
//
// Thread-safety: functions of their arguments.
//
// Specification: Intel MultiProcessor Specification 1.4, ch. 4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "guestproof/base/error.h"
#include "guestproof/loader/error.h"
#include "guestproof/loader/image.h"
#include "guestproof/loader/x86_layout.h"

namespace guestproof::loader {

struct MpMachine {
  /// APIC identifiers are bytes: 255 is the broadcast, and the I/O APIC takes one more.
  static constexpr std::uint32_t kMaxProcessors = 254;

  std::uint32_t processors = 1;
  std::uint32_t local_apic = 0xfee0'0000;
  std::uint32_t io_apic = 0xfec0'0000;
  /// CPUID leaf 1, EAX and EDX.
  std::uint32_t cpu_signature = 0x600;
  std::uint32_t feature_flags = 0x201;  // FPU and APIC
};

/// The floating pointer, and the configuration table behind it, for that address. Errors:
/// MpTableError.
[[nodiscard]] Result<std::vector<std::byte>> make_mp_table(const MpMachine& machine,
                                                           GuestAddress address);

/// The most that make_mp_table() gives: pointer, header, processors, bus, I/O APIC, interrupts.
inline constexpr std::size_t kMaxMpTableBytes =
    16 + 44 + 20 * MpMachine::kMaxProcessors + 8 + 8 + 8 * (16 + 2);
static_assert(kMaxMpTableBytes <= x86::kMpTable.size);

/// Errors: as make_mp_table(), MemoryError; nothing is written then.
template <GuestMemory M>
[[nodiscard]] Result<void> load(const M& memory, const MpMachine& machine,
                                GuestAddress address = x86::kMpTable.base) {
  const auto table = make_mp_table(machine, address);
  if (!table) return std::unexpected(table.error());
  if (const auto ok = check_ram(memory, {address, table->size()}); !ok) return ok;
  return write_bytes(memory, address, *table);
}

}  // namespace guestproof::loader
