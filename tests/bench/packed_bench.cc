// A packed ring does the work of a split one; a VirtQueue that is split, what choosing the format
// at run time costs. Nothing of theirs to compare with: rust-vmm's crates have no packed ring.
#include <cstring>

#include "bench.h"
#include "guestproof/testing/packed_driver.h"
#include "guestproof/virtio/queue/virt_queue.h"

namespace guestproof::bench {
namespace {

using virtio::PackedDesc;
using virtio::PackedEvent;

constexpr std::size_t kRingBytes = sizeof(PackedDesc) * kQueueSize;
constexpr virtio::QueueFeatures kPackedFeatures{
    .event_index = true, .indirect = true, .packed = true};

/// A packed queue of 256, the guest's memory and its driver.
class PackedMachine {
 public:
  using Queue = virtio::VirtQueue<MappedMemory>;
  using Chain = virtio::Chain<Queue>;

  explicit PackedMachine(const ChainShape& shape) : shape_(shape) {
    GUESTPROOF_INVARIANT(queue.activate(memory_, layout_.config(), kPackedFeatures));
    for (const auto& buffer : shape.buffers)
      buffers_.push_back({kBuffers, buffer.length, buffer.writable});
    held.reserve(shape.chains);
  }

  /// Makes all chains available once more. REQUIRES: all were returned.
  void refill() {
    while (driver_.take_used()) {
    }
    for (std::uint16_t i = 0; i < shape_.chains; ++i)
      if (shape_.indirect)
        driver_.add_indirect_chain(GuestAddress(kTables.raw() + 16 * buffers_.size() * i),
                                   buffers_);
      else
        driver_.add_chain(buffers_);
    std::memcpy(filled_.data(), ring(), kRingBytes);
  }
  /// Does `work` on the ring as it was after refill(), and leaves the ring as it is.
  template <class Work>
  void on_filled_ring(Work&& work) {
    const std::vector<std::byte> now(ring(), ring() + kRingBytes);
    std::memcpy(ring(), filled_.data(), kRingBytes);
    work();
    std::memcpy(ring(), now.data(), kRingBytes);
  }

  Chain pop() { return std::move(**queue.pop()); }
  void pop_all() {
    for (std::uint16_t i = 0; i < shape_.chains; ++i) held.push_back(pop());
  }
  [[nodiscard]] std::byte* host(GuestAddress address) {
    return memory_.regions()[0].host() + address.raw();
  }
  [[nodiscard]] std::byte* ring() { return host(layout_.descriptor_table); }
  [[nodiscard]] const testing::QueueLayout& layout() const { return layout_; }
  /// Asks for an event far from here.
  void ask_for_event() {
    driver_.set_event(driver_.off_wrap(driver_.used_slots() + kQueueSize),
                      virtio::RING_EVENT_FLAGS_DESC);
  }

 private:
  ChainShape shape_;
  std::vector<testing::BufferSpec> buffers_;
  MappedMemory memory_ =
      MappedMemory::Builder().anonymous(GuestAddress(0), kMemoryBytes).build().value();
  testing::QueueLayout layout_ =
      testing::QueueLayout::at(kRings, kQueueSize, virtio::RingLayout::kPacked);
  testing::PackedDriver<MappedMemory> driver_{memory_, layout_};
  std::array<std::byte, kRingBytes> filled_{};

 public:
  Queue queue;
  std::vector<Chain> held;
};

/// The same touches of the same memory with no checks at all.
class BarePacked {
 public:
  explicit BarePacked(PackedMachine& machine)
      : base_(machine.host(GuestAddress(0))),
        ring_(machine.ring()),
        driver_(machine.host(machine.layout().available_ring)),
        device_(machine.host(machine.layout().used_ring)) {}

  /// Loads a chain's descriptors; how many they are in the ring.
  std::uint16_t take() {
    std::uint64_t bytes = 0;
    std::uint16_t slots = 0;
    for (bool more = true; more; ++slots) {
      const auto* place = ring_ + sizeof(PackedDesc) * (next_avail_++ % kQueueSize);
      benchmark::DoNotOptimize(volatile_access::load_acquire<std::uint16_t>(place + 14));
      const auto desc = volatile_access::load<PackedDesc>(place);
      more = (desc.flags & virtio::VIRTQ_DESC_F_NEXT) != 0;
      if ((desc.flags & virtio::VIRTQ_DESC_F_INDIRECT) == 0) {
        bytes += desc.len;
        continue;
      }
      for (std::uint32_t at = 0; at < desc.len; at += sizeof(PackedDesc))
        bytes += volatile_access::load<PackedDesc>(base_ + desc.addr + at).len;
    }
    benchmark::DoNotOptimize(bytes);
    return slots;
  }
  void give_back(std::uint16_t slots, std::uint32_t written) {
    auto* place = ring_ + sizeof(PackedDesc) * (next_used_ % kQueueSize);
    volatile_access::store(place + 8, le32(written));
    volatile_access::store(place + 12, le16(0));
    volatile_access::store_release<std::uint16_t>(place + 14, 0);
    next_used_ += slots;
  }
  bool wants_interrupt() const {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return volatile_access::load<PackedEvent>(driver_).desc == next_used_ % kQueueSize;
  }
  bool enable_kicks() const {
    volatile_access::store(device_, PackedEvent{0, virtio::RING_EVENT_FLAGS_DESC});
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return volatile_access::load_acquire<std::uint16_t>(ring_ + 14) == 0;
  }

 private:
  std::byte* base_;
  std::byte* ring_;
  std::byte* driver_;
  std::byte* device_;
  std::uint64_t next_avail_ = 0;
  std::uint64_t next_used_ = 0;
};

ChainShape chains_of(std::int64_t descriptors, bool indirect) {
  return {.chains = static_cast<std::uint16_t>(kQueueSize / descriptors),
          .buffers = std::vector<BufferShape>(static_cast<std::size_t>(descriptors)),
          .indirect = indirect};
}

/// A chain taken, walked and returned.
void packed_chain(benchmark::State& state, bool indirect) {
  const auto shape = chains_of(state.range(0), indirect);
  PackedMachine machine(shape);
  BarePacked bare(machine);
  Comparison compare(state, shape.chains, std::nullopt);
  for (auto _ : state) {
    machine.refill();
    compare.ours([&] {
      for (int i = 0; i < shape.chains; ++i) benchmark::DoNotOptimize(machine.pop().complete(0));
    });
    machine.on_filled_ring([&] {
      compare.bare([&] {
        for (int i = 0; i < shape.chains; ++i) bare.give_back(bare.take(), 0);
      });
    });
  }
}
void packed_direct(benchmark::State& state) { packed_chain(state, false); }
void packed_indirect(benchmark::State& state) { packed_chain(state, true); }

/// Chains taken and walked; returning them is not measured.
void packed_pop(benchmark::State& state, std::int64_t descriptors) {
  const auto shape = chains_of(descriptors, false);
  PackedMachine machine(shape);
  BarePacked bare(machine);
  Comparison compare(state, static_cast<double>(shape.chains * descriptors), std::nullopt);
  for (auto _ : state) {
    machine.refill();
    compare.ours([&] { machine.pop_all(); });
    compare.bare([&] {
      for (int i = 0; i < shape.chains; ++i) benchmark::DoNotOptimize(bare.take());
    });
    machine.held.clear();
  }
}
void packed_pop_256_chains(benchmark::State& state) { packed_pop(state, 1); }
void packed_128_each(benchmark::State& state) { packed_pop(state, 128); }

void packed_return(benchmark::State& state, bool ask) {
  PackedMachine machine(ChainShape{});
  BarePacked bare(machine);
  Comparison compare(state, kQueueSize, std::nullopt);
  for (auto _ : state) {
    machine.refill();
    machine.ask_for_event();
    machine.pop_all();
    compare.ours([&] {
      for (auto& held : machine.held) {
        benchmark::DoNotOptimize(held.complete(0));
        if (ask) benchmark::DoNotOptimize(machine.queue.needs_notification());
      }
    });
    machine.held.clear();
    machine.on_filled_ring([&] {
      compare.bare([&] {
        for (int i = 0; i < kQueueSize; ++i) {
          bare.give_back(1, 0);
          if (ask) benchmark::DoNotOptimize(bare.wants_interrupt());
        }
      });
    });
  }
}
void packed_add_used(benchmark::State& state) { packed_return(state, false); }
void packed_add_used_notify(benchmark::State& state) { packed_return(state, true); }

void packed_kicks(benchmark::State& state) {
  PackedMachine machine(ChainShape{});
  BarePacked bare(machine);
  constexpr int kRounds = 256;
  Comparison compare(state, kRounds, std::nullopt);
  for (auto _ : state) {
    compare.ours([&] {
      for (int i = 0; i < kRounds; ++i) {
        machine.queue.disable_kicks();
        benchmark::DoNotOptimize(machine.queue.enable_kicks());
      }
    });
    compare.bare([&] {
      for (int i = 0; i < kRounds; ++i) benchmark::DoNotOptimize(bare.enable_kicks());
    });
  }
}

/// Take a chain of three descriptors, look at its buffers, return it, decide about the interrupt.
void packed_device_loop(benchmark::State& state) {
  const ChainShape shape{.chains = 64, .buffers = {{64}, {64}, {64, true}}};
  PackedMachine machine(shape);
  BarePacked bare(machine);
  Comparison compare(state, shape.chains, std::nullopt);
  for (auto _ : state) {
    machine.refill();
    compare.ours([&] {
      for (;;) {
        auto popped = machine.queue.pop();
        if (!popped || !*popped) break;
        auto& taken = **popped;
        for (const auto& buffer : taken.readable()) benchmark::DoNotOptimize(buffer);
        for (const auto& buffer : taken.writable()) benchmark::DoNotOptimize(buffer);
        benchmark::DoNotOptimize(taken.complete(1));
        benchmark::DoNotOptimize(machine.queue.needs_notification());
      }
    });
    machine.on_filled_ring([&] {
      compare.bare([&] {
        for (int i = 0; i < shape.chains; ++i) {
          bare.give_back(bare.take(), 1);
          benchmark::DoNotOptimize(bare.wants_interrupt());
        }
      });
    });
  }
}

GUESTPROOF_BENCHMARK(packed_direct)->RangeMultiplier(2)->Range(1, 16);
GUESTPROOF_BENCHMARK(packed_indirect)->RangeMultiplier(2)->Range(1, 16);
GUESTPROOF_BENCHMARK(packed_pop_256_chains);
GUESTPROOF_BENCHMARK(packed_128_each);
GUESTPROOF_BENCHMARK(packed_add_used);
GUESTPROOF_BENCHMARK(packed_add_used_notify);
GUESTPROOF_BENCHMARK(packed_kicks);
GUESTPROOF_BENCHMARK(packed_device_loop);

}  // namespace
}  // namespace guestproof::bench
