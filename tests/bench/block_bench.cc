#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>

#include "bench.h"
#include "guestproof/virtio/device/block/engine.h"
#include "guestproof/virtio/device/block/file_backend.h"

// A read of 4 KiB in three descriptors: header, data, status.
namespace guestproof::bench {
namespace {

namespace block = virtio::block;

constexpr double kRustParse = 147;
constexpr double kRustExecute = 291;
constexpr double kRustParseAndExecute = 437;

constexpr std::uint32_t kData = 4096;
constexpr std::uint64_t kDiskBytes = 1 << 20;

const ChainShape kShape{.chains = 64, .buffers = {{16}, {kData, true}, {1, true}}};

block::VirtioBlkReq read_request() {
  block::VirtioBlkReq header;
  header.type = block::VIRTIO_BLK_T_IN;
  header.sector = 8;
  return header;
}

Fd make_file() {
  Fd file(::memfd_create("disk", MFD_CLOEXEC));
  const std::vector<std::byte> bytes(kDiskBytes, std::byte{0x5a});
  GUESTPROOF_INVARIANT(::pwrite(file.get(), bytes.data(), bytes.size(), 0) ==
                       static_cast<::ssize_t>(bytes.size()));
  return file;
}

struct Disk {
  Disk() { config.capacity = kDiskBytes / block::kSectorBytes; }

  Fd file = make_file();
  block::FileBackend backend = block::FileBackend::create(file.duplicate().value()).value();
  block::Config config;
};

/// What the bare loop finds of a request, with no checks.
struct BareRequest {
  block::VirtioBlkReq header;
  std::byte* data = nullptr;
  std::byte* status = nullptr;
};
BareRequest bare_request(const BareQueue& bare, std::uint16_t head) {
  BareRequest request;
  int position = 0;
  bare.walk(head, [&](std::byte* data, std::uint32_t) {
    if (position == 0) request.header = volatile_access::load<block::VirtioBlkReq>(data);
    (position == 1 ? request.data : request.status) = data;
    ++position;
  });
  return request;
}

/// Returning the chains is not measured.
void block_parse(benchmark::State& state) {
  Machine machine(kShape);
  machine.guest.put_in_front(read_request());
  const Disk disk;
  BareQueue bare(machine.guest);
  Comparison compare(state, kShape.chains, kRustParse);
  for (auto _ : state) {
    machine.guest.refill();
    compare.ours([&] {
      for (int i = 0; i < kShape.chains; ++i) {
        machine.held.push_back(machine.pop());
        benchmark::DoNotOptimize(block::parse(machine.held.back(), disk.config));
      }
    });
    machine.drop_all();
    compare.bare([&] {
      for (int i = 0; i < kShape.chains; ++i)
        benchmark::DoNotOptimize(bare_request(bare, bare.take()));
    });
  }
}

/// Parsed, executed and returned; theirs is without returning. Always into the same page, so that
/// the copy does not wait for memory.
void block_read_4k(benchmark::State& state) {
  Machine machine({.chains = 1, .buffers = kShape.buffers});
  machine.guest.put_in_front(read_request());
  Disk disk;
  block::ImmediateBackend immediate(disk.backend);
  auto engine =
      block::Engine<virtio::SplitQueue<MappedMemory>>::create(disk.config, immediate).value();
  BareQueue bare(machine.guest);
  constexpr int kRounds = 64;
  Comparison compare(state, kRounds, kRustParseAndExecute);
  for (auto _ : state) {
    compare.ours([&] {
      for (int i = 0; i < kRounds; ++i) {
        machine.guest.refill();
        engine.take(machine.pop(),
                    [](const block::Outcome& outcome) { benchmark::DoNotOptimize(outcome); });
      }
    });
    compare.bare([&] {
      for (int i = 0; i < kRounds; ++i) {
        const auto head = bare.take();
        const auto request = bare_request(bare, head);
        benchmark::DoNotOptimize(
            ::pread(disk.file.get(), request.data, kData,
                    static_cast<::off_t>(request.header.sector * block::kSectorBytes)));
        volatile_access::store(request.status, block::VIRTIO_BLK_S_OK);
        bare.give_back(head, kData + 1);
      }
    });
  }
}

/// The system call alone, beside the same call without a back end.
void block_backend_read_4k(benchmark::State& state) {
  Disk disk;
  std::vector<std::byte> bytes(kData);
  const std::array<::iovec, 1> into{{{bytes.data(), bytes.size()}}};
  constexpr int kRounds = 64;
  Comparison compare(state, kRounds, kRustExecute);
  for (auto _ : state) {
    compare.ours([&] {
      for (int i = 0; i < kRounds; ++i) benchmark::DoNotOptimize(disk.backend.read_at(into, kData));
    });
    compare.bare([&] {
      for (int i = 0; i < kRounds; ++i)
        benchmark::DoNotOptimize(::pread(disk.file.get(), bytes.data(), kData, kData));
    });
  }
}

GUESTPROOF_BENCHMARK(block_parse);
GUESTPROOF_BENCHMARK(block_read_4k);
GUESTPROOF_BENCHMARK(block_backend_read_4k);

}  // namespace
}  // namespace guestproof::bench
