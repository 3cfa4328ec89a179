// Registers of one width: what a device of the board says of an access that is for none of them.
//
// Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guestproof/platform/error.h"

namespace guestproof::platform {

/// An access is one register of `register_bytes`, which ends at or before `size`. Errors: kWidth,
/// kOffset.
[[nodiscard]] constexpr Result<void> check_register(std::uint64_t offset, std::size_t width,
                                                    std::size_t register_bytes,
                                                    std::uint64_t size) {
  if (width != register_bytes) return fail(PlatformError::kWidth, width, register_bytes);
  if (offset % register_bytes != 0 || offset >= size)
    return fail(PlatformError::kOffset, offset, size);
  return {};
}

}  // namespace guestproof::platform
