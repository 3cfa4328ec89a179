#include "guestproof/testing/model/kernel_images.h"

#include <algorithm>
#include <string_view>

#include "guestproof/testing/model/model_memory.h"

namespace guestproof::testing {
namespace {

using Bytes = std::vector<std::uint8_t>;

/// Bytes of which none equals its neighbours, nor is 0.
void put_code(Bytes& image, std::size_t at, std::size_t length) {
  for (std::size_t i = 0; i < length; ++i)
    image[at + i] = static_cast<std::uint8_t>(1 + (at + i) % 251);
}

void put_text(Bytes& image, std::size_t at, std::string_view text) {
  std::ranges::copy(text, image.begin() + static_cast<std::ptrdiff_t>(at));
}

void put_header(Bytes& image, std::size_t n, std::uint32_t type, std::uint64_t offset,
                std::uint64_t paddr, std::uint64_t filesz, std::uint64_t memsz,
                std::uint64_t align) {
  put(image, elf_image::type(n), type);
  put(image, elf_image::offset(n), offset);
  put(image, elf_image::paddr(n), paddr);
  put(image, elf_image::filesz(n), filesz);
  put(image, elf_image::memsz(n), memsz);
  put(image, elf_image::align(n), align);
}

void put_note(Bytes& image, std::size_t at, std::uint32_t type, std::string_view name,
              std::size_t descriptor_bytes, std::uint64_t descriptor) {
  put(image, {at, 4}, name.size() + 1);
  put(image, {at + 4, 4}, descriptor_bytes);
  put(image, {at + 8, 4}, type);
  put_text(image, at + 12, name);
  put(image, {at + 16, descriptor_bytes}, descriptor);
}

}  // namespace

void put(Bytes& image, const ImageField& field, std::uint64_t number) {
  put_number(image, field.offset, field.width, number);
}

std::uint64_t number_at(std::span<const std::uint8_t> image, const ImageField& field) {
  return number_in(image, field.offset, field.width);
}

Bytes elf_image::make() {
  Bytes image(kNotesEnd);
  put_text(image, 0,
           "\x7f"
           "ELF\2\1\1");
  put(image, kType, 2);
  put(image, kMachine, 62);
  put(image, kEntry, kEntryAddress);
  put(image, kHeaderOffset, 64);
  put(image, kHeaderSize, kElfHeaderBytes);
  put(image, kHeaders, 3);
  put_header(image, 0, 1, kFirstBytes, 0x100000, 0x100, 0x200, 0x1000);
  put_header(image, 1, 1, kSecondBytes, 0x101000, 0x80, 0x2080, 0x1000);
  put_header(image, 2, 4, kNotes, 0x100180, kNotesEnd - kNotes, kNotesEnd - kNotes, 4);
  put_code(image, kFirstBytes, 0x100);
  put_code(image, kSecondBytes, 0x80);
  put_note(image, kNotes, 6, "Xen", 4, 0);
  put_note(image, kPvhNote, 18, "Xen", 8, kPvhAddress);
  return image;
}

Bytes bzimage_image::make() {
  Bytes image(kKernel + 0x400);
  put_code(image, kKernel, 0x400);
  put(image, setup_sects, 1);
  put(image, syssize, 0x400 / 16);
  put(image, boot_flag, 0xaa55);
  image[0x200] = 0xeb;
  put(image, jump_length, 0x26c - 0x202);
  put_text(image, magic.offset, "HdrS");
  put(image, version, 0x20f);
  put(image, loadflags, 1);
  put(image, initrd_addr_max, 0x7fffffff);
  put(image, kernel_alignment, 0x1000);
  put(image, relocatable_kernel, 1);
  put(image, xloadflags, 1);
  put(image, cmdline_size, 2047);
  put(image, payload_offset, kPayload);
  put(image, payload_length, 0x20);
  put(image, pref_address, 0x100000);
  put(image, init_size, 0x3000);
  put_text(image, kKernel + kPayload, "\x02\x21\x4c\x18");
  put(image, {kKernel + kPayload + 0x1c, 4}, 12345);
  return image;
}

Bytes arm64_image::make() {
  Bytes image(0x200);
  put_code(image, 64, 0x200 - 64);
  put(image, text_offset, 0x1000);
  put(image, image_size, 0x3000);
  put(image, flags, 0xa);
  put(image, magic, 0x644d5241);
  return image;
}

}  // namespace guestproof::testing
