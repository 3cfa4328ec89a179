// Small kernel images that are right in everything, as bytes: what harnesses, tests and properties
// begin with before they spoil it. Every number is written where the specification of its format
// has it; nothing is shared with the loaders.
//
// Thread-safety: functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace guestproof::testing {

/// A number of an image: at `offset`, in `width` bytes.
struct ImageField {
  std::size_t offset = 0;
  std::size_t width = 0;
};

void put(std::vector<std::uint8_t>& image, const ImageField& field, std::uint64_t number);
[[nodiscard]] std::uint64_t number_at(std::span<const std::uint8_t> image, const ImageField& field);

/// ELF64. Fields of program header n lie n times kElfHeaderBytes further.
namespace elf_image {
inline constexpr ImageField kMagic{0, 4}, kClass{4, 1}, kByteOrder{5, 1}, kType{16, 2},
    kMachine{18, 2}, kEntry{24, 8}, kHeaderOffset{32, 8}, kHeaderSize{54, 2}, kHeaders{56, 2};
inline constexpr std::size_t kElfHeaderBytes = 56;
[[nodiscard]] constexpr ImageField header(std::size_t n, std::size_t at, std::size_t width) {
  return {64 + n * kElfHeaderBytes + at, width};
}
[[nodiscard]] constexpr ImageField type(std::size_t n) { return header(n, 0, 4); }
[[nodiscard]] constexpr ImageField offset(std::size_t n) { return header(n, 8, 8); }
[[nodiscard]] constexpr ImageField paddr(std::size_t n) { return header(n, 24, 8); }
[[nodiscard]] constexpr ImageField filesz(std::size_t n) { return header(n, 32, 8); }
[[nodiscard]] constexpr ImageField memsz(std::size_t n) { return header(n, 40, 8); }
[[nodiscard]] constexpr ImageField align(std::size_t n) { return header(n, 48, 8); }

/// Three program headers, with room for a fourth: 0x100 bytes and as many zeros for 0x100000, 0x80
/// bytes and 0x2000 zeros for 0x101000, and two notes, the first of them of no interest.
/// e_entry is 0x100010, the PVH entry 0x101020.
[[nodiscard]] std::vector<std::uint8_t> make();
inline constexpr std::size_t kFirstBytes = 0x200, kSecondBytes = 0x300, kNotes = 0x380,
                             kPvhNote = 0x394, kNotesEnd = 0x3ac;
inline constexpr std::uint64_t kEntryAddress = 0x100010, kPvhAddress = 0x101020;
}  // namespace elf_image

/// bzImage; the names are the setup header's.
namespace bzimage_image {
inline constexpr ImageField setup_sects{0x1f1, 1}, syssize{0x1f4, 4}, boot_flag{0x1fe, 2},
    jump_length{0x201, 1}, magic{0x202, 4}, version{0x206, 2}, loadflags{0x211, 1},
    initrd_addr_max{0x22c, 4}, kernel_alignment{0x230, 4}, relocatable_kernel{0x234, 1},
    xloadflags{0x236, 2}, cmdline_size{0x238, 4}, payload_offset{0x248, 4},
    payload_length{0x24c, 4}, setup_data{0x250, 8}, pref_address{0x258, 8}, init_size{0x260, 4},
    kernel_info_offset{0x268, 4};

/// Two sectors of boot code, and 0x400 bytes of kernel for 0x100000: relocatable by 0x1000, with
/// 0x3000 bytes of init_size, and a payload of 0x20 bytes, LZ4 by its magic.
[[nodiscard]] std::vector<std::uint8_t> make();
inline constexpr std::size_t kKernel = 0x400, kPayload = 0x300;
}  // namespace bzimage_image

/// Image of arm64.
namespace arm64_image {
inline constexpr ImageField text_offset{8, 8}, image_size{16, 8}, flags{24, 8}, magic{56, 4};

/// 0x200 bytes, of 0x3000 in memory, at text_offset 0x1000.
[[nodiscard]] std::vector<std::uint8_t> make();
}  // namespace arm64_image

}  // namespace guestproof::testing
