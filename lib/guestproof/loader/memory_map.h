// What a kernel is told of its memory, and where an initrd goes in it.
//
// Ranges come from the VMM's own configuration (how much RAM, which windows), where a number of a
// user ends up; they are checked as everything else is.
//
// Thread-safety: functions of their arguments.
//
// Specification: ACPI 6.5 §15 (INT 15h E820h, address range types).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "guestproof/base/error.h"
#include "guestproof/loader/error.h"
#include "guestproof/loader/image.h"
#include "guestproof/loader/x86_layout.h"

namespace guestproof::loader {

/// ACPI 6.5 table 15.6; the zero page and PVH have the same numbers.
enum class MemoryType : std::uint32_t {
  kRam = 1,
  kReserved = 2,
  kAcpi = 3,  // RAM again once its tables were read
  kNvs = 4,
};

struct MemoryMapEntry {
  GuestRange range;
  MemoryType type = MemoryType::kRam;

  friend constexpr bool operator==(const MemoryMapEntry&, const MemoryMapEntry&) = default;
};

/// The zero page has room for no more (E820_MAX_ENTRIES_ZEROPAGE).
inline constexpr std::size_t kMaxMapEntries = 128;
/// No processor has more bits of physical address.
inline constexpr std::uint64_t kPhysicalEnd = std::uint64_t{1} << 52;

/// What stays taken of an x86 machine's low memory: from the EBDA to 1 MiB, with the tables that
/// kernels come back to.
inline constexpr std::array kX86Reserved{MemoryMapEntry{
    {x86::kEbda.base, x86::kKernelStart.raw() - x86::kEbda.base.raw()}, MemoryType::kReserved}};

/// All of `ram` that is not in `reserved`, and all of `reserved`, in RAM or not; sorted, and
/// neighbours of one type joined. Both may come in any order. Errors: kEmptyRange, kRangeEnd,
/// kRamOverlap, kReservedOverlap, kMapEntries.
[[nodiscard]] Result<std::vector<MemoryMapEntry>> make_memory_map(
    std::span<const GuestRange> ram, std::span<const MemoryMapEntry> reserved);

struct InitrdRequest {
  std::uint64_t size = 0;
  std::span<const GuestRange> ram;
  std::span<const GuestRange> taken;  // the kernel, and whatever else
  std::uint64_t last_address = 0;     // of its last byte: the setup header's initrd_addr_max
};

/// The highest page from 1 MiB on where all of it is RAM, up to last_address, that nothing takes.
/// RAM that touches is one. Errors: kEmptyRange, kRangeEnd, kRamOverlap, kInitrdEmpty, kInitrdRoom.
[[nodiscard]] Result<GuestRange> place_initrd(const InitrdRequest& request);

}  // namespace guestproof::loader
