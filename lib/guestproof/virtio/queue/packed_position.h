// Where in a packed ring a descriptor is, and in which turn round the ring: the arithmetic of wrap
// counters (virtio 1.3 §2.8.1) and of the event offset (§2.8.10).
//
// Two turns make the counter what it was, so positions lie on a circle of twice the ring's size.
// Queue Size need not be a power of two: nothing here is a mask.
//
// Thread-safety: a value.
#pragma once

#include <cstdint>

namespace guestproof::virtio {

class PackedPosition {
 public:
  /// The first descriptor in the first turn: the counter starts at 1.
  constexpr PackedPosition() = default;
  /// As event suppression structures and saved states have it.
  constexpr explicit PackedPosition(std::uint16_t raw) : raw_(raw) {}

  /// Offset in bits 0-14, wrap counter in bit 15.
  [[nodiscard]] constexpr std::uint16_t raw() const { return raw_; }
  [[nodiscard]] constexpr std::uint16_t offset() const { return raw_ & (kWrap - 1); }
  [[nodiscard]] constexpr bool wrap() const { return (raw_ & kWrap) != 0; }

  // REQUIRES for all below: this and other offsets < size, n ≤ size.

  [[nodiscard]] constexpr PackedPosition plus(std::uint32_t n, std::uint16_t size) const {
    const std::uint32_t to = offset() + n;
    return to < size ? at(to, wrap()) : at(to - size, !wrap());
  }
  [[nodiscard]] constexpr PackedPosition minus(std::uint32_t n, std::uint16_t size) const {
    return offset() >= n ? at(offset() - n, wrap()) : at(offset() + size - n, !wrap());
  }
  /// Descriptors from `other` up to this one: 0 to 2·size - 1.
  [[nodiscard]] constexpr std::uint32_t since(PackedPosition other, std::uint16_t size) const {
    const std::uint32_t to = on_circle(size);
    const std::uint32_t from = other.on_circle(size);
    return to >= from ? to - from : to + 2U * size - from;
  }

  friend constexpr bool operator==(PackedPosition, PackedPosition) = default;

 private:
  static constexpr std::uint16_t kWrap = 0x8000;

  static constexpr PackedPosition at(std::uint32_t offset, bool wrap) {
    return PackedPosition(static_cast<std::uint16_t>(offset | (wrap ? kWrap : 0U)));
  }
  [[nodiscard]] constexpr std::uint32_t on_circle(std::uint16_t size) const {
    return offset() + (wrap() ? 0U : size);
  }

  std::uint16_t raw_ = kWrap;
};

/// True when the descriptor at `event` is one of the last `passed` before `next`. A driver's event
/// whose offset is outside the ring counts as passed: no descriptor is there that it could wait
/// for. REQUIRES: next.offset() < size.
constexpr bool packed_event_passed(PackedPosition event, PackedPosition next, std::uint32_t passed,
                                   std::uint16_t size) {
  return event.offset() >= size || next.since(event.plus(1, size), size) < passed;
}

}  // namespace guestproof::virtio
