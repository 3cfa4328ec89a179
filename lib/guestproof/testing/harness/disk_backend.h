// A block device's way to a ModelDisk: it holds the device to what Backend requires of its callers,
// lets it pass no other bytes of the host than those of guest memory that it was given in this step
// (WatchedMemory::clear_log() begins one), and may move less than it is asked to. And the same for
// a device with several requests in flight, whose steps are several.
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "guestproof/testing/deferred_backend.h"
#include "guestproof/testing/model/model_disk.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/device/block/backend.h"

namespace guestproof::testing {

/// What a disk does from now on; with what the value of a record means. Bytes count modulo the size
/// of the disk + 1.
enum class DiskFault : std::uint8_t {
  kNone,            // nothing fails any more
  kReadError,       // reading fails from this byte on
  kWriteError,      // writing fails from this byte on
  kEnd,             // the storage ends at this byte
  kShortTransfers,  // a transfer moves at most value modulo 1024 bytes, but kShortestTransfer at
                    // least; 0: as many as it likes
  kFlushError,      // flushing fails
  kRangeError,      // ranges that pass this byte cannot be discarded, zeroed or erased
};
inline constexpr std::size_t kDiskFaults = 7;
/// Moved one by one, the bytes of a program's requests take longer than a unit may.
inline constexpr std::size_t kShortestTransfer = 32;

class DiskBackend final : public virtio::block::Backend {
 public:
  /// `memory` is the guest's, and must outlive this.
  explicit DiskBackend(const WatchedMemory& memory) : memory_(&memory) {}

  /// On this disk and on the model's.
  void set_fault(DiskFault fault, std::uint64_t value, ModelDisk& model);

  ModelDisk disk;
  /// The device got its memory in another step: who submits says so by checking it then.
  bool checks_memory = true;
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

/// A disk that may take its time. While it is slow, operations wait until they are chosen; the
/// device may have them executed with memory that it was given when they were submitted, or, for
/// the rest of a short transfer, before.
class SlowDisk final : public DeferredBackend {
 public:
  static constexpr std::uint32_t kDepth = 6;

  /// Both outlive this; `disk` checks no memory any more.
  SlowDisk(DiskBackend& disk, const WatchedMemory& memory);

  bool slow = false;
  /// The next reap() executes this one first. REQUIRES: index < pending().size().
  void choose(std::size_t index) { chosen_ = index; }

  [[nodiscard]] std::optional<OperationResult> submit(const Operation& operation) override;
  [[nodiscard]] std::size_t reap(std::span<Completion> into) override;

 private:
  void check_memory(const Operation& operation);

  virtio::block::ImmediateBackend fast_;
  const WatchedMemory* memory_;
  std::optional<std::size_t> chosen_;
  std::unordered_map<std::uint64_t, std::vector<::iovec>> given_;  // by token
};

}  // namespace guestproof::testing
