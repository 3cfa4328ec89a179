#include "bench.h"

#include <algorithm>
#include <cstdio>

namespace guestproof::bench {
namespace {

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

MappedMemory make_memory() {
  auto memory = MappedMemory::Builder().anonymous(GuestAddress(0), kMemoryBytes).build();
  GUESTPROOF_INVARIANT(memory);
  return std::move(*memory);
}

/// One line per benchmark: the medians and the ratios. Google Benchmark's own columns would be per
/// batch; --benchmark_out=FILE has everything as JSON.
class Table final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override {
#ifndef NDEBUG
    std::puts("Not a release build: checks are on and these figures mean nothing.");
#endif
    std::puts(
        "Nanoseconds per operation, medians. 'loop' touches the same memory without a check;");
    std::puts("'Rust' was measured for rust-vmm's crates on another machine of the same kind.");
    std::printf("%-*s %9s %9s %9s %9s %9s\n", kNameWidth, "", "ours", "loop", "ours/loop", "Rust",
                "ours/Rust");
    return true;
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const auto& run : runs) {
      const auto& name = run.run_name;
      const auto full =
          name.args.empty() ? name.function_name : name.function_name + "/" + name.args;
      std::printf("%-*s", kNameWidth, full.c_str());
      for (const auto* counter : {"ns", "bare_ns", "to_bare", "rust_ns", "to_rust"})
        print(run, counter);
      print_instructions(run);
      std::printf("  %s\n", run.report_label.c_str());
    }
    std::fflush(stdout);
  }

 private:
  static void print(const Run& run, const char* counter) {
    const auto found = run.counters.find(counter);
    if (found == run.counters.end())
      std::printf(" %9s", "-");
    else
      std::printf(" %9.2f", static_cast<double>(found->second));
  }

  static void print_instructions(const Run& run) {
    const auto found = run.counters.find("instructions");
    if (found != run.counters.end())
      std::printf("  %.0f instructions", static_cast<double>(found->second));
  }

  static constexpr int kNameWidth = 26;
};

}  // namespace

Comparison::~Comparison() {
  if (ours_.empty()) return;
  const auto ns = median(ours_);
  state_.counters["ns"] = ns;
  if (rust_ns_) {
    state_.counters["rust_ns"] = *rust_ns_;
    state_.counters["to_rust"] = ns / *rust_ns_;
  }
  if (bare_.empty()) return;
  const auto bare_ns = median(bare_);
  state_.counters["bare_ns"] = bare_ns;
  state_.counters["to_bare"] = ns / bare_ns;
}

double Comparison::clock_ns() {
  static const double cost = [] {
    std::vector<double> costs;
    for (int i = 0; i < 1001; ++i) {
      const auto start = Clock::now();
      costs.push_back(std::chrono::duration<double, std::nano>(Clock::now() - start).count());
    }
    return median(costs);
  }();
  return cost;
}

Guest::Guest(const ChainShape& shape)
    : shape_(shape),
      memory_(make_memory()),
      driver_(memory_, testing::QueueLayout::at(kRings, kQueueSize)) {
  auto next = kBuffers.raw();
  auto table = kTables.raw();
  std::vector<std::uint16_t> heads;
  for (std::uint16_t chain = 0; chain < shape.chains; ++chain) {
    std::vector<testing::BufferSpec> buffers;
    for (const auto& buffer : shape.buffers) {
      buffers.push_back({GuestAddress(next), buffer.length, buffer.writable});
      next += (buffer.length + 63) / 64 * 64;
    }
    fronts_.push_back(buffers.front().address);
    heads.push_back(shape.indirect ? driver_.add_indirect_chain(GuestAddress(table), buffers)
                                   : driver_.add_chain(buffers));
    table += 16 * buffers.size();
  }
  for (std::uint16_t slot = 0; slot < kQueueSize; ++slot)
    driver_.set_available_entry(slot, heads[slot % heads.size()]);
  driver_.set_available_index(0);
}

BareQueue::BareQueue(const Guest& guest)
    : base_(guest.host(GuestAddress(0))),
      table_(guest.host(guest.layout().descriptor_table)),
      available_(guest.host(guest.layout().available_ring)),
      used_(guest.host(guest.layout().used_ring)) {}

}  // namespace guestproof::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  guestproof::bench::Table table;
  // A filter that matches nothing has said so by itself.
  return benchmark::RunSpecifiedBenchmarks(&table) == 0 ? 1 : 0;
}
