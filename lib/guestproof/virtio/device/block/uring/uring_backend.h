// Storage on an io_uring: the kernel works on several operations of a file at once and nobody waits
// for them. A library of its own, because it takes liburing; built without that it is there all the
// same, and says so when it is asked (ENOSYS).
//
// What goes through the ring: reads, writes, flushes (fdatasync), and of a regular file discards
// and write zeroes. What the calling thread does itself, as FileBackend does it: the ranges of a
// block device, write zeroes where the file system knows no better way than to write them, and
// secure erase.
//
// Thread-safety: as AsyncBackend.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "guestproof/virtio/device/block/async_backend.h"
#include "guestproof/virtio/device/block/file_backend.h"

namespace guestproof::virtio::block {

/// As many operations as an engine has requests in flight.
inline constexpr std::uint32_t kUringDepth = 128;

/// `file`, served through a ring of its own. What is in flight ends before the back end is gone.
/// Errors (`file` stays what it was): SystemError::kRing (the kernel has no io_uring, does not
/// allow it, or has no memory left for it), BlockConfigError::kRingOperation (it is too old).
[[nodiscard]] Result<std::unique_ptr<AsyncBackend>> make_uring_backend(
    FileBackend&& file, std::uint32_t depth = kUringDepth);

struct FileStorage {
  std::unique_ptr<AsyncBackend> backend;
  /// Why every operation is a system call that the thread waits for; nothing with an io_uring.
  std::optional<Error> without_uring;
};
/// `file` through an io_uring where there is one, and without where there is none.
[[nodiscard]] FileStorage make_file_storage(FileBackend file, std::uint32_t depth = kUringDepth);

}  // namespace guestproof::virtio::block
