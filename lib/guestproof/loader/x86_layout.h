// Where things of a boot lie in the guest memory of an x86 machine.
//
// Everything below 1 MiB is the loader's, everything from there on the kernel's and the initrd's.
// RAM is expected from 0 to at least 2 MiB. What the kernel may use again once it runs is RAM in
// its memory map; the rest is kX86Reserved (memory_map.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "guestproof/loader/image.h"

namespace guestproof::loader::x86 {

/// Behind the real-mode interrupt table and the BIOS data area, which some kernels read.
inline constexpr GuestRange kGdt{GuestAddress(0x500), 0x40};
/// hvm_start_info, its list of modules and its memory map (PVH): a page below the zero page.
inline constexpr GuestRange kStartInfo{GuestAddress(0x6000), 0x1000};
/// boot_params (64-bit protocol): a page of its own, where other monitors have it.
inline constexpr GuestRange kZeroPage{GuestAddress(0x7000), 0x1000};
/// For the first calls of a 64-bit entry; ends 16 bytes below the page tables, aligned to 16.
inline constexpr GuestRange kBootStack{GuestAddress(0x8000), 0xff0};
/// A PML4, a PDPT, and four page directories for 4 GiB: six pages.
inline constexpr GuestRange kPageTables{GuestAddress(0x9000), 0x6000};
/// Far from the above, so that it can grow: 64 KiB are 32 times what Linux takes (2048).
inline constexpr GuestRange kCmdline{GuestAddress(0x20000), 0x10000};
/// The extended BIOS data area of PCs: kernels take base memory to end here at the latest.
inline constexpr GuestRange kEbda{GuestAddress(0x9fc00), 0x400};
/// The RSDP and the tables behind it: in the window of the BIOS that ACPI 6.5 §5.2.5.1 has kernels
/// search, on its first 64 KiB.
inline constexpr GuestRange kAcpi{GuestAddress(0xe0000), 0x10000};
/// The MP floating pointer and its table: in the part of the BIOS window that MP 1.4 §4 has kernels
/// search. The other places that it names, the EBDA and the last KiB of base memory, have room for
/// 40 processors only.
inline constexpr GuestRange kMpTable{GuestAddress(0xf0000), 0x10000};
/// Where bzImages are loaded by tradition, and the first address that an ELF kernel may have.
inline constexpr GuestAddress kKernelStart{0x100000};
/// What the page tables map, and the first address that 32 bits cannot say.
inline constexpr GuestAddress kIdentityEnd{std::uint64_t{1} << 32};
/// No RAM from here to 4 GiB: windows of devices, the ECAM, interrupt controllers, the reset
/// vector.
inline constexpr GuestRange kMmioGap{GuestAddress(0xd000'0000), 0x3000'0000};

/// In the order of addresses.
inline constexpr std::array kLowMemory{kGdt,     kStartInfo, kZeroPage, kBootStack, kPageTables,
                                       kCmdline, kEbda,      kAcpi,     kMpTable};
static_assert(
    [] {
      for (std::size_t i = 1; i < kLowMemory.size(); ++i)
        if (kLowMemory[i - 1].base.raw() + kLowMemory[i - 1].size > kLowMemory[i].base.raw())
          return false;
      return kLowMemory.back().base.raw() + kLowMemory.back().size <= kKernelStart.raw();
    }(),
    "areas overlap");
static_assert(kMmioGap.base.raw() + kMmioGap.size == kIdentityEnd.raw());
static_assert(kZeroPage.base.aligned_to(4096) && kPageTables.base.aligned_to(4096));

}  // namespace guestproof::loader::x86
