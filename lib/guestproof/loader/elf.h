// ELF kernels of x86_64: Linux's vmlinux, and everything that has a PVH entry.
//
// An image is parsed without any guest memory: headers, segments and notes are checked against the
// file and against each other. Loading copies segments to their physical addresses. Not here:
// relocation, section headers, symbols, 32-bit ELF, and p_align, which says nothing to somebody who
// copies. What follows the segments in the file is ignored: Linux appends its relocations.
//
// Thread-safety: an ElfImage is a value; it points into the bytes that it was parsed from.
//
// Specification: System V gABI, ch. 4 and 5 (program header, note section); Xen public/elfnote.h,
// XEN_ELFNOTE_PHYS32_ENTRY.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/base/error.h"
#include "guestproof/loader/error.h"
#include "guestproof/loader/image.h"

namespace guestproof::loader {

class ElfImage {
 public:
  /// PT_LOAD: `bytes`, then zeros, at `memory`.
  struct Segment {
    GuestRange memory;
    std::span<const std::byte> bytes;  // memory.size of them at most
  };

  /// More than the five of Linux; each is compared with all others.
  static constexpr std::uint16_t kMaxHeaders = 64;
  /// A kernel has hundreds of bytes of notes. Headers may all point at the same ones.
  static constexpr std::uint64_t kMaxNoteBytes = 64 << 10;

  /// Segments lie between 1 MiB and 4 GiB, apart from each other; entries lie in bytes of the file.
  /// Program headers are judged in their order. Errors: ElfError but kProtocol.
  [[nodiscard]] static Result<ElfImage> parse(std::span<const std::byte> file);

  /// In the order of the file; at least one, none of them empty.
  [[nodiscard]] std::span<const Segment> segments() const { return segments_; }
  /// From the first segment's start to the last one's end.
  [[nodiscard]] const GuestRange& memory() const { return memory_; }
  /// Nothing where the file has no such entry. A kernel with a PVH entry may have an e_entry that
  /// is no physical address, which counts as none; one of the two is always there.
  [[nodiscard]] std::optional<GuestAddress> entry(KernelProtocol protocol) const;

 private:
  struct ProgramHeader;

  [[nodiscard]] Result<void> add_header(std::span<const std::byte> file,
                                        const ProgramHeader& header, std::uint16_t number);
  [[nodiscard]] Result<void> add_segment(std::span<const std::byte> file,
                                         const ProgramHeader& header);
  [[nodiscard]] Result<void> add_notes(std::span<const std::byte> file,
                                       const ProgramHeader& header);
  [[nodiscard]] Result<void> add_pvh_entry(std::span<const std::byte> descriptor);
  [[nodiscard]] Result<void> finish(std::uint64_t e_entry, std::uint16_t headers);
  [[nodiscard]] bool in_file(std::uint64_t address) const;

  std::vector<Segment> segments_;
  GuestRange memory_;
  std::optional<std::uint64_t> pvh_;
  std::optional<std::uint64_t> entry64_;
};

/// Nothing is written unless all segments lie in RAM. Errors: ElfError::kProtocol, MemoryError.
template <GuestMemory M>
[[nodiscard]] Result<LoadedKernel> load(const M& memory, const ElfImage& image,
                                        KernelProtocol protocol) {
  const auto entry = image.entry(protocol);
  if (!entry)
    return fail(ElfError::kProtocol, static_cast<std::uint64_t>(protocol),
                static_cast<std::uint64_t>(KernelProtocol::kPvh));
  Result<void> done;
  for (const auto& segment : image.segments())
    if (done) done = check_ram(memory, segment.memory);
  for (const auto& [range, bytes] : image.segments()) {
    const GuestRange rest{GuestAddress(range.base.raw() + bytes.size()), range.size - bytes.size()};
    if (done) done = write_bytes(memory, range.base, bytes);
    if (done) done = write_zeros(memory, rest);
  }
  if (!done) return std::unexpected(done.error());
  return LoadedKernel{protocol, *entry, image.memory()};
}

}  // namespace guestproof::loader
