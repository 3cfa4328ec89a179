// Where a block device's sectors are kept. The device has checked ranges, alignment and permission
// before it calls; a back end moves bytes and says what the storage said.
//
// Thread-safety: devices of several queues may share one back end and call it from their threads.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "guestproof/base/error.h"

namespace guestproof::virtio::block {

class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  // Offsets and lengths are in bytes and multiples of 512, except that a transfer which was short
  // goes on at any byte. REQUIRES: offset + length ≤ size().

  /// The size when the back end was opened. The storage may have shrunk since.
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  [[nodiscard]] virtual bool read_only() const = 0;

  /// Moves bytes between guest memory and storage; from 1 to IOV_MAX parts, none of them empty.
  /// The result may be short; 0 means that the storage ends here.
  [[nodiscard]] virtual Result<std::size_t> read_at(std::span<const ::iovec> into,
                                                    std::uint64_t offset) = 0;
  [[nodiscard]] virtual Result<std::size_t> write_at(std::span<const ::iovec> from,
                                                     std::uint64_t offset) = 0;
  /// What was written before is on stable storage afterwards.
  [[nodiscard]] virtual Result<void> flush() = 0;
  /// The contents do not matter any more; doing nothing is right.
  [[nodiscard]] virtual Result<void> discard(std::uint64_t offset, std::uint64_t length) = 0;
  /// The range reads as zeroes afterwards. Its storage may be given back only when `may_unmap`.
  [[nodiscard]] virtual Result<void> write_zeroes(std::uint64_t offset, std::uint64_t length,
                                                  bool may_unmap) = 0;
  /// The range's old contents are overwritten where they are stored.
  [[nodiscard]] virtual Result<void> secure_erase(std::uint64_t offset, std::uint64_t length) = 0;
};

}  // namespace guestproof::virtio::block
