#include "bench.h"
#include "guestproof/virtio/device/vsock/packet.h"

// A packet out of, or into, a chain of two descriptors: the chain taken, the packet parsed or its
// header written; returning the chain is not measured.
namespace guestproof::bench {
namespace {

using virtio::vsock::RxPacket;
using virtio::vsock::TxPacket;
using virtio::vsock::VsockHdr;

constexpr double kRustTx = 99.5;
constexpr double kRustRx = 82.9;

VsockHdr header(std::uint32_t port) {
  VsockHdr header;
  header.src_cid = 3;
  header.dst_cid = virtio::vsock::kHostCid;
  header.src_port = port;
  header.dst_port = 22;
  header.len = 64;
  header.type = virtio::vsock::VIRTIO_VSOCK_TYPE_STREAM;
  header.op = virtio::vsock::VIRTIO_VSOCK_OP_RW;
  header.flags = 0;
  header.buf_alloc = 0x40000;
  header.fwd_cnt = 100;
  return header;
}

void vsock_tx(benchmark::State& state) {
  Machine machine({.chains = 128, .buffers = {{sizeof(VsockHdr)}, {64}}});
  machine.guest.put_in_front(header(1024));
  BareQueue bare(machine.guest);
  const auto chains = machine.guest.shape().chains;
  Comparison compare(state, chains, kRustTx);
  for (auto _ : state) {
    machine.guest.refill();
    compare.ours([&] {
      for (int i = 0; i < chains; ++i) {
        machine.held.push_back(machine.pop());
        benchmark::DoNotOptimize(TxPacket<MappedMemory>::parse(machine.held.back()));
      }
    });
    machine.drop_all();
    compare.bare([&] {
      for (int i = 0; i < chains; ++i) {
        VsockHdr copy;
        std::byte* last = nullptr;
        bare.walk(bare.take(), [&](std::byte* data, std::uint32_t) {
          if (last == nullptr)
            volatile_access::copy_out(reinterpret_cast<std::byte*>(&copy), data, sizeof copy);
          last = data;
        });
        benchmark::DoNotOptimize(copy);
        benchmark::DoNotOptimize(last);
      }
    });
  }
}

void vsock_rx(benchmark::State& state) {
  Machine machine({.chains = 128, .buffers = {{sizeof(VsockHdr), true}, {64, true}}});
  BareQueue bare(machine.guest);
  const auto chains = machine.guest.shape().chains;
  std::uint32_t port = 0;
  Comparison compare(state, chains, kRustRx);
  for (auto _ : state) {
    machine.guest.refill();
    compare.ours([&] {
      for (int i = 0; i < chains; ++i) {
        machine.held.push_back(machine.pop());
        const auto packet = RxPacket<MappedMemory>::open(machine.held.back());
        benchmark::DoNotOptimize(packet->write(header(++port)));
      }
    });
    machine.drop_all();
    compare.bare([&] {
      for (int i = 0; i < chains; ++i) {
        std::byte* front = nullptr;
        bare.walk(bare.take(), [&](std::byte* data, std::uint32_t) {
          if (front == nullptr) front = data;
        });
        const auto filled = header(++port);
        volatile_access::copy_in(front, reinterpret_cast<const std::byte*>(&filled), sizeof filled);
      }
    });
  }
}

GUESTPROOF_BENCHMARK(vsock_tx);
GUESTPROOF_BENCHMARK(vsock_rx);

}  // namespace
}  // namespace guestproof::bench
