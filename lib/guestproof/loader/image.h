// What loaders of all formats share: ranges of guest memory, how a kernel is entered, what a VMM
// knows of one that is loaded.
//
// Thread-safety: values; loading writes guest memory that nobody else uses yet.
#pragma once

#include <cstdint>

#include "guestproof/memory/guest_memory.h"

namespace guestproof::loader {

/// [base, base + size).
struct GuestRange {
  GuestAddress base;
  std::uint64_t size = 0;

  friend constexpr bool operator==(const GuestRange&, const GuestRange&) = default;
};

/// REQUIRES: neither passes 2^64.
[[nodiscard]] constexpr bool overlap(const GuestRange& a, const GuestRange& b) {
  const auto offset = b.base.offset_from(a.base);
  if (offset) return *offset < a.size && b.size != 0;
  return *a.base.offset_from(b.base) < b.size && a.size != 0;
}

/// How a kernel is entered.
enum class KernelProtocol : std::uint8_t {
  kLinux64,  // Linux/x86 64-bit boot protocol: long mode, the zero page in RSI
  kPvh,      // Xen PVH: 32-bit protected mode, hvm_start_info in EBX
  kArm64,    // Linux/arm64: the MMU off, the device tree in X0
};

struct LoadedKernel {
  KernelProtocol protocol = KernelProtocol::kLinux64;
  GuestAddress entry;
  GuestRange memory;  // what it needs until it knows its memory map; nothing else may lie there

  friend constexpr bool operator==(const LoadedKernel&, const LoadedKernel&) = default;
};

/// Errors: as check_range().
template <GuestMemory M>
[[nodiscard]] Result<void> check_ram(const M& memory, const GuestRange& range) {
  return check_range(memory, range.base, range.size, Access::kWrite);
}

template <GuestMemory M>
[[nodiscard]] Result<void> write_zeros(const M& memory, const GuestRange& range) {
  return for_each_slice(
      memory, range.base, range.size, Access::kWrite,
      [](const typename M::Slice& slice) { slice.fill(0, slice.size(), std::byte{0}); });
}

}  // namespace guestproof::loader
