// Accesses of numbers, as a guest makes them. To be included by tests of what answers them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "guestproof/base/bytes.h"
#include "guestproof/base/error.h"

namespace guestproof {

/// The bytes of an access.
inline std::vector<std::byte> bytes_of(std::uint64_t number, std::size_t width) {
  std::vector<std::byte> bytes(width);
  store(bytes, number);
  return bytes;
}

/// What a read answered and what it was refused for.
struct Answer {
  std::uint64_t value = 0;
  std::optional<Error> error = std::nullopt;

  friend bool operator==(const Answer&, const Answer&) = default;
};

/// `read` takes the span that it fills.
template <class Read>
Answer answer(std::size_t width, Read&& read) {
  std::vector<std::byte> data(width, std::byte{0x5a});
  const Result<void> done = read(std::span(data));
  return {load(data), done ? std::nullopt : std::optional(done.error())};
}

}  // namespace guestproof
