// Sectors in a regular file (plain, sparse or a memfd) or on a block device of the host.
//
// EINTR is retried. Where the file system or the device cannot do what is asked (EOPNOTSUPP),
// discard does nothing and write zeroes writes zeroes. What was opened O_RDONLY, and a block device
// that is read-only itself, is a read-only back end. A range that does not fall on the blocks of a
// block device is an error of the call (EINVAL): the guest was told their size, see topology().
// Not here: locks against other processes, O_DIRECT's alignment rules.
//
// Thread-safety: as Backend; no member changes the object.
#pragma once

#include "guestproof/base/fd.h"
#include "guestproof/virtio/device/block/backend.h"
#include "guestproof/virtio/device/block/topology.h"

namespace guestproof::virtio::block {

class FileBackend final : public Backend {
 public:
  /// Errors: BlockConfigError::kFileType, kAppendMode, SystemError::kStat.
  [[nodiscard]] static Result<FileBackend> create(Fd file);
  FileBackend(FileBackend&& other) noexcept : file_(std::move(other.file_)), facts_(other.facts_) {}

  [[nodiscard]] std::uint64_t size() const override { return facts_.size; }
  [[nodiscard]] bool read_only() const override { return facts_.read_only; }
  [[nodiscard]] bool block_device() const { return facts_.block_device; }
  /// What its blocks are like, to be told to the driver: of a file those of its file system.
  [[nodiscard]] const Topology& topology() const { return facts_.topology; }
  [[nodiscard]] int fd() const { return file_.get(); }

  // Errors, with errno: SystemError::kRead, kWrite, kSync, kAllocate.

  [[nodiscard]] Result<std::size_t> read_at(std::span<const ::iovec> into,
                                            std::uint64_t offset) override;
  [[nodiscard]] Result<std::size_t> write_at(std::span<const ::iovec> from,
                                             std::uint64_t offset) override;
  [[nodiscard]] Result<void> flush() override;
  /// Punches a hole in a file.
  [[nodiscard]] Result<void> discard(std::uint64_t offset, std::uint64_t length) override;
  /// Punches a hole when it may, zeroes the range in place when it may not.
  [[nodiscard]] Result<void> write_zeroes(std::uint64_t offset, std::uint64_t length,
                                          bool may_unmap) override;
  /// BLKSECDISCARD where a block device has it. Else writes zeroes over the range and flushes: a
  /// file system or a disk that writes elsewhere (copy on write, a log, flash) keeps the old bytes
  /// all the same.
  [[nodiscard]] Result<void> secure_erase(std::uint64_t offset, std::uint64_t length) override;

 private:
  struct Facts {
    std::uint64_t size = 0;
    bool read_only = false;
    bool block_device = false;
    Topology topology;
  };
  FileBackend(Fd file, const Facts& facts) : file_(std::move(file)), facts_(facts) {}
  [[nodiscard]] static Result<Facts> facts_of_device(const Fd& device);
  [[nodiscard]] Result<void> overwrite(std::uint64_t offset, std::uint64_t length);

  Fd file_;
  Facts facts_;
};

}  // namespace guestproof::virtio::block
