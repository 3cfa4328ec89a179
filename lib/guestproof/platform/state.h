// What the saved states of all devices of the board begin with. Little-endian:
//
//   offset size field
//   0      4    magic, of the kind of device
//   4      2    version (1)
//   6      2    length, of everything; a kind has one
//
// Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "guestproof/platform/error.h"

namespace guestproof::platform {

inline constexpr std::size_t kStateHeaderBytes = 8;

/// So many bytes, of which the header is filled in and the others are 0.
[[nodiscard]] std::vector<std::byte> state_with_header(std::uint32_t magic, std::size_t length);
/// Errors: kBytes, kMagic, kVersion, kLength.
[[nodiscard]] Result<void> check_state_header(std::span<const std::byte> bytes, std::uint32_t magic,
                                              std::size_t length);

}  // namespace guestproof::platform
