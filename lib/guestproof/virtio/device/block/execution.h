// The storage's side of one request that passed its checks: which operation comes next, and what
// its result means. The guest's side, and when all this happens, is engine.h's.
//
// Thread-safety: a value for one thread.
// Specification: virtio 1.3 §5.2.6.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/virtio/device/block/async_backend.h"
#include "guestproof/virtio/device/block/wire.h"

namespace guestproof::virtio::block {

class Execution {
 public:
  /// `token` is that of all operations.
  explicit Execution(std::uint64_t token) { operation_.token = token; }

  /// Of a request of this type; GET_ID asks nothing of the storage, nor does a type of no meaning.
  /// The lists below are empty again, with their room.
  void begin(std::uint32_t type, std::uint64_t sector);
  /// The memory of IN and OUT; filled before the first next().
  [[nodiscard]] std::vector<::iovec>& parts() { return parts_; }
  /// The array of DISCARD, WRITE_ZEROES and SECURE_ERASE; likewise.
  [[nodiscard]] std::vector<VirtioBlkDiscardWriteZeroes>& segments() { return segments_; }
  /// The request has failed; nothing comes next.
  void fail_with(const Error& error) { error_ = error; }

  struct Policy {
    bool write_through = false;  // what was changed must be stable before it is answered
    bool may_unmap = false;      // a segment of WRITE_ZEROES that allows it may be unmapped
  };
  /// The operation that comes next; null when the request is done or has failed.
  /// REQUIRES: took() has followed the one before.
  [[nodiscard]] const Operation* next(Policy policy);
  /// The result of that operation.
  void took(const OperationResult& result);

  /// Moved from or to the storage, or in ranges that were changed.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  // Each fills operation_, or says that there is none of its kind left.
  [[nodiscard]] bool next_transfer();
  [[nodiscard]] bool next_range(bool may_unmap);
  [[nodiscard]] bool next_flush(bool write_through);
  void moved(std::size_t bytes);

  std::uint32_t type_ = VIRTIO_BLK_T_GET_ID;
  std::uint64_t offset_ = 0;  // of a transfer, where it begins
  std::uint64_t bytes_ = 0;
  std::optional<Error> error_;
  Operation operation_;           // the one that took() is about
  std::size_t next_part_ = 0;     // the parts before it were moved
  std::size_t next_segment_ = 0;  // the segments before it were changed
  bool flushed_ = false;

  // Kept from request to request, so that they rarely allocate.
  std::vector<::iovec> parts_;
  std::vector<VirtioBlkDiscardWriteZeroes> segments_;
};

}  // namespace guestproof::virtio::block
