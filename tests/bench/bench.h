// What all benchmarks share: a machine with one queue whose chains can be made available again for
// nothing, a bare loop that touches the same memory, and the comparison of both with a figure
// measured for rust-vmm's crates.
//
// A benchmark times batches: the library's work, then the bare loop's, turn about, so that noise
// hits both. Its columns are medians per operation: `ns` (ours), `bare_ns` (the loop), `rust_ns`
// (theirs, on another machine of the same kind), `to_rust` and `to_bare` (ours by theirs, by the
// loop's); a dash where no guest memory is touched. `instructions`, for whole devices, are those of
// user space for one operation. A benchmark never fails for being slow.
#pragma once

#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "guestproof/memory/mapped_memory.h"
#include "guestproof/testing/driver.h"
#include "guestproof/virtio/queue/shared_queue.h"
#include "guestproof/virtio/queue/split_queue.h"

namespace guestproof::bench {

inline constexpr std::uint16_t kQueueSize = 256;
inline constexpr GuestAddress kRings{0x1000};
inline constexpr GuestAddress kTables{0x10000};
inline constexpr GuestAddress kBuffers{0x20000};
inline constexpr std::uint64_t kMemoryBytes = 2 << 20;

/// Median nanoseconds per operation of both sides, reported when the benchmark ends.
class Comparison {
 public:
  Comparison(benchmark::State& state, double operations, std::optional<double> rust_ns)
      : state_(state), operations_(operations), rust_ns_(rust_ns) {}
  Comparison(const Comparison&) = delete;
  Comparison& operator=(const Comparison&) = delete;
  ~Comparison();

  template <class Work>
  void ours(Work&& work) {
    ours_.push_back(time(work));
    state_.SetIterationTime(ours_.back() * operations_ * 1e-9);
  }
  template <class Work>
  void bare(Work&& work) {
    bare_.push_back(time(work));
  }

 private:
  using Clock = std::chrono::steady_clock;

  template <class Work>
  double time(Work&& work) const {
    const auto start = Clock::now();
    work();
    const std::chrono::duration<double, std::nano> taken = Clock::now() - start;
    return (taken.count() - clock_ns()) / operations_;
  }
  /// What reading the clock twice costs.
  static double clock_ns();

  benchmark::State& state_;
  double operations_;
  std::optional<double> rust_ns_;
  std::vector<double> ours_;
  std::vector<double> bare_;
};

struct BufferShape {
  std::uint32_t length = 64;
  bool writable = false;
};

/// How the chains of a machine are made: all alike.
struct ChainShape {
  std::uint16_t chains = kQueueSize;
  std::vector<BufferShape> buffers{1};
  bool indirect = false;
};
inline constexpr virtio::QueueFeatures kFeatures{.event_index = true, .indirect = true};

/// The guest's memory and its side of the queue, and nothing that costs time while measuring.
class Guest {
 public:
  /// REQUIRES: the chains fit the queue; their number is a power of two.
  explicit Guest(const ChainShape& shape);

  [[nodiscard]] const MappedMemory& memory() const { return memory_; }
  [[nodiscard]] virtio::QueueConfig config() const { return driver_.layout().config(); }
  [[nodiscard]] const testing::QueueLayout& layout() const { return driver_.layout(); }
  [[nodiscard]] std::byte* host(GuestAddress address) const {
    return memory_.regions()[0].host() + address.raw();
  }
  /// Makes all chains available once more. REQUIRES: all were returned.
  void refill() {
    available_ = static_cast<std::uint16_t>(available_ + shape_.chains);
    volatile_access::store_release(host(layout().available_ring) + virtio::kAvailIdxOffset,
                                   available_);
  }
  /// Writes `object` at the start of every chain's first buffer.
  template <WireObject T>
  void put_in_front(const T& object) {
    for (const auto front : fronts_) GUESTPROOF_INVARIANT(write_object(memory_, front, object));
  }
  void set_used_event(std::uint16_t index) { driver_.set_used_event(index); }
  [[nodiscard]] const ChainShape& shape() const { return shape_; }

 private:
  ChainShape shape_;
  MappedMemory memory_;
  testing::Driver<MappedMemory> driver_;
  std::vector<GuestAddress> fronts_;
  std::uint16_t available_ = 0;
};

template <class Queue = virtio::SplitQueue<MappedMemory>>
struct Machine {
  using Chain = virtio::Chain<Queue>;

  explicit Machine(const ChainShape& shape) : guest(shape) {
    GUESTPROOF_INVARIANT(queue.activate(guest.memory(), guest.config(), kFeatures));
    held.reserve(shape.chains);
  }

  Chain pop() { return std::move(**queue.pop()); }
  /// Takes all chains and keeps them; giving them back is not to be measured.
  void pop_all() {
    for (std::uint16_t i = 0; i < guest.shape().chains; ++i) held.push_back(pop());
  }
  void drop_all() { held.clear(); }

  Guest guest;
  Queue queue;
  std::vector<Chain> held;
};

/// The same touches of the same memory with no checks at all.
class BareQueue {
 public:
  explicit BareQueue(const Guest& guest);

  /// Loads the index and the ring entry.
  std::uint16_t take() {
    benchmark::DoNotOptimize(
        volatile_access::load_acquire<std::uint16_t>(available_ + virtio::kAvailIdxOffset));
    return volatile_access::load<std::uint16_t>(available_ + virtio::kAvailRingOffset +
                                                2 * (next_available_++ % kQueueSize));
  }
  /// Calls `visit(address, length)` for the descriptors of a chain, each loaded once.
  template <class Visit>
  void walk(std::uint16_t head, Visit&& visit) const {
    auto* table = table_;
    std::uint16_t index = head;
    for (;;) {
      const auto desc = volatile_access::load<virtio::VirtqDesc>(table + 16 * std::size_t{index});
      if ((desc.flags & virtio::VIRTQ_DESC_F_INDIRECT) != 0) {
        table = base_ + desc.addr;
        index = 0;
        continue;
      }
      visit(base_ + desc.addr, std::uint32_t{desc.len});
      if ((desc.flags & virtio::VIRTQ_DESC_F_NEXT) == 0) return;
      index = desc.next;
    }
  }
  std::uint64_t walk(std::uint16_t head) const {
    std::uint64_t bytes = 0;
    walk(head, [&](std::byte* data, std::uint32_t length) {
      benchmark::DoNotOptimize(data);
      bytes += length;
    });
    return bytes;
  }
  void give_back(std::uint16_t head, std::uint32_t written) {
    volatile_access::store(used_ + virtio::kUsedRingOffset + 8 * (next_used_ % kQueueSize),
                           virtio::VirtqUsedElem{.id = std::uint32_t{head}, .len = written});
    volatile_access::store_release(used_ + virtio::kUsedIdxOffset, ++next_used_);
  }
  /// The fence and the load that a decision to notify needs.
  bool wants_interrupt() const {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return volatile_access::load<std::uint16_t>(available_ + virtio::kAvailRingOffset +
                                                2 * kQueueSize) == next_used_;
  }
  /// The store, the fence and the load of asking for kicks.
  bool enable_kicks() const {
    volatile_access::store(used_ + virtio::kUsedRingOffset + 8 * kQueueSize, next_available_);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return volatile_access::load_acquire<std::uint16_t>(available_ + virtio::kAvailIdxOffset) ==
           next_available_;
  }

 private:
  std::byte* base_;
  std::byte* table_;
  std::byte* available_;
  std::byte* used_;
  std::uint16_t next_available_ = 0;
  std::uint16_t next_used_ = 0;
};

}  // namespace guestproof::bench

#define GUESTPROOF_BENCHMARK(function) BENCHMARK(function)->UseManualTime()->MinTime(0.05)
