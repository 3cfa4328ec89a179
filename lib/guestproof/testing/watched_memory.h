// Guest memory that watches the device: it counts how often the device fetches every byte, records
// where it writes, and changes a byte at the moment the device fetches it the n-th time (a *race*:
// what another processor of a hostile guest does between check and use).
//
// A region is one heap block of exactly its size, so that AddressSanitizer sees an access one byte
// past it. The guest's own accesses go through guest(), which neither counts nor records.
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/memory/guest_memory.h"

namespace guestproof::testing {

struct MemoryRange {
  GuestAddress address;
  std::uint64_t length = 0;
};

/// From the `nth` fetch on (the first is 1), the byte at `address` has this value.
struct Race {
  GuestAddress address;
  std::uint8_t nth = 2;
  std::byte value{};
};

class WatchedMemory {
 public:
  struct RegionSpec {
    GuestAddress base;
    std::size_t size = 0;
    bool read_only = false;
  };

  class Slice;
  class GuestView;

  /// REQUIRES: regions do not overlap, sizes are positive multiples of kBlock. A region may end
  /// where the address space does.
  explicit WatchedMemory(std::span<const RegionSpec> regions);

  [[nodiscard]] Result<Slice> find(GuestAddress address, std::uint64_t length, Access access) const;
  /// The guest's side: no counting, no recording, no races, no write protection.
  [[nodiscard]] GuestView guest() const;

  void add_race(const Race& race) const { state_->races.push_back({race, 0}); }

  /// How often the device fetched a byte since clear_log() (saturates at 255); 0 outside memory.
  [[nodiscard]] std::uint8_t fetch_count(GuestAddress address) const;
  /// What the device fetched and wrote since clear_log(), in order; neighbouring accesses are
  /// joined.
  [[nodiscard]] std::span<const MemoryRange> fetches() const { return state_->fetches; }
  [[nodiscard]] std::span<const MemoryRange> writes() const { return state_->writes; }
  void clear_log() const;

  /// After `limit` more accesses of the device `exceeded` is called, once; it may throw. Bounds a
  /// device that spins.
  void limit_steps(std::uint64_t limit, void (*exceeded)()) const;

  /// What the device did to memory since reset(): its accesses, and their bytes in units of 64.
  [[nodiscard]] std::uint64_t work() const { return state_->work; }

  /// The first byte that the device fetched more often here than in `other`. REQUIRES: the same
  /// regions.
  [[nodiscard]] std::optional<GuestAddress> first_excess_fetch(const WatchedMemory& other) const;

  /// All bytes 0, no races, an empty log. Costs only what was touched.
  void reset() const;

  /// The first byte whose value differs, among the blocks that either memory touched since reset().
  /// REQUIRES: the same regions.
  [[nodiscard]] std::optional<GuestAddress> first_difference(const WatchedMemory& other) const;

  [[nodiscard]] std::span<const RegionSpec> regions() const { return state_->specs; }

  static constexpr std::size_t kBlock = 256;

 private:
  struct Region {
    std::uint64_t base = 0;
    std::size_t size = 0;
    bool read_only = false;
    std::unique_ptr<std::byte[]> bytes;
    std::vector<std::uint8_t> counts;
    std::vector<std::uint64_t> touched;  // one bit per block
  };
  struct ArmedRace {
    Race race;
    std::uint8_t seen = 0;
  };
  struct State {
    std::vector<RegionSpec> specs;
    std::vector<Region> regions;
    std::vector<ArmedRace> races;
    std::vector<MemoryRange> fetches;
    std::vector<MemoryRange> writes;
    std::uint64_t steps_left = UINT64_MAX;
    std::uint64_t work = 0;
    void (*exceeded)() = nullptr;
  };

  [[nodiscard]] Region* region_of(GuestAddress address) const;
  static void touch(Region& region, std::size_t offset, std::size_t length);
  void count_step(std::size_t length) const;
  void on_fetch(Region& region, std::size_t offset, std::size_t length) const;
  void on_write(Region& region, std::size_t offset, std::size_t length) const;

  // Slices and views point here, so a WatchedMemory can be handed about as a constant, as
  // MappedMemory is.
  std::unique_ptr<State> state_;
};

/// The device's slices (watched) and the guest's (not).
class WatchedMemory::Slice {
 public:
  Slice() = default;

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] Slice subslice(std::size_t offset, std::size_t length) const {
    GUESTPROOF_INVARIANT(range_within(offset, length, size_));
    return {memory_, region_, offset_ + offset, length, watched_};
  }

  template <class T>
  [[nodiscard]] T load(std::size_t offset) const {
    T value{};
    read(offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <class T>
  [[nodiscard]] T load_acquire(std::size_t offset) const {
    return load<T>(offset);
  }
  template <class T>
  void store(std::size_t offset, const T& value) const {
    write(offset, std::as_bytes(std::span(&value, 1)));
  }
  template <class T>
  void store_release(std::size_t offset, T value) const {
    store(offset, value);
  }
  void read(std::size_t offset, std::span<std::byte> out) const {
    if (!out.empty()) std::memcpy(out.data(), fetched(offset, out.size()), out.size());
  }
  void write(std::size_t offset, std::span<const std::byte> in) const {
    if (!in.empty()) std::memcpy(written(offset, in.size()), in.data(), in.size());
  }
  void fill(std::size_t offset, std::size_t length, std::byte value) const {
    if (length != 0) std::memset(written(offset, length), std::to_integer<int>(value), length);
  }
  [[nodiscard]] ::iovec io_source() const { return {fetched(0, size_), size_}; }
  /// Counts as written at once: the system call may write all of it.
  [[nodiscard]] ::iovec io_target() const { return {written(0, size_), size_}; }
  void written_by_io() const {}

 private:
  friend class WatchedMemory;
  Slice(const WatchedMemory* memory, Region* region, std::size_t offset, std::size_t size,
        bool watched)
      : memory_(memory), region_(region), offset_(offset), size_(size), watched_(watched) {}

  [[nodiscard]] std::byte* fetched(std::size_t offset, std::size_t length) const;
  [[nodiscard]] std::byte* written(std::size_t offset, std::size_t length) const;

  const WatchedMemory* memory_ = nullptr;
  Region* region_ = nullptr;
  std::size_t offset_ = 0;
  std::size_t size_ = 0;
  bool watched_ = true;
};

class WatchedMemory::GuestView {
 public:
  using Slice = WatchedMemory::Slice;
  [[nodiscard]] Result<Slice> find(GuestAddress address, std::uint64_t length, Access access) const;

 private:
  friend class WatchedMemory;
  explicit GuestView(const WatchedMemory& memory) : memory_(&memory) {}
  const WatchedMemory* memory_;
};

static_assert(GuestMemory<WatchedMemory>);
static_assert(GuestMemory<WatchedMemory::GuestView>);

}  // namespace guestproof::testing
