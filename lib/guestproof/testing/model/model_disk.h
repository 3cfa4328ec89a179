// A small disk in memory, and what goes wrong with it. The device under test reaches one through a
// back end, its model reaches another of the same contents directly; after every step they must be
// equal.
//
// What goes wrong depends on places and not on calls: however a request is cut into transfers, it
// ends at the same byte.
//
// Thread-safety: none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace guestproof::testing {

struct DiskFaults {
  std::uint64_t read_error = UINT64_MAX;   // no byte from here on can be read
  std::uint64_t write_error = UINT64_MAX;  // no byte from here on can be written
  std::uint64_t range_error = UINT64_MAX;  // no range that goes past this can be changed as a whole
  std::uint64_t end = UINT64_MAX;          // the storage was cut off here
  bool flush_error = false;
};

class ModelDisk {
 public:
  static constexpr std::size_t kSector = 512;
  static constexpr std::size_t kSectors = 32;
  static constexpr std::size_t kBytes = kSector * kSectors;

  enum class Stop : std::uint8_t { kNone, kError, kEnd };
  /// How many bytes were moved and what stopped it.
  struct Transfer {
    std::size_t bytes = 0;
    Stop stop = Stop::kNone;
  };

  ModelDisk();

  DiskFaults faults;
  /// What discarded sectors read as: not what was there, visibly. Storage that punches a hole for a
  /// discard is to be compared with zeroes.
  std::byte discarded{0xdd};

  // REQUIRES: offset + length ≤ kBytes.

  Transfer read(std::uint64_t offset, std::span<std::byte> out) const;
  Transfer write(std::uint64_t offset, std::span<const std::byte> in);
  // True when it was done; a failure changes nothing.
  [[nodiscard]] bool flush();
  [[nodiscard]] bool discard(std::uint64_t offset, std::uint64_t length);
  [[nodiscard]] bool write_zeroes(std::uint64_t offset, std::uint64_t length, bool unmap);
  [[nodiscard]] bool secure_erase(std::uint64_t offset, std::uint64_t length);

  /// How often flush() was called since reset().
  [[nodiscard]] std::uint64_t flushes() const { return flushes_; }
  /// Every byte different from its neighbours, no faults; `discarded` stays. Costs only what was
  /// changed.
  void reset();
  /// The first sector whose bytes or whose way of being stored differ, among those that either disk
  /// changed since reset().
  [[nodiscard]] std::optional<std::size_t> first_difference(const ModelDisk& other) const;

 private:
  // How a sector is stored: what discard, unmapping and erasing leave behind.
  enum class Stored : std::uint8_t { kWritten, kDiscarded, kUnmapped, kErased };

  void touch(std::uint64_t offset, std::uint64_t length, Stored how);
  bool set(std::uint64_t offset, std::uint64_t length, std::byte value, Stored how);
  [[nodiscard]] Transfer reach(std::uint64_t offset, std::size_t length, std::uint64_t error) const;

  std::vector<std::byte> bytes_;
  std::array<Stored, kSectors> stored_{};
  std::array<bool, kSectors> touched_{};
  std::uint64_t flushes_ = 0;
};

}  // namespace guestproof::testing
