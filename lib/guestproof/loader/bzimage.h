// bzImage: the file format of Linux/x86 kernels, for its 64-bit entry.
//
// The file is a boot sector with the setup header, real-mode setup (not used here), and the
// protected-mode kernel, which holds the compressed vmlinux. The whole is checked before anybody
// uses any of it. Not here: decompression (payload() is for who has the libraries), the real-mode
// and the 32-bit entry, zImage, EFI.
//
// Thread-safety: a BzImage is a value; it points into the bytes that it was parsed from.
//
// Specification: Linux, Documentation/arch/x86/boot.rst, protocol 2.12 and later.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "guestproof/base/error.h"
#include "guestproof/loader/error.h"
#include "guestproof/loader/image.h"
#include "guestproof/loader/setup_header.h"

namespace guestproof::loader {

enum class PayloadFormat : std::uint8_t {
  kUnknown,
  kElf,
  kGzip,
  kBzip2,
  kLzma,
  kXz,
  kLzo,
  kLz4,  // the legacy frame
  kZstd,
};

/// The kernel proper within a bzImage.
struct Payload {
  PayloadFormat format = PayloadFormat::kUnknown;
  std::span<const std::byte> stream;  // what the decompressor takes; in it nothing was looked at
  /// What the file says that it unpacks to; a hint of somebody hostile. 0 for kUnknown and kElf.
  std::uint32_t unpacked_size = 0;
};

class BzImage {
 public:
  /// Errors: BzImageError up to kPreferredAddress.
  [[nodiscard]] static Result<BzImage> parse(std::span<const std::byte> file);

  /// As the file has it; zeros behind its end.
  [[nodiscard]] const SetupHeader& header() const { return header_; }
  /// The protected-mode kernel, syssize paragraphs.
  [[nodiscard]] std::span<const std::byte> kernel() const { return kernel_; }
  /// Nothing when payload_length is 0. Errors: kPayload, kPayloadShort; booting does not need it.
  [[nodiscard]] Result<std::optional<Payload>> payload() const;

  /// What the kernel needs when it is loaded there: itself, and init_size from where it will run.
  /// It may be loaded at 1 MiB, and if it is relocatable at any multiple of kernel_alignment from
  /// there on; it stays below 4 GiB. Errors: kLoadLow, kLoadHigh, kNotRelocatable, kLoadAlignment.
  [[nodiscard]] Result<GuestRange> memory_at(GuestAddress load_address) const;
  /// pref_address if the kernel may be loaded there, else 1 MiB, where any kernel may.
  [[nodiscard]] GuestAddress default_load_address() const;

  /// The 64-bit entry, from the load address.
  static constexpr std::uint64_t kEntryOffset = 0x200;

 private:
  [[nodiscard]] Result<void> check_header() const;
  [[nodiscard]] Result<void> find_kernel(std::span<const std::byte> file);
  [[nodiscard]] bool relocatable() const { return header_.relocatable_kernel != 0; }

  SetupHeader header_{};
  std::span<const std::byte> kernel_;
};

/// Nothing is written unless all that the kernel needs is RAM. Errors: as memory_at(), MemoryError.
template <GuestMemory M>
[[nodiscard]] Result<LoadedKernel> load(const M& memory, const BzImage& image,
                                        GuestAddress load_address) {
  const auto needed = image.memory_at(load_address);
  if (!needed) return std::unexpected(needed.error());
  auto done = check_ram(memory, *needed);
  if (done) done = write_bytes(memory, load_address, image.kernel());
  if (!done) return std::unexpected(done.error());
  return LoadedKernel{KernelProtocol::kLinux64,
                      GuestAddress(load_address.raw() + BzImage::kEntryOffset), *needed};
}

}  // namespace guestproof::loader
