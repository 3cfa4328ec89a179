#include "guestproof/platform/state.h"

#include "guestproof/base/bytes.h"

namespace guestproof::platform {
namespace {

constexpr std::uint16_t kVersion = 1;

}  // namespace

std::vector<std::byte> state_with_header(std::uint32_t magic, std::size_t length) {
  std::vector<std::byte> bytes(length);
  const std::span out(bytes);
  store(out.subspan(0, 4), magic);
  store(out.subspan(4, 2), kVersion);
  store(out.subspan(6, 2), length);
  return bytes;
}

Result<void> check_state_header(std::span<const std::byte> bytes, std::uint32_t magic,
                                std::size_t length) {
  if (bytes.size() != length) return fail(PlatformStateError::kBytes, bytes.size(), length);
  const auto field = [&](std::size_t at, std::size_t width) {
    return load(bytes.subspan(at, width));
  };
  if (field(0, 4) != magic) return fail(PlatformStateError::kMagic, field(0, 4), magic);
  if (field(4, 2) != kVersion) return fail(PlatformStateError::kVersion, field(4, 2), kVersion);
  if (field(6, 2) != length) return fail(PlatformStateError::kLength, field(6, 2), length);
  return {};
}

}  // namespace guestproof::platform
