#include "guestproof/loader/arm64_image.h"

#include <algorithm>

#include "guestproof/loader/memory_map.h"
#include "guestproof/loader/wire.h"

namespace guestproof::loader {
namespace {

struct Header {
  le32 code0;        // 0
  le32 code1;        // 4
  le64 text_offset;  // 8
  le64 image_size;   // 16
  le64 flags;        // 24
  le64 res2;         // 32
  le64 res3;         // 40
  le64 res4;         // 48
  le32 magic;        // 56
  le32 res5;         // 60
};
static_assert(sizeof(Header) == 64 && offsetof(Header, magic) == 56);

constexpr std::uint32_t kMagic = 0x644d5241;  // "ARM\x64"

}  // namespace

Result<Arm64Image> Arm64Image::parse(std::span<const std::byte> file) {
  if (file.size() < sizeof(Header))
    return fail(Arm64ImageError::kShort, file.size(), sizeof(Header));
  const auto header = read_wire<Header>(file, 0);
  if (header.magic != kMagic) return fail(Arm64ImageError::kMagic, header.magic, kMagic);
  if (header.text_offset >= kBaseAlignment)
    return fail(Arm64ImageError::kTextOffset, header.text_offset, kBaseAlignment);
  // Before 3.17 it is 0, and nobody knows what the kernel needs.
  if (header.image_size < sizeof(Header))
    return fail(Arm64ImageError::kImageSize, header.image_size, sizeof(Header));
  Arm64Image image;
  image.text_offset_ = header.text_offset;
  image.image_size_ = header.image_size;
  image.flags_ = header.flags;
  image.bytes_ = file.first(std::min<std::uint64_t>(file.size(), header.image_size));
  return image;
}

std::uint64_t Arm64Image::page_size() const {
  constexpr std::uint64_t kSizes[] = {0, 4 << 10, 16 << 10, 64 << 10};
  return kSizes[flags_ >> 1 & 3];
}

Result<GuestRange> Arm64Image::memory_at(GuestAddress base) const {
  if (!base.aligned_to(kBaseAlignment))
    return fail(Arm64ImageError::kBase, base.raw(), kBaseAlignment);
  if (!range_within(base.raw(), text_offset_, kPhysicalEnd) ||
      !range_within(base.raw() + text_offset_, image_size_, kPhysicalEnd))
    return fail(Arm64ImageError::kBaseHigh, base.raw(), image_size_);
  return GuestRange{GuestAddress(base.raw() + text_offset_), image_size_};
}

}  // namespace guestproof::loader
