#include <array>
#include <cstring>

#include "bench.h"

// A chain of four descriptors taken, and its 256 bytes copied; returning it is not measured.
namespace guestproof::bench {
namespace {

constexpr double kRustReader = 315;
constexpr double kRustWriter = 321;

using Bytes = std::array<std::byte, 256>;

template <class Copy, class BareCopy>
void copy(benchmark::State& state, double rust_ns, bool writable, Copy&& ours,
          BareCopy&& bare_copy) {
  Machine machine({.chains = 64, .buffers = std::vector<BufferShape>(4, {64, writable})});
  BareQueue bare(machine.guest);
  const auto chains = machine.guest.shape().chains;
  Bytes bytes{};
  Comparison compare(state, chains, rust_ns);
  for (auto _ : state) {
    machine.guest.refill();
    compare.ours([&] {
      for (int i = 0; i < chains; ++i) {
        machine.held.push_back(machine.pop());
        benchmark::DoNotOptimize(ours(machine.held.back(), bytes));
        benchmark::DoNotOptimize(bytes);
      }
    });
    machine.drop_all();
    compare.bare([&] {
      for (int i = 0; i < chains; ++i) {
        std::size_t position = 0;
        bare.walk(bare.take(), [&](std::byte* data, std::uint32_t length) {
          bare_copy(data, bytes.data() + position, length);
          position += length;
        });
        benchmark::DoNotOptimize(bytes);
      }
    });
  }
}

void reader(benchmark::State& state) {
  copy(
      state, kRustReader, false,
      [](auto& chain, Bytes& bytes) { return chain.reader().read(bytes); },
      [](std::byte* guest, std::byte* host, std::uint32_t length) {
        volatile_access::copy_out(host, guest, length);
      });
}
void writer(benchmark::State& state) {
  copy(
      state, kRustWriter, true,
      [](auto& chain, Bytes& bytes) { return chain.writer().write(bytes); },
      [](std::byte* guest, std::byte* host, std::uint32_t length) {
        volatile_access::copy_in(guest, host, length);
      });
}

GUESTPROOF_BENCHMARK(reader);
GUESTPROOF_BENCHMARK(writer);

}  // namespace
}  // namespace guestproof::bench
