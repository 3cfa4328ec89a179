// Memory of its own for a part of a guest, with a page of nothing before and behind it, so that who
// runs past its end (a stack that grows too large, say) faults at once.
//
// Thread-safety: one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "guestproof/base/error.h"

namespace guestproof::ring0 {

class Area {
 public:
  enum class Sharing : std::uint8_t { kPrivate, kShared };  // whether copies of the process see it

  /// Zeroes. `size` is a multiple of pages. Errors: SystemError::kMap.
  [[nodiscard]] static Result<Area> create(std::size_t size, Sharing sharing = Sharing::kPrivate);
  /// Addresses that nobody may access, and nobody else gets. `address` and `size` are multiples of
  /// pages. Errors: SystemError::kMap (EEXIST: somebody has them).
  [[nodiscard]] static Result<Area> reserve(std::uint64_t address, std::size_t size);
  Area(Area&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  Area& operator=(Area&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Area();

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t begin() const {
    return reinterpret_cast<std::uint64_t>(bytes_.data());
  }
  [[nodiscard]] std::uint64_t end() const { return begin() + bytes_.size(); }

 private:
  explicit Area(std::span<std::byte> bytes) : bytes_(bytes) {}

  std::span<std::byte> bytes_;
};

}  // namespace guestproof::ring0
