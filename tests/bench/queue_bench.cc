#include "bench.h"
#include "guestproof/virtio/queue/virt_queue.h"

// Figures in nanoseconds of rust-vmm's virtio-queue, measured one by one (2026-07).
namespace guestproof::bench {
namespace {

constexpr double kRustPopAndWalkOne = 46.4;
constexpr double kRustIterateAndWalk256 = 41.6;
constexpr double kRustSharedPopAndWalkOne = 50.7;
constexpr double kRustWalkOneDescriptor = 30.3;
constexpr double kRustAddUsed = 29.0;
constexpr double kRustAddUsedAndNotify = 35.8;
constexpr double kRustDisableAndEnable = 10.1;
constexpr double kRustDeviceLoop = 141;
constexpr double kRustValidity = 16.1;
constexpr double kRustRestore = 10.9;

ChainShape chains_of(std::int64_t descriptors, bool indirect) {
  return {.chains = static_cast<std::uint16_t>(kQueueSize / descriptors),
          .buffers = std::vector<BufferShape>(static_cast<std::size_t>(descriptors)),
          .indirect = indirect};
}

constexpr const char* kSumOfParts = "Rust: pop and walk + 30.3 per further load + add_used";

/// A chain taken, walked and returned; theirs was measured in parts.
void chain(benchmark::State& state, bool indirect) {
  const auto descriptors = state.range(0);
  Machine machine(chains_of(descriptors, indirect));
  BareQueue bare(machine.guest);
  const auto chains = machine.guest.shape().chains;
  const auto loads = static_cast<double>(descriptors - 1 + indirect);
  Comparison compare(state, chains,
                     kRustPopAndWalkOne + loads * kRustWalkOneDescriptor + kRustAddUsed);
  state.SetLabel(kSumOfParts);
  for (auto _ : state) {
    machine.guest.refill();
    compare.ours([&] {
      for (int i = 0; i < chains; ++i) benchmark::DoNotOptimize(machine.pop().complete(0));
    });
    compare.bare([&] {
      for (int i = 0; i < chains; ++i) {
        const auto head = bare.take();
        benchmark::DoNotOptimize(bare.walk(head));
        bare.give_back(head, 0);
      }
    });
  }
}
void chain_direct(benchmark::State& state) { chain(state, false); }
void chain_indirect(benchmark::State& state) { chain(state, true); }

/// Chains taken and walked; returning them is not measured. (Theirs can also take a head and look
/// at its descriptors later, for 6.0 ns; here no unchecked chain ever leaves the queue.)
template <class Queue>
void pop(benchmark::State& state, std::int64_t descriptors, double operations_per_chain,
         double rust_ns) {
  Machine<Queue> machine(chains_of(descriptors, false));
  BareQueue bare(machine.guest);
  const auto chains = machine.guest.shape().chains;
  Comparison compare(state, chains * operations_per_chain, rust_ns);
  for (auto _ : state) {
    machine.guest.refill();
    compare.ours([&] { machine.pop_all(); });
    machine.drop_all();
    compare.bare([&] {
      for (int i = 0; i < chains; ++i) benchmark::DoNotOptimize(bare.walk(bare.take()));
    });
  }
}
void pop_256_chains(benchmark::State& state) {
  pop<virtio::SplitQueue<MappedMemory>>(state, 1, 1, kRustIterateAndWalk256);
}
void pop_shared(benchmark::State& state) {
  pop<virtio::SharedQueue<MappedMemory>>(state, 1, 1, kRustSharedPopAndWalkOne);
}
void pop_either_format(benchmark::State& state) {
  pop<virtio::VirtQueue<MappedMemory>>(state, 1, 1, kRustIterateAndWalk256);
}
void pop_128_descriptors_each(benchmark::State& state) {
  pop<virtio::SplitQueue<MappedMemory>>(state, 128, 128, kRustWalkOneDescriptor);
}

/// One chain announced at a time, so that every pop reads the available index.
void pop_one(benchmark::State& state) {
  Machine machine({.chains = 1});
  BareQueue bare(machine.guest);
  constexpr int kRounds = 64;
  Comparison compare(state, kRounds, kRustPopAndWalkOne + kRustAddUsed);
  state.SetLabel(kSumOfParts);
  for (auto _ : state) {
    compare.ours([&] {
      for (int i = 0; i < kRounds; ++i) {
        machine.guest.refill();
        benchmark::DoNotOptimize(machine.pop().complete(0));
      }
    });
    compare.bare([&] {
      for (int i = 0; i < kRounds; ++i) {
        const auto head = bare.take();
        benchmark::DoNotOptimize(bare.walk(head));
        bare.give_back(head, 0);
      }
    });
  }
}

template <class Return, class BareReturn>
void give_back(benchmark::State& state, double rust_ns, Return&& ours, BareReturn&& bare_return) {
  Machine machine(ChainShape{});
  BareQueue bare(machine.guest);
  machine.guest.set_used_event(0);
  Comparison compare(state, kQueueSize, rust_ns);
  for (auto _ : state) {
    machine.guest.refill();
    machine.pop_all();
    compare.ours([&] {
      for (auto& held : machine.held) ours(machine, held);
    });
    machine.drop_all();
    compare.bare([&] {
      for (std::uint16_t head = 0; head < kQueueSize; ++head) bare_return(bare, head);
    });
  }
}
void add_used(benchmark::State& state) {
  give_back(
      state, kRustAddUsed, [](auto&, auto& held) { benchmark::DoNotOptimize(held.complete(0)); },
      [](BareQueue& bare, std::uint16_t head) { bare.give_back(head, 0); });
}
void add_used_and_notify(benchmark::State& state) {
  give_back(
      state, kRustAddUsedAndNotify,
      [](auto& machine, auto& held) {
        benchmark::DoNotOptimize(held.complete(0));
        benchmark::DoNotOptimize(machine.queue.needs_notification());
      },
      [](BareQueue& bare, std::uint16_t head) {
        bare.give_back(head, 0);
        benchmark::DoNotOptimize(bare.wants_interrupt());
      });
}

void disable_and_enable_kicks(benchmark::State& state) {
  Machine machine(ChainShape{});
  BareQueue bare(machine.guest);
  constexpr int kRounds = 256;
  Comparison compare(state, kRounds, kRustDisableAndEnable);
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
void device_loop(benchmark::State& state) {
  const ChainShape shape{.chains = 64, .buffers = {{64}, {64}, {64, true}}};
  Machine machine(shape);
  BareQueue bare(machine.guest);
  Comparison compare(state, shape.chains, kRustDeviceLoop);
  for (auto _ : state) {
    machine.guest.refill();
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
    compare.bare([&] {
      for (int i = 0; i < shape.chains; ++i) {
        const auto head = bare.take();
        benchmark::DoNotOptimize(bare.walk(head));
        bare.give_back(head, 1);
        benchmark::DoNotOptimize(bare.wants_interrupt());
      }
    });
  }
}

/// Whether a ready queue's areas lie in guest memory.
void translate_areas(benchmark::State& state) {
  const Guest guest(ChainShape{});
  const auto config = guest.config();
  constexpr int kRounds = 256;
  Comparison compare(state, kRounds, kRustValidity);
  for (auto _ : state)
    compare.ours([&] {
      for (int i = 0; i < kRounds; ++i)
        benchmark::DoNotOptimize(
            virtio::QueueAreas<MappedMemory>::translate(guest.memory(), config));
    });
}

/// Saved state checked by itself, which is what theirs does.
void check_state(benchmark::State& state) {
  Machine machine(ChainShape{});
  auto saved = machine.queue.save().value();
  constexpr int kRounds = 256;
  Comparison compare(state, kRounds, kRustRestore);
  for (auto _ : state)
    compare.ours([&] {
      for (int i = 0; i < kRounds; ++i) {
        benchmark::DoNotOptimize(saved);
        benchmark::DoNotOptimize(saved.check());
      }
    });
}

/// A whole restore: the state checked by itself and against guest memory, the queue active.
void restore(benchmark::State& state) {
  Machine machine(ChainShape{});
  const auto saved = machine.queue.save().value();
  constexpr int kRounds = 64;
  Comparison compare(state, kRounds, kRustRestore);
  for (auto _ : state)
    compare.ours([&] {
      for (int i = 0; i < kRounds; ++i)
        benchmark::DoNotOptimize(
            machine.queue.restore(machine.guest.memory(), saved, kQueueSize, kFeatures));
    });
}

GUESTPROOF_BENCHMARK(chain_direct)->RangeMultiplier(2)->Range(1, 16);
GUESTPROOF_BENCHMARK(chain_indirect)->RangeMultiplier(2)->Range(1, 16);
GUESTPROOF_BENCHMARK(pop_one);
GUESTPROOF_BENCHMARK(pop_256_chains);
GUESTPROOF_BENCHMARK(pop_shared);
GUESTPROOF_BENCHMARK(pop_either_format);
GUESTPROOF_BENCHMARK(pop_128_descriptors_each);
GUESTPROOF_BENCHMARK(add_used);
GUESTPROOF_BENCHMARK(add_used_and_notify);
GUESTPROOF_BENCHMARK(disable_and_enable_kicks);
GUESTPROOF_BENCHMARK(device_loop);
GUESTPROOF_BENCHMARK(translate_areas);
GUESTPROOF_BENCHMARK(check_state);
GUESTPROOF_BENCHMARK(restore);

}  // namespace
}  // namespace guestproof::bench
