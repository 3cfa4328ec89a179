// Where scenarios happen: a small guest memory with every kind of border, twice. The device under
// test works in one copy, the reference model in the other; the guest writes both. After every step
// they must be equal.
//
//   low   0x00000 32 KiB ┐ touch: buffers may cross      rom  0x20000 4 KiB, read-only
//   mid   0x08000 16 KiB ┘                               top  4 KiB that end 4 KiB below 2^64
//   (hole 0x0c000 16 KiB)                                high 0x10000 16 KiB
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <span>

#include "guestproof/testing/scenario/record.h"
#include "guestproof/testing/watched_memory.h"

namespace guestproof::testing {

struct SpaceRange {
  std::uint64_t base = 0;
  std::uint64_t size = 0;
};

/// The fixed spaces (kIndirect … kHole). REQUIRES: not an area of a queue, kAuto or kRaw.
[[nodiscard]] SpaceRange fixed_space(Space space);
/// Edge and offset applied to a space.
[[nodiscard]] GuestAddress place(const SpaceRange& range, Edge edge, std::uint32_t offset);

class World {
 public:
  World();
  /// Of other regions, in which the fixed spaces do not lie.
  explicit World(std::span<const WatchedMemory::RegionSpec> regions);

  /// The memory of the device under test.
  [[nodiscard]] const WatchedMemory& device() const { return device_; }
  /// The memory of the reference model.
  [[nodiscard]] const WatchedMemory& model() const { return model_; }

  /// The guest writes to both, as far as there is memory.
  void write(GuestAddress address, std::span<const std::byte> bytes);
  void write_number(GuestAddress address, std::uint64_t number, std::size_t bytes);
  void fill(GuestAddress address, std::uint64_t length, std::byte value);
  /// The guest's view of the device's memory: a number of up to 8 bytes, 0 where there is no
  /// memory.
  [[nodiscard]] std::uint64_t read_number(GuestAddress address, std::size_t bytes) const;
  void race(const Race& race);

  void clear_logs();
  void reset();

 private:
  WatchedMemory device_;
  WatchedMemory model_;
};

}  // namespace guestproof::testing
