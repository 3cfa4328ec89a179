#include "guestproof/loader/elf.h"

#include <elf.h>

#include <algorithm>
#include <array>

#include "guestproof/loader/wire.h"
#include "guestproof/loader/x86_layout.h"

namespace guestproof::loader {
namespace {

using Bytes = std::span<const std::byte>;

/// Elf64_Ehdr.
struct FileHeader {
  std::array<std::uint8_t, EI_NIDENT> e_ident;  // 0
  le16 e_type;                                  // 16
  le16 e_machine;                               // 18
  le32 e_version;                               // 20
  le64 e_entry;                                 // 24
  le64 e_phoff;                                 // 32
  le64 e_shoff;                                 // 40
  le32 e_flags;                                 // 48
  le16 e_ehsize;                                // 52
  le16 e_phentsize;                             // 54
  le16 e_phnum;                                 // 56
  le16 e_shentsize;                             // 58
  le16 e_shnum;                                 // 60
  le16 e_shstrndx;                              // 62
};
static_assert(sizeof(FileHeader) == 64 && offsetof(FileHeader, e_entry) == 24 &&
              offsetof(FileHeader, e_phnum) == 56);

constexpr std::size_t kProgramHeaderBytes = 56;

/// Elf64_Nhdr.
struct NoteHeader {
  le32 n_namesz;  // 0
  le32 n_descsz;  // 4
  le32 n_type;    // 8
};
static_assert(sizeof(NoteHeader) == 12);

constexpr std::uint32_t XEN_ELFNOTE_PHYS32_ENTRY = 18;
constexpr std::array kXen{std::byte{'X'}, std::byte{'e'}, std::byte{'n'}, std::byte{0}};

/// REQUIRES: far from 2^64.
constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

Result<FileHeader> read_header(Bytes file) {
  if (file.size() < sizeof(FileHeader))
    return fail(ElfError::kShort, file.size(), sizeof(FileHeader));
  const auto header = read_wire<FileHeader>(file, 0);
  const std::uint32_t magic = read_wire<le32>(file, 0);
  constexpr std::uint32_t kMagic = 0x464c457f;  // ELFMAG
  if (magic != kMagic) return fail(ElfError::kMagic, magic, kMagic);
  if (header.e_ident[EI_CLASS] != ELFCLASS64)
    return fail(ElfError::kClass, header.e_ident[EI_CLASS], ELFCLASS64);
  if (header.e_ident[EI_DATA] != ELFDATA2LSB)
    return fail(ElfError::kByteOrder, header.e_ident[EI_DATA], ELFDATA2LSB);
  if (header.e_machine != EM_X86_64) return fail(ElfError::kMachine, header.e_machine, EM_X86_64);
  if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
    return fail(ElfError::kType, header.e_type, ET_DYN);
  if (header.e_phentsize != kProgramHeaderBytes)
    return fail(ElfError::kHeaderSize, header.e_phentsize, kProgramHeaderBytes);
  if (header.e_phnum == 0 || header.e_phnum > ElfImage::kMaxHeaders)
    return fail(ElfError::kHeaders, header.e_phnum, ElfImage::kMaxHeaders);
  if (!range_within<std::uint64_t>(header.e_phoff, kProgramHeaderBytes * header.e_phnum,
                                   file.size()))
    return fail(ElfError::kHeaderTable, header.e_phoff, file.size());
  return header;
}

struct Note {
  std::uint32_t type = 0;
  Bytes name;
  Bytes descriptor;
};

/// Takes the first note off `rest`, which is not empty. The padding of the last one may be missing.
Result<Note> take_note(Bytes& rest, std::uint64_t alignment) {
  if (rest.size() < sizeof(NoteHeader))
    return fail(ElfError::kNoteHeader, rest.size(), sizeof(NoteHeader));
  const auto header = read_wire<NoteHeader>(rest, 0);
  const auto descriptor = align_up(sizeof(NoteHeader) + std::uint64_t{header.n_namesz}, alignment);
  const auto end = descriptor + header.n_descsz;
  if (end > rest.size()) return fail(ElfError::kNoteLength, end, rest.size());
  const Note note{header.n_type, rest.subspan(sizeof(NoteHeader), header.n_namesz),
                  rest.subspan(descriptor, header.n_descsz)};
  rest = rest.subspan(std::min<std::uint64_t>(align_up(end, alignment), rest.size()));
  return note;
}

}  // namespace

/// Elf64_Phdr.
struct ElfImage::ProgramHeader {
  le32 p_type;    // 0
  le32 p_flags;   // 4
  le64 p_offset;  // 8
  le64 p_vaddr;   // 16
  le64 p_paddr;   // 24
  le64 p_filesz;  // 32
  le64 p_memsz;   // 40
  le64 p_align;   // 48
};

Result<ElfImage> ElfImage::parse(Bytes file) {
  static_assert(sizeof(ProgramHeader) == kProgramHeaderBytes &&
                offsetof(ProgramHeader, p_paddr) == 24 && offsetof(ProgramHeader, p_align) == 48);
  const auto header = read_header(file);
  if (!header) return std::unexpected(header.error());
  ElfImage image;
  for (std::uint16_t i = 0; i < header->e_phnum; ++i) {
    const auto one =
        read_wire<ProgramHeader>(file, header->e_phoff + std::size_t{i} * kProgramHeaderBytes);
    if (const auto ok = image.add_header(file, one, i); !ok) return std::unexpected(ok.error());
  }
  if (const auto ok = image.finish(header->e_entry, header->e_phnum); !ok)
    return std::unexpected(ok.error());
  return image;
}

Result<void> ElfImage::add_header(Bytes file, const ProgramHeader& header, std::uint16_t number) {
  switch (header.p_type) {
    case PT_LOAD:
      return add_segment(file, header);
    case PT_NOTE:
      return add_notes(file, header);
    case PT_INTERP:
      return fail(ElfError::kInterpreter, number);
    default:
      return {};
  }
}

Result<void> ElfImage::add_segment(Bytes file, const ProgramHeader& header) {
  if (header.p_filesz > header.p_memsz)
    return fail(ElfError::kSegmentSize, header.p_filesz, header.p_memsz);
  if (!range_within<std::uint64_t>(header.p_offset, header.p_filesz, file.size()))
    return fail(ElfError::kSegmentFile, header.p_offset, file.size());
  if (header.p_memsz == 0) return {};
  if (header.p_paddr < x86::kKernelStart.raw())
    return fail(ElfError::kSegmentLow, header.p_paddr, x86::kKernelStart.raw());
  if (!range_within<std::uint64_t>(header.p_paddr, header.p_memsz, x86::kIdentityEnd.raw()))
    return fail(ElfError::kSegmentHigh, header.p_paddr, header.p_memsz);

  const GuestRange memory{GuestAddress(header.p_paddr), header.p_memsz};
  for (const auto& other : segments_)
    if (overlap(memory, other.memory))
      return fail(ElfError::kSegmentOverlap, memory.base.raw(), other.memory.base.raw());
  segments_.push_back({memory, file.subspan(header.p_offset, header.p_filesz)});
  return {};
}

Result<void> ElfImage::add_notes(Bytes file, const ProgramHeader& header) {
  if (!range_within<std::uint64_t>(header.p_offset, header.p_filesz, file.size()))
    return fail(ElfError::kNoteFile, header.p_offset, file.size());
  if (header.p_filesz > kMaxNoteBytes)
    return fail(ElfError::kNoteBytes, header.p_filesz, kMaxNoteBytes);
  if (header.p_align > 4 && header.p_align != 8)
    return fail(ElfError::kNoteAlignment, header.p_align, 8);

  const std::uint64_t alignment = header.p_align == 8 ? 8 : 4;
  for (auto rest = file.subspan(header.p_offset, header.p_filesz); !rest.empty();) {
    const auto note = take_note(rest, alignment);
    if (!note) return std::unexpected(note.error());
    if (note->type != XEN_ELFNOTE_PHYS32_ENTRY || !std::ranges::equal(note->name, kXen)) continue;
    if (const auto ok = add_pvh_entry(note->descriptor); !ok) return ok;
  }
  return {};
}

Result<void> ElfImage::add_pvh_entry(Bytes descriptor) {
  if (descriptor.size() != 4 && descriptor.size() != 8)
    return fail(ElfError::kPvhLength, descriptor.size(), 8);
  // In a note segment of alignment 4, a number of 8 bytes may be on any boundary of 4.
  const std::uint64_t entry = descriptor.size() == 4
                                  ? std::uint64_t{read_wire<ule32>(descriptor, 0)}
                                  : std::uint64_t{read_wire<ule64>(descriptor, 0)};
  if (pvh_) return fail(ElfError::kPvhTwice, entry, *pvh_);
  pvh_ = entry;
  return {};
}

Result<void> ElfImage::finish(std::uint64_t e_entry, std::uint16_t headers) {
  if (segments_.empty()) return fail(ElfError::kNoSegment, headers);
  if (pvh_ && !in_file(*pvh_)) return fail(ElfError::kPvhEntry, *pvh_, segments_.size());
  if (in_file(e_entry))
    entry64_ = e_entry;
  else if (!pvh_)
    return fail(ElfError::kEntry, e_entry, segments_.size());

  auto start = x86::kIdentityEnd.raw(), end = std::uint64_t{0};
  for (const auto& [memory, bytes] : segments_) {
    start = std::min(start, memory.base.raw());
    end = std::max(end, memory.base.raw() + memory.size);
  }
  memory_ = {GuestAddress(start), end - start};
  return {};
}

bool ElfImage::in_file(std::uint64_t address) const {
  return std::ranges::any_of(segments_, [&](const Segment& segment) {
    const auto offset = GuestAddress(address).offset_from(segment.memory.base);
    return offset && *offset < segment.bytes.size();
  });
}

std::optional<GuestAddress> ElfImage::entry(KernelProtocol protocol) const {
  const auto& entry = protocol == KernelProtocol::kPvh ? pvh_ : entry64_;
  if (!entry || protocol == KernelProtocol::kArm64) return std::nullopt;
  return GuestAddress(*entry);
}

}  // namespace guestproof::loader
