// The zero page: what the Linux/x86 64-bit boot protocol hands to a kernel in RSI.
//
// Not here: the screen, EFI, EDD, and setup_data, all of which are left 0. A kernel then prints to
// where its command line says.
//
// Thread-safety: functions of their arguments.
//
// Specification: Linux, Documentation/arch/x86/zero-page.rst and boot.rst.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "guestproof/base/error.h"
#include "guestproof/loader/image.h"
#include "guestproof/loader/memory_map.h"
#include "guestproof/loader/setup_header.h"

namespace guestproof::loader {

/// struct boot_e820_entry.
struct BootE820Entry {
  ule64 addr;  // 0
  ule64 size;  // 8
  ule32 type;  // 16
};
static_assert(sizeof(BootE820Entry) == 20);

/// struct boot_params; what is not used here has no name.
struct BootParams {
  std::array<std::uint8_t, 0x70> screen_info_and_others;  // 0x000
  ule64 acpi_rsdp_addr;                                   // 0x070
  std::array<std::uint8_t, 0x48> drives_and_others;       // 0x078
  ule32 ext_ramdisk_image;                                // 0x0c0
  ule32 ext_ramdisk_size;                                 // 0x0c4
  ule32 ext_cmd_line_ptr;                                 // 0x0c8
  std::array<std::uint8_t, 0x11c> edid_efi_and_others;    // 0x0cc
  std::uint8_t e820_entries;                              // 0x1e8
  std::array<std::uint8_t, 8> eddbuf_entries_and_others;  // 0x1e9
  SetupHeader hdr;                                        // 0x1f1
  std::array<std::uint8_t, 0x40> edd_mbr_sig_buffer;      // 0x290
  std::array<BootE820Entry, kMaxMapEntries> e820_table;   // 0x2d0
  std::array<std::uint8_t, 0x330> eddbuf_and_others;      // 0xcd0
};
static_assert(sizeof(BootParams) == 4096 && alignof(BootParams) == 1);
static_assert(offsetof(BootParams, acpi_rsdp_addr) == 0x70 &&
              offsetof(BootParams, ext_ramdisk_image) == 0xc0 &&
              offsetof(BootParams, e820_entries) == 0x1e8 && offsetof(BootParams, hdr) == 0x1f1 &&
              offsetof(BootParams, e820_table) == 0x2d0);

/// For a kernel without one: an ELF kernel that is entered in 64-bit mode. Limits are those that
/// Linux says in the bzImage of the same kernel.
[[nodiscard]] SetupHeader default_setup_header();

struct LinuxBoot {
  SetupHeader header;    // the file's
  GuestAddress kernel;   // where it was loaded
  GuestAddress cmdline;  // text, with a NUL; its length is its limit's business
  GuestRange initrd;     // none: size 0
  GuestAddress rsdp;     // 0: the kernel searches for it
  std::span<const MemoryMapEntry> memory;
};

/// Errors: BootError::kMapEntries, kRangeEnd (an initrd past 2^52).
[[nodiscard]] Result<BootParams> make_boot_params(const LinuxBoot& boot);

/// Errors: as make_boot_params(), MemoryError; nothing is written then.
template <GuestMemory M>
[[nodiscard]] Result<void> load(const M& memory, const LinuxBoot& boot,
                                GuestAddress zero_page = x86::kZeroPage.base) {
  const auto params = make_boot_params(boot);
  if (!params) return std::unexpected(params.error());
  if (const auto ok = check_ram(memory, {zero_page, sizeof(BootParams)}); !ok) return ok;
  return write_object(memory, zero_page, *params);
}

}  // namespace guestproof::loader
