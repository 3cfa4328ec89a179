// A block device's way to a ModelDisk: it holds the device to what Backend requires of its callers,
// lets it pass no other bytes of the host than those of guest memory that it was given in this step
// (WatchedMemory::clear_log() begins one), and may move less than it is asked to.
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guestproof/testing/model/model_disk.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/device/block/backend.h"

namespace guestproof::testing {

class DiskBackend final : public virtio::block::Backend {
 public:
  /// `memory` is the guest's, and must outlive this.
  explicit DiskBackend(const WatchedMemory& memory) : memory_(&memory) {}

  ModelDisk disk;
  /// No transfer moves more bytes.
  std::size_t transfer_limit = SIZE_MAX;

  // Errors, with EIO or ENOSPC: SystemError::kRead, kWrite, kSync, kAllocate. A call that breaks
  // what Backend requires is a violation of confinement, and asking for ever one of liveness.

  [[nodiscard]] std::uint64_t size() const override { return ModelDisk::kBytes; }
  [[nodiscard]] bool read_only() const override { return false; }
  [[nodiscard]] Result<std::size_t> read_at(std::span<const ::iovec> into,
                                            std::uint64_t offset) override;
  [[nodiscard]] Result<std::size_t> write_at(std::span<const ::iovec> from,
                                             std::uint64_t offset) override;
  [[nodiscard]] Result<void> flush() override;
  [[nodiscard]] Result<void> discard(std::uint64_t offset, std::uint64_t length) override;
  [[nodiscard]] Result<void> write_zeroes(std::uint64_t offset, std::uint64_t length,
                                          bool may_unmap) override;
  [[nodiscard]] Result<void> secure_erase(std::uint64_t offset, std::uint64_t length) override;

 private:
  // Far more fruitless transfers in a row than a program has requests.
  static constexpr std::size_t kPatience = 100000;

  template <class Move>
  Result<std::size_t> transfer(std::span<const ::iovec> parts, std::uint64_t offset,
                               const Error& error, Move move);

  void check_memory(std::span<const ::iovec> parts, Access access) const;

  const WatchedMemory* memory_;
  std::size_t idle_ = 0;
};

}  // namespace guestproof::testing
