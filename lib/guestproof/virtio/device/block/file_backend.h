// Sectors in a regular file: plain, sparse or a memfd.
//
// EINTR is retried. Where the file system cannot do what fallocate(2) asks (EOPNOTSUPP), discard
// does nothing and write zeroes writes zeroes. A file that was opened O_RDONLY is a read-only back
// end. Not here: block devices, locks against other processes, O_DIRECT's alignment rules.
//
// Thread-safety: as Backend; no member changes the object.
#pragma once

#include "guestproof/base/fd.h"
#include "guestproof/virtio/device/block/backend.h"

namespace guestproof::virtio::block {

class FileBackend final : public Backend {
 public:
  /// Errors: BlockConfigError::kNotRegularFile, kAppendMode, SystemError::kStat.
  [[nodiscard]] static Result<FileBackend> create(Fd file);
  FileBackend(FileBackend&& other) noexcept
      : file_(std::move(other.file_)), size_(other.size_), read_only_(other.read_only_) {}

  [[nodiscard]] std::uint64_t size() const override { return size_; }
  [[nodiscard]] bool read_only() const override { return read_only_; }

  // Errors, with errno: SystemError::kRead, kWrite, kSync, kAllocate.

  [[nodiscard]] Result<std::size_t> read_at(std::span<const ::iovec> into,
                                            std::uint64_t offset) override;
  [[nodiscard]] Result<std::size_t> write_at(std::span<const ::iovec> from,
                                             std::uint64_t offset) override;
  [[nodiscard]] Result<void> flush() override;
  [[nodiscard]] Result<void> discard(std::uint64_t offset, std::uint64_t length) override;
  /// Punches a hole when it may, zeroes the range in place when it may not.
  [[nodiscard]] Result<void> write_zeroes(std::uint64_t offset, std::uint64_t length,
                                          bool may_unmap) override;
  /// Writes zeroes over the range and flushes. A file system that writes elsewhere (copy on write,
  /// a log, a flash disk below) keeps the old bytes all the same.
  [[nodiscard]] Result<void> secure_erase(std::uint64_t offset, std::uint64_t length) override;

 private:
  FileBackend(Fd file, std::uint64_t size, bool read_only)
      : file_(std::move(file)), size_(size), read_only_(read_only) {}
  [[nodiscard]] Result<void> overwrite(std::uint64_t offset, std::uint64_t length);

  Fd file_;
  std::uint64_t size_;
  bool read_only_;
};

}  // namespace guestproof::virtio::block
