// A guest-physical address. Addresses and lengths are different types, so that the only sums that
// compile are the meaningful ones: address + length (checked), address − address (a distance,
// checked).
#pragma once

#include <compare>
#include <cstdint>
#include <optional>

#include "guestproof/base/checked.h"

namespace guestproof {

class GuestAddress {
 public:
  constexpr GuestAddress() = default;
  constexpr explicit GuestAddress(std::uint64_t raw) : raw_(raw) {}

  [[nodiscard]] constexpr std::uint64_t raw() const { return raw_; }

  /// The address `length` bytes on; nothing when that passes 2^64 − 1.
  [[nodiscard]] constexpr std::optional<GuestAddress> checked_add(std::uint64_t length) const {
    const auto sum = guestproof::checked_add(raw_, length);
    if (!sum) return std::nullopt;
    return GuestAddress(*sum);
  }
  /// Bytes from `base` up to this address; nothing when this address lies below `base`.
  [[nodiscard]] constexpr std::optional<std::uint64_t> offset_from(GuestAddress base) const {
    if (raw_ < base.raw_) return std::nullopt;
    return raw_ - base.raw_;
  }
  [[nodiscard]] constexpr bool aligned_to(std::uint64_t alignment) const {
    return is_aligned(raw_, alignment);
  }

  friend constexpr auto operator<=>(GuestAddress, GuestAddress) = default;

 private:
  std::uint64_t raw_ = 0;
};

}  // namespace guestproof
