// Bytes that wait: put in at the back, taken out at the front. For the buffers of a connection; how
// many there may be is for whoever puts them in to say.
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "guestproof/base/invariant.h"

namespace guestproof::virtio::vsock {

class ByteQueue {
 public:
  [[nodiscard]] std::size_t size() const { return bytes_.size() - first_; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  /// All of them, the oldest first; until the next change.
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return std::span(bytes_).subspan(first_);
  }

  void push(std::span<const std::byte> bytes) {
    if (first_ != 0 && first_ >= size()) compact();
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  /// REQUIRES: count ≤ size().
  void pop(std::size_t count) {
    GUESTPROOF_INVARIANT(count <= size());
    first_ += count;
    if (empty()) clear();
  }
  /// Their room is given back as well: most connections are idle most of the time.
  void clear() {
    bytes_ = {};
    first_ = 0;
  }

 private:
  /// No byte is moved more often than once for each byte that was taken out.
  void compact() {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }

  std::vector<std::byte> bytes_;
  std::size_t first_ = 0;
};

}  // namespace guestproof::virtio::vsock
