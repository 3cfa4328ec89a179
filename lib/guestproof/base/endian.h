// Little-endian integers as they stand in guest memory and in files (virtio 1.3 §1.4: le16, le32,
// le64).
//
// A value of type Le<T> has T's size and alignment and holds the bytes in little-endian order on
// every host; it converts to and from T implicitly. Not here: big-endian fields (virtio 1 has none)
// and legacy "guest-native" order.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <type_traits>

namespace guestproof {

template <std::unsigned_integral T>
class Le {
 public:
  constexpr Le() = default;
  constexpr Le(T value) : raw_(to_from(value)) {}
  constexpr operator T() const { return to_from(raw_); }

 private:
  static constexpr T to_from(T value) {
    if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1) return value;
    T swapped = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
      swapped |= static_cast<T>((value >> (8 * i)) & 0xff) << (8 * (sizeof(T) - 1 - i));
    return swapped;
  }
  T raw_{};
};

using le16 = Le<std::uint16_t>;
using le32 = Le<std::uint32_t>;
using le64 = Le<std::uint64_t>;

static_assert(sizeof(le16) == 2 && sizeof(le32) == 4 && sizeof(le64) == 8);
static_assert(std::is_trivially_copyable_v<le64>);

}  // namespace guestproof
