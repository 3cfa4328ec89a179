// Little-endian numbers at any offset, and how structures of kernel files and boot protocols are
// copied out of bytes. The boot protocols put fields where no alignment holds (the setup header of
// Linux/x86 begins at 0x1f1); a structure of these has no padding and alignment 1.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "guestproof/base/checked.h"
#include "guestproof/base/endian.h"
#include "guestproof/base/invariant.h"

namespace guestproof::loader {

template <std::unsigned_integral T>
class UnalignedLe {
 public:
  constexpr UnalignedLe() = default;
  constexpr UnalignedLe(T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i)
      bytes_[i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
  constexpr operator T() const {
    T value = 0;
    for (std::size_t i = sizeof(T); i-- > 0;) value = static_cast<T>(value << 8 | bytes_[i]);
    return value;
  }

 private:
  std::array<std::uint8_t, sizeof(T)> bytes_{};
};
using ule16 = UnalignedLe<std::uint16_t>;
using ule32 = UnalignedLe<std::uint32_t>;
using ule64 = UnalignedLe<std::uint64_t>;
static_assert(sizeof(ule64) == 8 && alignof(ule64) == 1);

/// A copy of the structure at `offset`. REQUIRES: all of it lies in `bytes`.
template <class T>
  requires std::is_trivially_copyable_v<T>
[[nodiscard]] T read_wire(std::span<const std::byte> bytes, std::size_t offset) {
  GUESTPROOF_INVARIANT(range_within(offset, sizeof(T), bytes.size()));
  T object{};
  std::memcpy(static_cast<void*>(&object), bytes.data() + offset, sizeof object);
  return object;
}

}  // namespace guestproof::loader
