// The bytes of a guest's access, or of saved state, as a number, and back: little-endian, as PCI
// and the devices of a PC are on every host.
//
// Thread-safety: pure functions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

namespace guestproof {

/// REQUIRES: at most 8 bytes.
[[nodiscard]] constexpr std::uint64_t load(std::span<const std::byte> data) {
  std::uint64_t number = 0;
  for (std::size_t i = data.size(); i-- > 0;)
    number = number << 8 | std::to_integer<std::uint64_t>(data[i]);
  return number;
}

/// The number's low bytes.
constexpr void store(std::span<std::byte> data, std::uint64_t number) {
  for (auto& byte : data) {
    byte = static_cast<std::byte>(number & 0xff);
    number >>= 8;
  }
}

/// Behind what is there, the object's bytes as they lie in memory.
template <class T>
  requires std::is_trivially_copyable_v<T>
void append_object(std::vector<std::byte>& bytes, const T& object) {
  const auto more = std::as_bytes(std::span(&object, 1));
  bytes.insert(bytes.end(), more.begin(), more.end());
}

/// What a read gets that nobody answers: all ones (PCI 3.0 §6.1; the pull-ups of an ISA bus).
inline void answer_nothing(std::span<std::byte> data) { std::ranges::fill(data, std::byte{0xff}); }

}  // namespace guestproof
