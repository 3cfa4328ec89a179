// hvm_start_info: what a kernel that is entered by its PVH entry is told.
//
// Thread-safety: functions of their arguments.
//
// Specification: Xen, docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h, version 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "guestproof/base/error.h"
#include "guestproof/loader/image.h"
#include "guestproof/loader/memory_map.h"
#include "guestproof/loader/wire.h"
#include "guestproof/loader/x86_layout.h"

namespace guestproof::loader {

/// struct hvm_start_info.
struct HvmStartInfo {
  le32 magic;           // 0
  le32 version;         // 4
  le32 flags;           // 8
  le32 nr_modules;      // 12
  le64 modlist_paddr;   // 16
  le64 cmdline_paddr;   // 24
  le64 rsdp_paddr;      // 32
  le64 memmap_paddr;    // 40
  le32 memmap_entries;  // 48
  le32 reserved;        // 52
};
static_assert(sizeof(HvmStartInfo) == 56 && offsetof(HvmStartInfo, memmap_entries) == 48);

/// struct hvm_modlist_entry.
struct HvmModlistEntry {
  le64 paddr;          // 0
  le64 size;           // 8
  le64 cmdline_paddr;  // 16
  le64 reserved;       // 24
};
static_assert(sizeof(HvmModlistEntry) == 32);

/// struct hvm_memmap_table_entry.
struct HvmMemmapTableEntry {
  le64 addr;      // 0
  le64 size;      // 8
  le32 type;      // 16
  le32 reserved;  // 20
};
static_assert(sizeof(HvmMemmapTableEntry) == 24);

inline constexpr std::uint32_t XEN_HVM_START_MAGIC_VALUE = 0x336ec578;

struct PvhBoot {
  GuestAddress cmdline;  // text, with a NUL
  GuestRange initrd;     // none: size 0
  GuestAddress rsdp;     // 0: there is none
  std::span<const MemoryMapEntry> memory;
};

/// hvm_start_info with its module and its memory map right behind it, for that address. Errors:
/// BootError::kMapEntries, kRangeEnd (an initrd past 2^52).
[[nodiscard]] Result<std::vector<std::byte>> make_start_info(const PvhBoot& boot,
                                                             GuestAddress start_info);
/// The most that make_start_info() gives.
inline constexpr std::size_t kMaxStartInfoBytes =
    sizeof(HvmStartInfo) + sizeof(HvmModlistEntry) + kMaxMapEntries * sizeof(HvmMemmapTableEntry);
static_assert(kMaxStartInfoBytes <= x86::kStartInfo.size);

/// Errors: as make_start_info(), MemoryError; nothing is written then.
template <GuestMemory M>
[[nodiscard]] Result<void> load(const M& memory, const PvhBoot& boot,
                                GuestAddress start_info = x86::kStartInfo.base) {
  const auto bytes = make_start_info(boot, start_info);
  if (!bytes) return std::unexpected(bytes.error());
  if (const auto ok = check_ram(memory, {start_info, bytes->size()}); !ok) return ok;
  return write_bytes(memory, start_info, *bytes);
}

}  // namespace guestproof::loader
