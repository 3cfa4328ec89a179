// Where an entropy device takes its bytes from.
//
// Thread-safety: a source is called by one device at a time.
#pragma once

#include <cstddef>
#include <span>

#include "guestproof/base/error.h"

namespace guestproof::virtio::rng {

class EntropySource {
 public:
  EntropySource() = default;
  EntropySource(const EntropySource&) = delete;
  EntropySource& operator=(const EntropySource&) = delete;
  virtual ~EntropySource() = default;

  /// Fills the front of `out`, which is not empty; how many bytes. 0: there are none now; host_fd()
  /// becomes readable when there are again, and only after a 0.
  [[nodiscard]] virtual Result<std::size_t> fill(std::span<std::byte> out) = 0;
  /// −1 for a source that always has bytes.
  [[nodiscard]] virtual int host_fd() const { return -1; }
};

/// getrandom(2). Errors: SystemError::kRead.
class KernelEntropy final : public EntropySource {
 public:
  [[nodiscard]] Result<std::size_t> fill(std::span<std::byte> out) override;
};

}  // namespace guestproof::virtio::rng
