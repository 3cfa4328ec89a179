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

class BlockModel {
 public:
  BlockModelSetup setup;
  ModelDisk disk;

  /// Executes a request and writes its answer to the chain; giving the chain back is the caller's.
  [[nodiscard]] BlockModelAnswer serve(const WatchedMemory& memory, const ModelChain& chain);

 private:
  struct Request {
    const WatchedMemory& memory;
    const ModelChain& chain;
    std::uint64_t readable = 0;  // bytes of data, without the header
    std::uint64_t writable = 0;  // bytes of room for data, without the status
    std::uint32_t type = 0;
    std::uint64_t sector = 0;
    std::uint64_t written = 0;  // bytes of the room
  };

  [[nodiscard]] ModelError handle(Request& request, BlockModelAnswer& answer);
  [[nodiscard]] ModelError check(const Request& request) const;
  [[nodiscard]] ModelError check_sectors(const Request& request) const;
  [[nodiscard]] ModelError check_segments(std::uint32_t type) const;
  [[nodiscard]] ModelError execute(Request& request, BlockModelAnswer& answer);
  [[nodiscard]] ModelError in(Request& request, BlockModelAnswer& answer);
  [[nodiscard]] ModelError out(const Request& request, BlockModelAnswer& answer);
  [[nodiscard]] ModelError get_id(Request& request) const;
  [[nodiscard]] ModelError change(const Request& request, BlockModelAnswer& answer);
  [[nodiscard]] ModelError settle();

  struct Segment {
    std::uint64_t sector = 0;
    std::uint64_t sectors = 0;
    std::uint64_t flags = 0;
  };
  // Of the request at hand; members to save allocations.
  std::vector<std::uint8_t> data_;
  std::vector<Segment> segments_;
};

}  // namespace guestproof::testing
