// Image: the file format of Linux/arm64 kernels, not compressed.
//
// Not here: the PE header that EFI reads, compressed Images, and whether the processor has the page
// size and the byte order that the kernel wants: that is reported.
//
// Thread-safety: an Arm64Image is a value; it points into the bytes that it was parsed from.
//
// Specification: Linux, Documentation/arch/arm64/booting.rst, §4 (3.17 and later).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guestproof/base/error.h"
#include "guestproof/loader/error.h"
#include "guestproof/loader/image.h"

namespace guestproof::loader {

class Arm64Image {
 public:
  /// What the image's base is aligned to, and what text_offset stays below.
  static constexpr std::uint64_t kBaseAlignment = 2 << 20;

  /// Errors: Arm64ImageError up to kImageSize.
  [[nodiscard]] static Result<Arm64Image> parse(std::span<const std::byte> file);

  /// What is copied: all of the file, but no more than image_size.
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t text_offset() const { return text_offset_; }
  /// From text_offset on, with what the kernel clears itself.
  [[nodiscard]] std::uint64_t image_size() const { return image_size_; }
  [[nodiscard]] bool big_endian() const { return (flags_ & 1) != 0; }
  /// In bytes; 0 where the kernel does not say.
  [[nodiscard]] std::uint64_t page_size() const;
  /// Base may be any in RAM; otherwise it should be as near to the start of RAM as possible.
  [[nodiscard]] bool anywhere() const { return (flags_ & 1 << 3) != 0; }

  /// What the kernel needs when text_offset counts from `base`. Errors: kBase, kBaseHigh.
  [[nodiscard]] Result<GuestRange> memory_at(GuestAddress base) const;

 private:
  std::span<const std::byte> bytes_;
  std::uint64_t text_offset_ = 0;
  std::uint64_t image_size_ = 0;
  std::uint64_t flags_ = 0;
};

/// Nothing is written unless all of the image is RAM. Errors: as memory_at(), MemoryError.
template <GuestMemory M>
[[nodiscard]] Result<LoadedKernel> load(const M& memory, const Arm64Image& image,
                                        GuestAddress base) {
  const auto needed = image.memory_at(base);
  if (!needed) return std::unexpected(needed.error());
  auto done = check_ram(memory, *needed);
  if (done) done = write_bytes(memory, needed->base, image.bytes());
  if (!done) return std::unexpected(done.error());
  return LoadedKernel{KernelProtocol::kArm64, needed->base, *needed};
}

}  // namespace guestproof::loader
