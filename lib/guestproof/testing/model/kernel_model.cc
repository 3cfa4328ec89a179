#include "guestproof/testing/model/kernel_model.h"

#include <algorithm>
#include <string>
#include <utility>

namespace guestproof::testing {
namespace {

using View = std::span<const std::uint8_t>;

constexpr std::uint64_t kMebibyte = 0x100000, kFourGibibytes = 0x1'0000'0000;

std::uint64_t up(std::uint64_t number, std::uint64_t multiple) {
  const auto rest = number % multiple;
  return rest == 0 ? number : number + multiple - rest;
}

/// REQUIRES: checked.
void write_all(const ModelMemory& memory, std::uint64_t address, View bytes) {
  GUESTPROOF_INVARIANT(memory.write(address, bytes) == bytes.size());
}

bool begins_with(View bytes, std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i)
    if (i >= bytes.size() || bytes[i] != static_cast<std::uint8_t>(text[i])) return false;
  return true;
}

}  // namespace

bool passes(std::uint64_t base, std::uint64_t size, std::uint64_t limit) {
  return size > limit || base > limit - size;
}

ModelError model_check_ram(const ModelMemory& memory, std::uint64_t base, std::uint64_t size) {
  const auto good = memory.reachable(base, size, true);
  if (good == size) return {};
  if (memory.reachable(base + good, 1, false) == 1) return {"memory.read_only"};
  return {"memory.unmapped"};
}

// ELF

ModelError ElfModel::parse(View file) {
  *this = {};
  file_.assign(file.begin(), file.end());
  const auto size = file.size();
  if (size < 64) return {"elf.short", size, 64};
  const auto magic = number_in(file, 0, 4);
  if (magic != 0x464c457f) return {"elf.magic", magic, 0x464c457f};
  if (file[4] != 2) return {"elf.class", file[4], 2};
  if (file[5] != 1) return {"elf.byte_order", file[5], 1};
  const auto type = number_in(file, 16, 2), machine = number_in(file, 18, 2),
             table = number_in(file, 32, 8), bytes = number_in(file, 54, 2),
             headers = number_in(file, 56, 2);
  if (machine != 62) return {"elf.machine", machine, 62};
  if (type != 2 && type != 3) return {"elf.type", type, 3};
  if (bytes != 56) return {"elf.header_size", bytes, 56};
  if (headers < 1 || headers > 64) return {"elf.headers", headers, 64};
  if (passes(table, headers * 56, size)) return {"elf.header_table", table, size};
  for (std::uint64_t i = 0; i < headers; ++i) {
    const auto header = file.subspan(table + 56 * i, 56);
    const auto kind = number_in(header, 0, 4);
    ModelError wrong;
    if (kind == 1) wrong = segment(header);
    if (kind == 3) wrong = {"elf.interpreter", i, 0};
    if (kind == 4) wrong = notes(header);
    if (!wrong.none()) return wrong;
  }
  return entries(number_in(file, 24, 8), headers);
}

ModelError ElfModel::segment(View header) {
  const auto offset = number_in(header, 8, 8), address = number_in(header, 24, 8),
             bytes = number_in(header, 32, 8), size = number_in(header, 40, 8);
  if (bytes > size) return {"elf.segment_size", bytes, size};
  if (passes(offset, bytes, file_.size())) return {"elf.segment_file", offset, file_.size()};
  if (size == 0) return {};
  if (address < kMebibyte) return {"elf.segment_low", address, kMebibyte};
  if (passes(address, size, kFourGibibytes)) return {"elf.segment_high", address, size};
  for (const auto& other : segments_) {
    const bool before = address + size <= other.address;
    const bool behind = other.address + other.size <= address;
    if (!before && !behind) return {"elf.segment_overlap", address, other.address};
  }
  segments_.push_back({address, size, offset, bytes});
  facts_.push_back({"a segment's address", address});
  facts_.push_back({"a segment's size", size});
  facts_.push_back({"a segment's bytes", bytes});
  if (bytes != 0) facts_.push_back({"a segment's offset", offset});
  return {};
}

ModelError ElfModel::notes(View header) {
  const auto offset = number_in(header, 8, 8), bytes = number_in(header, 32, 8),
             align = number_in(header, 48, 8);
  if (passes(offset, bytes, file_.size())) return {"elf.note_file", offset, file_.size()};
  if (bytes > 65536) return {"elf.note_bytes", bytes, 65536};
  if (align > 4 && align != 8) return {"elf.note_alignment", align, 8};
  const std::uint64_t multiple = align == 8 ? 8 : 4;
  const auto all = View(file_).subspan(offset, bytes);
  for (std::uint64_t at = 0; at < bytes;) {
    const auto left = bytes - at;
    if (left < 12) return {"elf.note_header", left, 12};
    const auto name = number_in(all, at, 4), length = number_in(all, at + 4, 4),
               type = number_in(all, at + 8, 4);
    const auto begins = up(12 + name, multiple), ends = begins + length;
    if (ends > left) return {"elf.note_length", ends, left};
    if (type == 18 && name == 4 && number_in(all, at + 12, 4) == 0x6e6558)
      if (const auto wrong = pvh_entry(all.subspan(at + begins, length)); !wrong.none())
        return wrong;
    at += up(ends, multiple);
  }
  return {};
}

ModelError ElfModel::pvh_entry(View descriptor) {
  if (descriptor.size() != 4 && descriptor.size() != 8)
    return {"elf.pvh_length", descriptor.size(), 8};
  const auto entry = number_in(descriptor);
  if (pvh_) return {"elf.pvh_twice", entry, *pvh_};
  pvh_ = entry;
  return {};
}

bool ElfModel::in_file(std::uint64_t address) const {
  for (const auto& one : segments_)
    if (address >= one.address && address < one.address + one.bytes) return true;
  return false;
}

ModelError ElfModel::entries(std::uint64_t entry, std::uint64_t headers) {
  if (segments_.empty()) return {"elf.no_segment", headers, 0};
  if (pvh_ && !in_file(*pvh_)) return {"elf.pvh_entry", *pvh_, segments_.size()};
  if (!pvh_ && !in_file(entry)) return {"elf.entry", entry, segments_.size()};
  if (pvh_) entries_[1] = *pvh_;
  if (in_file(entry)) entries_[0] = entry;
  start_ = kFourGibibytes;
  for (const auto& one : segments_) {
    start_ = std::min(start_, one.address);
    end_ = std::max(end_, one.address + one.size);
  }
  for (const auto& [protocol, address] : entries_)
    facts_.push_back({protocol == 0 ? "the 64-bit entry" : "the PVH entry", address});
  return {};
}

ModelError ElfModel::load(const ModelMemory& memory, unsigned protocol) {
  if (!entries_.contains(protocol)) return {"elf.protocol", protocol, 1};
  for (const auto& one : segments_)
    if (const auto wrong = model_check_ram(memory, one.address, one.size); !wrong.none())
      return wrong;
  for (const auto& one : segments_) {
    std::vector<std::uint8_t> bytes(one.size);
    for (std::uint64_t i = 0; i < one.bytes; ++i) bytes[i] = file_[one.offset + i];
    write_all(memory, one.address, bytes);
  }
  facts_ = {{"the protocol", protocol},
            {"the entry", entries_[protocol]},
            {"the kernel's start", start_},
            {"the kernel's size", end_ - start_}};
  return {};
}

// bzImage

ModelError BzImageModel::parse(View file) {
  *this = {};
  file_.assign(file.begin(), file.end());
  if (file.size() < 0x290) return {"bzimage.short", file.size(), 0x290};
  if (const auto wrong = header(); !wrong.none()) return wrong;
  if (const auto wrong = kernel(); !wrong.none()) return wrong;
  for (std::size_t i = 0x1f1; i < 0x290; ++i)
    facts_.push_back({"a byte of the setup header", i < 0x202u + file[0x201] ? file[i] : 0u});
  facts_.push_back({"the kernel's offset", kernel_at_});
  facts_.push_back({"the kernel's bytes", kernel_bytes_});
  facts_.push_back({"the default load address", default_address()});
  return {};
}

ModelError BzImageModel::header() const {
  const auto flag = field(0x1fe, 2), magic = field(0x202, 4), version = field(0x206, 2),
             end = 0x202 + field(0x201, 1), loadflags = field(0x211, 1),
             xloadflags = field(0x236, 2), alignment = field(0x230, 4), preferred = field(0x258, 8),
             size = field(0x260, 4);
  if (flag != 0xaa55) return {"bzimage.boot_flag", flag, 0xaa55};
  if (magic != 0x53726448) return {"bzimage.magic", magic, 0x53726448};
  if (version < 0x20c) return {"bzimage.version", version, 0x20c};
  if (end < 0x268 || end > 0x290) return {"bzimage.header_end", end, 0x290};
  if (loadflags % 2 == 0) return {"bzimage.not_high", loadflags, 1};
  if (xloadflags % 2 == 0) return {"bzimage.not_64_bit", xloadflags, 1};
  const bool relocatable = field(0x234, 1) != 0;
  std::uint64_t power = 1;
  while (power < alignment) power *= 2;
  if (relocatable && power != alignment) return {"bzimage.alignment", alignment, 0x8000'0000};
  if ((!relocatable && preferred < kMebibyte) || passes(preferred, size, kFourGibibytes))
    return {"bzimage.preferred_address", preferred, size};
  return {};
}

ModelError BzImageModel::kernel() {
  const auto sectors = field(0x1f1, 1);
  kernel_at_ = 512 * (1 + (sectors == 0 ? 4 : sectors));
  if (kernel_at_ >= file_.size()) return {"bzimage.setup", kernel_at_, file_.size()};
  const auto rest = file_.size() - kernel_at_, says = field(0x1f4, 4) * 16;
  if (says > rest && says - rest > 15) return {"bzimage.kernel_size", says, rest};
  kernel_bytes_ = std::min<std::uint64_t>(says, rest);
  if (kernel_bytes_ < 0x201) return {"bzimage.entry", kernel_bytes_, 0x200};
  return {};
}

std::uint64_t BzImageModel::default_address() const {
  const auto alignment = field(0x230, 4), preferred = field(0x258, 8);
  // What is not relocatable has one address, and its alignment may be 0.
  if (field(0x234, 1) == 0 || preferred < kMebibyte || preferred % alignment != 0) return kMebibyte;
  return preferred;
}

ModelError BzImageModel::payload() {
  facts_.clear();
  const auto offset = field(0x248, 4), length = field(0x24c, 4);
  if (length == 0) return {};
  if (passes(offset, length, kernel_bytes_)) return {"bzimage.payload", offset, kernel_bytes_};
  using namespace std::string_view_literals;
  // In the order of PayloadFormat, from 1 on.
  static constexpr std::string_view kMagics[] = {
      "\x7f\x45LF"sv,       "\x1f\x8b\x08"sv,    "BZh"sv,
      "\x5d\0\0"sv,         "\xfd\x37zXZ\0"sv,   "\x89LZO\0\r\n\x1a\n"sv,
      "\x02\x21\x4c\x18"sv, "\x28\xb5\x2f\xfd"sv};
  const auto bytes = View(file_).subspan(kernel_at_ + offset, length);
  std::uint64_t format = 0, magic = 0;
  for (std::size_t i = 0; i < std::size(kMagics); ++i) {
    if (!begins_with(bytes, kMagics[i])) continue;
    format = i + 1;
    magic = kMagics[i].size();
  }
  const bool packed = format > 1, gzip = format == 2;
  if (packed && length < magic + 4) return {"bzimage.payload_short", length, magic + 4};
  facts_.push_back({"the payload's format", format});
  facts_.push_back({"the payload's offset", kernel_at_ + offset});
  facts_.push_back({"the payload's bytes", packed && !gzip ? length - 4 : length});
  facts_.push_back({"the unpacked size", packed ? number_in(bytes, length - 4, 4) : 0});
  return {};
}

ModelError BzImageModel::load(const ModelMemory& memory, std::uint64_t address) {
  const auto alignment = field(0x230, 4), preferred = field(0x258, 8), size = field(0x260, 4);
  const bool relocatable = field(0x234, 1) != 0;
  if (address < kMebibyte) return {"bzimage.load_low", address, kMebibyte};
  if (address >= kFourGibibytes) return {"bzimage.load_high", address, kFourGibibytes};
  if (address != kMebibyte && !relocatable) return {"bzimage.not_relocatable", address, kMebibyte};
  if (address != kMebibyte && address % alignment != 0)
    return {"bzimage.load_alignment", address, alignment};
  auto runs_at = preferred;
  if (relocatable && up(address, alignment) > preferred) runs_at = up(address, alignment);
  const auto end = std::max(address + kernel_bytes_, runs_at + size);
  if (end > kFourGibibytes) return {"bzimage.load_high", address, kFourGibibytes};
  if (const auto wrong = model_check_ram(memory, address, end - address); !wrong.none())
    return wrong;
  write_all(memory, address, View(file_).subspan(kernel_at_, kernel_bytes_));
  facts_ = {{"the protocol", 0},
            {"the entry", address + 512},
            {"the kernel's start", address},
            {"the kernel's size", end - address}};
  return {};
}

// Image

ModelError Arm64ImageModel::parse(View file) {
  *this = {};
  file_.assign(file.begin(), file.end());
  if (file.size() < 64) return {"arm64_image.short", file.size(), 64};
  const auto offset = number_in(file, 8, 8), size = number_in(file, 16, 8),
             flags = number_in(file, 24, 8), magic = number_in(file, 56, 4);
  if (magic != 0x644d5241) return {"arm64_image.magic", magic, 0x644d5241};
  if (offset >= 0x200000) return {"arm64_image.text_offset", offset, 0x200000};
  if (size < 64) return {"arm64_image.image_size", size, 64};
  static constexpr std::uint64_t kPages[] = {0, 4096, 16384, 65536};
  facts_ = {{"text_offset", offset},     {"image_size", size},
            {"big-endian", flags % 2},   {"the page size", kPages[flags / 2 % 4]},
            {"anywhere", flags / 8 % 2}, {"the bytes", std::min<std::uint64_t>(size, file.size())}};
  return {};
}

ModelError Arm64ImageModel::load(const ModelMemory& memory, std::uint64_t base) {
  const auto offset = number_in(file_, 8, 8), size = number_in(file_, 16, 8);
  if (base % 0x200000 != 0) return {"arm64_image.base", base, 0x200000};
  if (passes(base, offset, kAllAddresses) || passes(base + offset, size, kAllAddresses))
    return {"arm64_image.base_high", base, size};
  if (const auto wrong = model_check_ram(memory, base + offset, size); !wrong.none()) return wrong;
  write_all(memory, base + offset, View(file_).first(std::min<std::uint64_t>(size, file_.size())));
  facts_ = {{"the protocol", 2},
            {"the entry", base + offset},
            {"the kernel's start", base + offset},
            {"the kernel's size", size}};
  return {};
}

}  // namespace guestproof::testing
