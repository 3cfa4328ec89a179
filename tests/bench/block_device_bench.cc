#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "guestproof/virtio/device/block/uring/uring_backend.h"
#include "guestproof/virtio/device/block/virtio_blk.h"
#include "guestproof/virtio/transport/mmio/registers.h"
#include "guestproof/virtio/transport/mmio/transport.h"
#include "instructions.h"

// Reads of 4 KiB from a file in memory, all the way: the driver writes QueueNotify, the device
// serves the queue, the driver has its data.
namespace guestproof::bench {
namespace {

namespace block = virtio::block;
namespace mmio = virtio::mmio;

constexpr std::uint32_t kData = 4096;
constexpr std::uint64_t kDiskBytes = 1 << 20;

ChainShape shape_of(int requests) {
  return {.chains = static_cast<std::uint16_t>(requests),
          .buffers = {{16}, {kData, true}, {1, true}}};
}

class QuietHost final : public virtio::Host {
 public:
  void wake() override {}
  void refused(std::uint16_t, const Error&) override { GUESTPROOF_INVARIANT(false); }
};

class CountingLine final : public InterruptLine {
 public:
  void set(bool asserted) override { interrupts += asserted ? 1 : 0; }
  std::uint64_t interrupts = 0;
};

block::FileBackend make_file() {
  Fd file(::memfd_create("disk", MFD_CLOEXEC));
  const std::vector<std::byte> bytes(kDiskBytes, std::byte{0x5a});
  GUESTPROOF_INVARIANT(::pwrite(file.get(), bytes.data(), bytes.size(), 0) ==
                       static_cast<::ssize_t>(bytes.size()));
  return block::FileBackend::create(std::move(file)).value();
}

enum Storage : std::int64_t { kPread, kUring };

block::FileStorage make_storage(Storage storage) {
  if (storage == kUring) return block::make_file_storage(make_file());
  return block::make_file_storage(make_file(), 0);  // no ring has no entries
}

/// A driver and a disk with a transport between them.
class MmioDisk {
 public:
  MmioDisk(int requests, Storage storage)
      : guest_(shape_of(requests)), storage_(make_storage(storage)) {
    block::VirtioBlkReq header;
    header.type = block::VIRTIO_BLK_T_IN;
    header.sector = 8;
    guest_.put_in_front(header);
    start();
  }

  [[nodiscard]] const block::FileStorage& storage() const { return storage_; }

  /// All requests once, with one kick.
  [[gnu::noinline]] void serve() {
    guest_.refill();
    write(mmio::kQueueNotifyOffset, 0);
    GUESTPROOF_INVARIANT(lifecycle_.work().has_value());
    while (lifecycle_.queue(0).in_flight() != 0) {
      ::pollfd poll{lifecycle_.host_fd(), POLLIN, 0};
      GUESTPROOF_INVARIANT(::poll(&poll, 1, -1) == 1);
      GUESTPROOF_INVARIANT(lifecycle_.host_ready().has_value());
    }
  }

 private:
  void write(std::uint32_t offset, std::uint32_t value) {
    const le32 bytes = value;
    GUESTPROOF_INVARIANT(transport_.write(offset, std::as_bytes(std::span(&bytes, 1))));
  }
  void write_address(std::uint32_t low, GuestAddress address) {
    write(low, static_cast<std::uint32_t>(address.raw()));
    write(low + 4, static_cast<std::uint32_t>(address.raw() >> 32));
  }
  void start() {
    using namespace virtio;
    const std::uint64_t features = feature_bit(VIRTIO_F_VERSION_1) |
                                   feature_bit(VIRTIO_F_EVENT_IDX) |
                                   feature_bit(VIRTIO_F_INDIRECT_DESC) | device_->features();
    write(mmio::kStatusOffset, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    for (const std::uint32_t word : {0U, 1U}) {
      write(mmio::kDriverFeaturesSelOffset, word);
      write(mmio::kDriverFeaturesOffset, static_cast<std::uint32_t>(features >> (32 * word)));
    }
    constexpr auto kAgreed =
        VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK;
    write(mmio::kStatusOffset, kAgreed);
    write(mmio::kQueueSizeOffset, kQueueSize);
    write_address(mmio::kQueueDescLowOffset, guest_.layout().descriptor_table);
    write_address(mmio::kQueueDriverLowOffset, guest_.layout().available_ring);
    write_address(mmio::kQueueDeviceLowOffset, guest_.layout().used_ring);
    write(mmio::kQueueReadyOffset, 1);
    write(mmio::kStatusOffset, kAgreed | VIRTIO_STATUS_DRIVER_OK);
  }

  using Device = block::VirtioBlk<MappedMemory>;
  Guest guest_;
  block::FileStorage storage_;
  QuietHost host_;
  CountingLine line_;
  std::unique_ptr<Device> device_ =
      Device::create(block::Offer::of(*storage_.backend, {}), *storage_.backend).value();
  virtio::DeviceLifecycle<MappedMemory> lifecycle_{*device_, guest_.memory(), host_};
  virtio::MmioTransport transport_{lifecycle_, line_};
};

/// Arguments: requests for each kick, and the storage. The loop is the system call alone.
void block_mmio_read_4k(benchmark::State& state) {
  const auto requests = static_cast<int>(state.range(0));
  const auto storage = static_cast<Storage>(state.range(1));
  MmioDisk disk(requests, storage);
  if (storage == kUring && disk.storage().without_uring)
    return state.SkipWithError(disk.storage().without_uring->message().c_str());
  auto file = make_file();
  std::vector<std::byte> bytes(kData);
  // A ring answers only the process that made it.
  const auto count = storage == kPread ? instructions([&] { disk.serve(); }) : std::nullopt;
  if (count) state.counters["instructions"] = static_cast<double>(*count) / requests;
  constexpr int kRounds = 16;
  Comparison compare(state, kRounds * requests, std::nullopt);
  for (auto _ : state) {
    compare.ours([&] {
      for (int i = 0; i < kRounds; ++i) disk.serve();
    });
    compare.bare([&] {
      for (int i = 0; i < kRounds * requests; ++i)
        benchmark::DoNotOptimize(::pread(file.fd(), bytes.data(), kData, kData));
    });
  }
}

GUESTPROOF_BENCHMARK(block_mmio_read_4k)
    ->Args({1, kPread})
    ->Args({32, kPread})
    ->Args({1, kUring})
    ->Args({32, kUring});

}  // namespace
}  // namespace guestproof::bench
