#include "guestproof/loader/bzimage.h"

#include <algorithm>
#include <bit>
#include <string_view>

#include "guestproof/loader/x86_layout.h"

namespace guestproof::loader {
namespace {

using Bytes = std::span<const std::byte>;
using namespace std::string_view_literals;

/// The last field that a protocol-2.12 header must have is handover_offset.
constexpr std::uint64_t kLeastHeaderEnd = 0x268;
/// The jump over the header: its operand counts from the instruction's end.
constexpr std::uint64_t kJumpEnd = 0x202;
constexpr std::uint64_t kSector = 512;
constexpr std::uint64_t kParagraph = 16;
/// Of a setup_sects of 0, for kernels older than the field.
constexpr std::uint64_t kDefaultSetupSectors = 4;
/// Linux appends the size of what it has packed, but for gzip, which ends with it anyway.
constexpr std::uint64_t kSizeBytes = 4;

struct Magic {
  PayloadFormat format;
  std::string_view bytes;
};
constexpr std::array kMagics{
    Magic{PayloadFormat::kElf,
          "\x7f"
          "ELF"sv},
    Magic{PayloadFormat::kGzip, "\x1f\x8b\x08"sv},
    Magic{PayloadFormat::kBzip2, "BZh"sv},
    Magic{PayloadFormat::kLzma, "\x5d\0\0"sv},
    Magic{PayloadFormat::kXz,
          "\xfd"
          "7zXZ\0"sv},
    Magic{PayloadFormat::kLzo, "\x89LZO\0\r\n\x1a\n"sv},
    Magic{PayloadFormat::kLz4, "\x02\x21\x4c\x18"sv},
    Magic{PayloadFormat::kZstd, "\x28\xb5\x2f\xfd"sv},
};

bool begins_with(Bytes bytes, std::string_view magic) {
  return bytes.size() >= magic.size() &&
         std::ranges::equal(bytes.first(magic.size()), std::as_bytes(std::span(magic)));
}

}  // namespace

Result<BzImage> BzImage::parse(Bytes file) {
  if (file.size() < kSetupHeaderEnd)
    return fail(BzImageError::kShort, file.size(), kSetupHeaderEnd);
  BzImage image;
  image.header_ = read_wire<SetupHeader>(file, kSetupHeaderOffset);
  if (const auto ok = image.check_header(); !ok) return std::unexpected(ok.error());
  if (const auto ok = image.find_kernel(file); !ok) return std::unexpected(ok.error());

  const auto end = kJumpEnd + (image.header_.jump >> 8) - kSetupHeaderOffset;
  auto bytes = std::as_writable_bytes(std::span(&image.header_, 1)).subspan(end);
  std::ranges::fill(bytes, std::byte{0});
  return image;
}

Result<void> BzImage::check_header() const {
  if (header_.boot_flag != kBootFlag)
    return fail(BzImageError::kBootFlag, header_.boot_flag, kBootFlag);
  if (header_.header != kSetupMagic) return fail(BzImageError::kMagic, header_.header, kSetupMagic);
  if (header_.version < kProtocolWith64Bit)
    return fail(BzImageError::kVersion, header_.version, kProtocolWith64Bit);
  const auto end = kJumpEnd + (header_.jump >> 8);
  if (end < kLeastHeaderEnd || end > kSetupHeaderEnd)
    return fail(BzImageError::kHeaderEnd, end, kSetupHeaderEnd);
  if ((header_.loadflags & LOADED_HIGH) == 0)
    return fail(BzImageError::kNotHigh, header_.loadflags, LOADED_HIGH);
  if ((header_.xloadflags & XLF_KERNEL_64) == 0)
    return fail(BzImageError::kNot64Bit, header_.xloadflags, XLF_KERNEL_64);
  if (relocatable() && !std::has_single_bit<std::uint32_t>(header_.kernel_alignment))
    return fail(BzImageError::kAlignment, header_.kernel_alignment, std::uint64_t{1} << 31);
  // A relocatable kernel never runs below where it was loaded, and 0 is no preference.
  const bool low = !relocatable() && header_.pref_address < x86::kKernelStart.raw();
  if (low || !range_within<std::uint64_t>(header_.pref_address, header_.init_size,
                                          x86::kIdentityEnd.raw()))
    return fail(BzImageError::kPreferredAddress, header_.pref_address, header_.init_size);
  return {};
}

Result<void> BzImage::find_kernel(Bytes file) {
  const auto sectors = header_.setup_sects == 0 ? kDefaultSetupSectors : header_.setup_sects;
  const auto setup = (1 + sectors) * kSector;
  if (setup >= file.size()) return fail(BzImageError::kSetup, setup, file.size());
  const auto rest = file.subspan(setup);
  const auto paragraphs = header_.syssize * kParagraph;
  // The last paragraph may be in the file in part (memtest86+).
  if (paragraphs >= rest.size() + kParagraph)
    return fail(BzImageError::kKernelSize, paragraphs, rest.size());
  const auto size = std::min<std::uint64_t>(paragraphs, rest.size());
  if (size <= kEntryOffset) return fail(BzImageError::kEntry, size, kEntryOffset);
  kernel_ = rest.first(size);
  return {};
}

Result<std::optional<Payload>> BzImage::payload() const {
  if (header_.payload_length == 0) return std::nullopt;
  if (!range_within<std::uint64_t>(header_.payload_offset, header_.payload_length, kernel_.size()))
    return fail(BzImageError::kPayload, header_.payload_offset, kernel_.size());
  const auto bytes = kernel_.subspan(header_.payload_offset, header_.payload_length);
  const auto magic = std::ranges::find_if(
      kMagics, [&](const Magic& one) { return begins_with(bytes, one.bytes); });
  if (magic == kMagics.end() || magic->format == PayloadFormat::kElf) {
    const auto format = magic == kMagics.end() ? PayloadFormat::kUnknown : magic->format;
    return Payload{format, bytes};
  }
  const auto least = magic->bytes.size() + kSizeBytes;
  if (bytes.size() < least) return fail(BzImageError::kPayloadShort, bytes.size(), least);
  const auto packed = bytes.size() - kSizeBytes;
  return Payload{magic->format, magic->format == PayloadFormat::kGzip ? bytes : bytes.first(packed),
                 read_wire<ule32>(bytes, packed)};
}

GuestAddress BzImage::default_load_address() const {
  const GuestAddress preferred(header_.pref_address);
  const bool allowed = relocatable() && preferred >= x86::kKernelStart &&
                       preferred.aligned_to(header_.kernel_alignment);
  return allowed ? preferred : x86::kKernelStart;
}

Result<GuestRange> BzImage::memory_at(GuestAddress load_address) const {
  const auto start = load_address.raw(), limit = x86::kIdentityEnd.raw();
  if (load_address < x86::kKernelStart)
    return fail(BzImageError::kLoadLow, start, x86::kKernelStart.raw());
  if (start >= limit) return fail(BzImageError::kLoadHigh, start, limit);
  if (load_address != x86::kKernelStart) {
    if (!relocatable()) return fail(BzImageError::kNotRelocatable, start, x86::kKernelStart.raw());
    if (!load_address.aligned_to(header_.kernel_alignment))
      return fail(BzImageError::kLoadAlignment, start, header_.kernel_alignment);
  }
  // Linux moves itself to the next multiple of its alignment, and never below pref_address.
  const std::uint64_t alignment = header_.kernel_alignment;
  const auto aligned = (start + alignment - 1) & ~(alignment - 1);
  const std::uint64_t preferred = header_.pref_address;
  const auto runs_at = relocatable() ? std::max(aligned, preferred) : preferred;
  const auto end = std::max(start + kernel_.size(), runs_at + header_.init_size);
  if (end > limit) return fail(BzImageError::kLoadHigh, start, limit);
  return GuestRange{load_address, end - start};
}

}  // namespace guestproof::loader
