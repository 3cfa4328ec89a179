// A second opinion on the block device: one request at a time, written from virtio 1.3 §5.2.6 and
// from the policies that the headers in virtio/device/block/ state, for comparison. It shares no
// code with them: only guest memory's bytes and a disk.
//
// It is slow and obvious on purpose. Where it and the library differ, one of them is wrong.
//
// Thread-safety: none.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "guestproof/testing/model/model_disk.h"
#include "guestproof/testing/model/queue_model.h"

namespace guestproof::testing {

struct BlockModelSetup {
  /// Of discard, write zeroes or secure erase; nothing when the feature is off.
  struct Ranges {
    std::uint64_t max_sectors = 0;
    std::uint64_t max_segments = 0;
  };
  std::uint64_t capacity = ModelDisk::kSectors;
  std::array<char, 20> id{};
  bool read_only = false;
  bool flush = false;
  bool write_through = false;  // also with flush
  std::optional<Ranges> discard;
  std::optional<Ranges> write_zeroes;
  std::optional<Ranges> secure_erase;
  bool may_unmap = false;
  std::optional<std::uint64_t> size_max;
  std::optional<std::uint64_t> seg_max;
};

struct BlockModelAnswer {
  std::optional<std::uint32_t> type;
  std::optional<std::uint8_t> status;
  ModelError error;
  std::uint64_t bytes = 0;  // moved from or to the disk, or in ranges that were changed
  std::uint32_t used = 0;
  bool executed = false;  // all checks were passed
};

/// A request that the model has begun.
struct BlockModelWork {
  struct Segment {
    std::uint64_t sector = 0;
    std::uint64_t sectors = 0;
    std::uint64_t flags = 0;
  };
  ModelChain chain;
  std::optional<std::uint64_t> place;  // of the status, when there is one
  std::uint64_t readable = 0;          // bytes of data, without the header
  std::uint64_t writable = 0;          // bytes of room for data, without the status
  std::uint32_t type = 0;
  std::uint64_t sector = 0;
  std::uint64_t written = 0;  // bytes of the room
  std::vector<Segment> segments;
  std::size_t next_segment = 0;
  bool flushed = false;
  BlockModelAnswer answer;
};

class BlockModel {
 public:
  BlockModelSetup setup;
  ModelDisk disk;

  /// Executes a request and writes its answer to the chain; giving the chain back is the caller's.
  [[nodiscard]] BlockModelAnswer serve(const WatchedMemory& memory, const ModelChain& chain);

  // The same in steps: begin(), operate() while wants_disk(), finish().

  /// Reads and checks what the guest says.
  [[nodiscard]] BlockModelWork begin(const WatchedMemory& memory, const ModelChain& chain);
  [[nodiscard]] bool wants_disk(const BlockModelWork& work) const;
  /// One operation of the disk, which moves at most `most` bytes.
  void operate(const WatchedMemory& memory, BlockModelWork& work, std::uint64_t most);
  BlockModelAnswer finish(const WatchedMemory& memory, BlockModelWork& work);

 private:
  using Work = BlockModelWork;

  [[nodiscard]] static ModelError find_place(const WatchedMemory& memory, Work& work);
  [[nodiscard]] ModelError handle(const WatchedMemory& memory, Work& work);
  [[nodiscard]] ModelError check(const Work& work) const;
  [[nodiscard]] ModelError check_sectors(const Work& work) const;
  [[nodiscard]] ModelError check_segments(const Work& work) const;
  [[nodiscard]] ModelError prepare(const WatchedMemory& memory, Work& work);
  [[nodiscard]] ModelError read_segments(const WatchedMemory& memory, Work& work);
  [[nodiscard]] ModelError transfer(const WatchedMemory& memory, Work& work, std::uint64_t most);
  [[nodiscard]] ModelError change(Work& work);

  std::vector<std::uint8_t> data_;  // of the operation at hand; a member to save allocations
};

}  // namespace guestproof::testing
