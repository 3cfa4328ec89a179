// Arithmetic that says when it cannot hold its result. For sums and products of numbers that a
// guest or a file chose.
#pragma once

#include <concepts>
#include <optional>

namespace guestproof {

template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_add(T a, std::type_identity_t<T> b) {
  T sum{};
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_mul(T a, std::type_identity_t<T> b) {
  T product{};
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// True when [offset, offset + length) lies inside [0, size), without ever computing offset +
/// length.
template <std::unsigned_integral T>
[[nodiscard]] constexpr bool range_within(T offset, std::type_identity_t<T> length,
                                          std::type_identity_t<T> size) {
  return offset <= size && length <= size - offset;
}

/// REQUIRES: alignment is a power of two.
template <std::unsigned_integral T>
[[nodiscard]] constexpr bool is_aligned(T value, std::type_identity_t<T> alignment) {
  return (value & (alignment - 1)) == 0;
}

}  // namespace guestproof
