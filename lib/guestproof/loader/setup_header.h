// The setup header of Linux/x86: what a kernel's file tells a loader, and a loader the kernel.
// Specification: Linux, Documentation/arch/x86/boot.rst, protocol 2.15.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "guestproof/loader/wire.h"

namespace guestproof::loader {

/// struct setup_header, as it stands at 0x1f1 of a bzImage and of the zero page. Offsets are those
/// of the file. Fields of later protocols are carried along.
struct SetupHeader {
  std::uint8_t setup_sects;              // 0x1f1
  ule16 root_flags;                      // 0x1f2
  ule32 syssize;                         // 0x1f4
  ule16 ram_size;                        // 0x1f8
  ule16 vid_mode;                        // 0x1fa
  ule16 root_dev;                        // 0x1fc
  ule16 boot_flag;                       // 0x1fe
  ule16 jump;                            // 0x200
  ule32 header;                          // 0x202
  ule16 version;                         // 0x206
  ule32 realmode_swtch;                  // 0x208
  ule16 start_sys_seg;                   // 0x20c
  ule16 kernel_version;                  // 0x20e
  std::uint8_t type_of_loader;           // 0x210
  std::uint8_t loadflags;                // 0x211
  ule16 setup_move_size;                 // 0x212
  ule32 code32_start;                    // 0x214
  ule32 ramdisk_image;                   // 0x218
  ule32 ramdisk_size;                    // 0x21c
  ule32 bootsect_kludge;                 // 0x220
  ule16 heap_end_ptr;                    // 0x224
  std::uint8_t ext_loader_ver;           // 0x226
  std::uint8_t ext_loader_type;          // 0x227
  ule32 cmd_line_ptr;                    // 0x228
  ule32 initrd_addr_max;                 // 0x22c
  ule32 kernel_alignment;                // 0x230
  std::uint8_t relocatable_kernel;       // 0x234
  std::uint8_t min_alignment;            // 0x235
  ule16 xloadflags;                      // 0x236
  ule32 cmdline_size;                    // 0x238
  ule32 hardware_subarch;                // 0x23c
  ule64 hardware_subarch_data;           // 0x240
  ule32 payload_offset;                  // 0x248
  ule32 payload_length;                  // 0x24c
  ule64 setup_data;                      // 0x250
  ule64 pref_address;                    // 0x258
  ule32 init_size;                       // 0x260
  ule32 handover_offset;                 // 0x264
  ule32 kernel_info_offset;              // 0x268
  std::array<std::uint8_t, 0x24> later;  // 0x26c
};
inline constexpr std::size_t kSetupHeaderOffset = 0x1f1;
inline constexpr std::size_t kSetupHeaderEnd = 0x290;  // of its room in the zero page
static_assert(sizeof(SetupHeader) == kSetupHeaderEnd - kSetupHeaderOffset &&
              alignof(SetupHeader) == 1);
static_assert(offsetof(SetupHeader, header) == 0x202 - 0x1f1 &&
              offsetof(SetupHeader, cmd_line_ptr) == 0x228 - 0x1f1 &&
              offsetof(SetupHeader, xloadflags) == 0x236 - 0x1f1 &&
              offsetof(SetupHeader, pref_address) == 0x258 - 0x1f1 &&
              offsetof(SetupHeader, kernel_info_offset) == 0x268 - 0x1f1);

inline constexpr std::uint16_t kBootFlag = 0xaa55;
inline constexpr std::uint32_t kSetupMagic = 0x53726448;  // "HdrS"
/// The first protocol that has xloadflags, and so can say that there is a 64-bit entry.
inline constexpr std::uint16_t kProtocolWith64Bit = 0x020c;
/// loadflags.
inline constexpr std::uint8_t LOADED_HIGH = 1 << 0;
/// xloadflags.
inline constexpr std::uint16_t XLF_KERNEL_64 = 1 << 0;
/// type_of_loader of one that has no number assigned.
inline constexpr std::uint8_t kUndefinedLoader = 0xff;

}  // namespace guestproof::loader
