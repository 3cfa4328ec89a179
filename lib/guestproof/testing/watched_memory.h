// A watch over MappedMemory, the memory of production: it counts how often the device fetches every
// byte, records where it writes, and changes a byte at the moment the device fetches it the n-th
// time (a *race*: what another processor of a hostile guest does between check and use). Then the
// mapped memory does the access; what it finds is compared with a naive search, and what it marks
// dirty can be compared with what was written.
//
// An access past a region faults, since MappedMemory guards it. The guest's own accesses go through
// guest(), which neither counts nor records, and marks no page dirty.
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "guestproof/memory/guest_memory.h"
#include "guestproof/memory/mapped_memory.h"

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

  /// REQUIRES: what MappedMemory::Builder asks of regions.
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
  /// The first of `parts` that lies in no range that a slice's io_source() (Access::kRead) or
  /// io_target() (kWrite) gave the device since clear_log(): not the guest's memory, not all of it,
  /// or meant for the other direction.
  [[nodiscard]] std::optional<std::size_t> first_not_given(std::span<const ::iovec> parts,
                                                           Access access) const;
  /// The host writes to these ranges of guest memory now, which it was given before: a system call
  /// that went on for longer. REQUIRES: they lie in guest memory.
  void written_by_host(std::span<const ::iovec> parts) const;
  /// Forgets all of that, and the dirty pages.
  void clear_log() const;

  /// The first page of `written` that is not marked dirty: a migration would lose it.
  [[nodiscard]] std::optional<GuestAddress> first_unmarked(
      std::span<const MemoryRange> written) const;
  /// The first page that is marked dirty and that no write of writes() touches.
  [[nodiscard]] std::optional<GuestAddress> first_marked_unwritten() const;

  /// After `limit` more accesses of the device `exceeded` is called, once; it may throw. Bounds a
  /// device that spins.
  void limit_steps(std::uint64_t limit, void (*exceeded)()) const;

  /// What the device did to memory since reset(): its accesses, and their bytes in units of 64.
  [[nodiscard]] std::uint64_t work() const { return state_->work; }

  /// The first byte that the device fetched more often here than in `other`. REQUIRES: the same
  /// regions.
  [[nodiscard]] std::optional<GuestAddress> first_excess_fetch(const WatchedMemory& other) const;

  /// All bytes 0, no races, an empty log, no limit of steps. Costs only what was touched.
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
    std::byte* host = nullptr;
    DirtyBitmap* dirty = nullptr;
    std::vector<std::uint8_t> counts;
    std::vector<std::uint64_t> touched;  // one bit per block
  };
  struct ArmedRace {
    Race race;
    std::uint8_t seen = 0;
  };
  struct State {
    explicit State(MappedMemory mapped) : memory(std::move(mapped)) {}

    MappedMemory memory;
    std::vector<RegionSpec> specs;
    std::vector<Region> regions;
    std::vector<ArmedRace> races;
    std::vector<MemoryRange> fetches;
    std::vector<MemoryRange> writes;
    std::vector<::iovec> sources;  // given to the device
    std::vector<::iovec> targets;
    std::uint64_t steps_left = UINT64_MAX;
    std::uint64_t work = 0;
    void (*exceeded)() = nullptr;
  };

  [[nodiscard]] static MappedMemory map(std::span<const RegionSpec> regions);
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

  [[nodiscard]] std::size_t size() const { return mapped_.size(); }
  [[nodiscard]] Slice subslice(std::size_t offset, std::size_t length) const {
    GUESTPROOF_INVARIANT(range_within(offset, length, size()));
    return {memory_, region_, offset_ + offset, mapped_.subslice(offset, length), watched_};
  }

  template <class T>
  [[nodiscard]] T load(std::size_t offset) const {
    fetch(offset, sizeof(T));
    return mapped_.load<T>(offset);
  }
  template <class T>
  [[nodiscard]] T load_acquire(std::size_t offset) const {
    fetch(offset, sizeof(T));
    return mapped_.load_acquire<T>(offset);
  }
  template <class T>
  void store(std::size_t offset, const T& value) const {
    change(offset, sizeof(T));
    mapped_.store(offset, value);
  }
  template <class T>
  void store_release(std::size_t offset, T value) const {
    change(offset, sizeof(T));
    mapped_.store_release(offset, value);
  }
  void read(std::size_t offset, std::span<std::byte> out) const {
    fetch(offset, out.size());
    mapped_.read(offset, out);
  }
  void write(std::size_t offset, std::span<const std::byte> in) const {
    change(offset, in.size());
    mapped_.write(offset, in);
  }
  void fill(std::size_t offset, std::size_t length, std::byte value) const {
    change(offset, length);
    mapped_.fill(offset, length, value);
  }
  [[nodiscard]] ::iovec io_source() const {
    fetch(0, size());
    return given(Access::kRead, mapped_.io_source());
  }
  /// Counts as written at once: the system call may write all of it.
  [[nodiscard]] ::iovec io_target() const {
    change(0, size());
    return given(Access::kWrite, mapped_.io_target());
  }
  void written_by_io() const { mapped_.written_by_io(); }

 private:
  friend class WatchedMemory;
  Slice(const WatchedMemory* memory, Region* region, std::size_t offset, const MappedSlice& mapped,
        bool watched)
      : memory_(memory), region_(region), offset_(offset), mapped_(mapped), watched_(watched) {}

  /// What there is to note before an access.
  void fetch(std::size_t offset, std::size_t length) const;
  void change(std::size_t offset, std::size_t length) const;
  [[nodiscard]] ::iovec given(Access access, const ::iovec& part) const;

  const WatchedMemory* memory_ = nullptr;
  Region* region_ = nullptr;
  std::size_t offset_ = 0;
  MappedSlice mapped_;
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
