// Frames survive any cut into buffers, both ways; what is not a frame for the other side does not
// reach it.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/testing/driver.h"
#include "guestproof/testing/memory_network.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/device/lifecycle.h"
#include "guestproof/virtio/device/net/virtio_net.h"

namespace guestproof::virtio::net {
namespace {

using testing::BufferSpec;
using testing::MemoryNetwork;
using testing::QueueLayout;
using Memory = testing::WatchedMemory;
using Bytes = std::vector<std::byte>;

constexpr std::uint16_t kQueueLength = 64;
constexpr std::uint64_t kBuffers = 0x4000;
constexpr Memory::RegionSpec kRegions[] = {{GuestAddress(0), 0x8000},
                                           {GuestAddress(0x8000), 0x18000}};

class Host final : public virtio::Host {
 public:
  void wake() override {}
  void refused(std::uint16_t, const Error& why) override { refusals.push_back(why); }
  std::vector<Error> refusals;
};

/// A device that a driver has brought up with these features and its first two queues.
struct Machine {
  explicit Machine(std::uint64_t features) : device({.features = features}, network) {
    const auto wanted = features | feature_bit(VIRTIO_F_VERSION_1);
    RC_ASSERT(lifecycle.set_status(3).has_value());
    RC_ASSERT(lifecycle.set_driver_features(0, static_cast<std::uint32_t>(wanted)).has_value());
    RC_ASSERT(
        lifecycle.set_driver_features(1, static_cast<std::uint32_t>(wanted >> 32)).has_value());
    RC_ASSERT(lifecycle.set_status(11).has_value());
    for (std::uint16_t i = 0; i < 2; ++i) {
      const auto& layout = drivers[i].layout();
      RC_ASSERT(lifecycle.set_queue_size(i, layout.size).has_value());
      RC_ASSERT(lifecycle.set_descriptor_area(i, layout.descriptor_table).has_value());
      RC_ASSERT(lifecycle.set_driver_area(i, layout.available_ring).has_value());
      RC_ASSERT(lifecycle.set_device_area(i, layout.used_ring).has_value());
      RC_ASSERT(lifecycle.enable_queue(i).has_value());
    }
    RC_ASSERT(lifecycle.set_status(15).has_value());
  }
  void work() {
    while (lifecycle.host_ready().value() || lifecycle.work().value()) continue;
  }

  Memory memory{kRegions};
  Memory::GuestView guest = memory.guest();
  using Driver = testing::Driver<Memory::GuestView>;
  std::array<Driver, 2> drivers{Driver(guest, QueueLayout::at(GuestAddress(0x1000), kQueueLength)),
                                Driver(guest, QueueLayout::at(GuestAddress(0x2000), kQueueLength))};
  MemoryNetwork network;
  VirtioNet<Memory> device;
  Host host;
  DeviceLifecycle<Memory> lifecycle{device, memory, host};
};

Bytes arbitrary_bytes(std::size_t length) {
  const auto raw =
      *rc::gen::container<std::vector<std::uint8_t>>(length, rc::gen::arbitrary<std::uint8_t>());
  Bytes bytes(length);
  std::ranges::transform(raw, bytes.begin(), [](std::uint8_t b) { return std::byte{b}; });
  return bytes;
}
VirtioNetHdr arbitrary_header() {
  VirtioNetHdr header;
  std::memcpy(static_cast<void*>(&header), arbitrary_bytes(sizeof header).data(), sizeof header);
  // Most of the space is refused at once; half of the headers look like something.
  if (*rc::gen::arbitrary<bool>()) {
    header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header.gso_type = *rc::gen::element<std::uint8_t>(0, 1, 3, 4, 5, 0x81, 0x84);
    header.csum_start = *rc::gen::inRange<std::uint16_t>(0, 200);
    header.csum_offset = *rc::gen::inRange<std::uint16_t>(0, 20);
    header.hdr_len = *rc::gen::inRange<std::uint16_t>(0, 200);
  }
  return header;
}
Bytes bytes_of(const VirtioNetHdr& header) {
  const auto bytes = std::as_bytes(std::span(&header, 1));
  return {bytes.begin(), bytes.end()};
}
Bytes joined(Bytes front, const Bytes& back) {
  front.insert(front.end(), back.begin(), back.end());
  return front;
}

RC_GTEST_PROP(NetHeader, WhatPassedPassesAgainUnchanged, ()) {
  const auto features = *rc::gen::arbitrary<std::uint64_t>() & kNetFeatures;
  const auto length = *rc::gen::inRange<std::uint64_t>(0, 300);
  const auto once = checked_tx_header(arbitrary_header(), Offloads::host(features), {}, length);
  RC_CLASSIFY(!once);
  if (!once) return;
  const auto twice = checked_tx_header(*once, Offloads::host(features), {}, length);
  RC_ASSERT(twice.has_value());
  RC_ASSERT(bytes_of(*twice) == bytes_of(*once));
}

RC_GTEST_PROP(NetHeader, WhatPassesAsksForNothingThatWasNotNegotiated, ()) {
  const auto offloads = Offloads::guest(*rc::gen::arbitrary<std::uint64_t>() & kNetFeatures);
  const auto length = *rc::gen::inRange<std::uint64_t>(14, 300);
  const auto header = checked_rx_header(arbitrary_header(), offloads, {}, length);
  RC_CLASSIFY(!header);
  if (!header) return;
  RC_ASSERT(header->num_buffers == 1);
  if (!offloads.checksum) RC_ASSERT(header->flags == 0);
  if (offloads == Offloads{.checksum = offloads.checksum, .ecn = offloads.ecn})
    RC_ASSERT(header->gso_type == VIRTIO_NET_HDR_GSO_NONE);
  if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
    RC_ASSERT(header->csum_start + header->csum_offset + 2U <= length);
}

RC_GTEST_PROP(NetTx, AnyFrameInAnyCutIsSentWhole, ()) {
  Machine machine(0);
  const auto frame = arbitrary_bytes(*rc::gen::inRange<std::size_t>(14, 600));
  const auto all = joined(bytes_of({}), frame);
  RC_ASSERT(write_bytes(machine.guest, GuestAddress(0x7f80), all).has_value());
  std::vector<BufferSpec> buffers;
  std::uint64_t at = 0;
  while (at != all.size()) {
    const bool last = buffers.size() == kQueueLength - 1;
    const auto part = last ? all.size() : *rc::gen::inRange<std::uint64_t>(0, 200);
    const auto length = std::min<std::uint64_t>(part, all.size() - at);
    buffers.push_back({GuestAddress(0x7f80 + at), static_cast<std::uint32_t>(length), false});
    at += length;
  }
  machine.drivers[1].add_chain(buffers);
  RC_ASSERT(machine.lifecycle.kick(1).has_value());
  machine.work();
  RC_ASSERT(machine.network.sent().size() == 1U);
  RC_ASSERT(machine.network.sent()[0].bytes == all);
  RC_ASSERT(machine.drivers[1].take_used()->len == 0U);
}

/// The driver's view of what came back: joins num_buffers buffers into each frame.
std::vector<Bytes> received(Machine& machine, const std::vector<BufferSpec>& buffers) {
  std::vector<Bytes> frames;
  std::size_t next = 0;
  std::uint16_t left = 0;
  while (const auto used = machine.drivers[0].take_used()) {
    const auto& buffer = buffers[next++];
    Bytes bytes(used->len);
    RC_ASSERT(used->len <= buffer.length);
    RC_ASSERT(read_bytes(machine.guest, buffer.address, bytes).has_value());
    if (left == 0) {
      VirtioNetHdr header;
      RC_ASSERT(bytes.size() >= sizeof header);
      std::memcpy(static_cast<void*>(&header), bytes.data(), sizeof header);
      left = header.num_buffers;
      RC_ASSERT(left != 0);
      frames.emplace_back(bytes.begin() + sizeof header, bytes.end());
    } else {
      frames.back().insert(frames.back().end(), bytes.begin(), bytes.end());
    }
    if (--left != 0) RC_ASSERT(used->len == buffer.length);
  }
  RC_ASSERT(left == 0);
  return frames;
}

RC_GTEST_PROP(NetRx, FramesArriveWholeAndInOrderInAnyBuffers, ()) {
  Machine machine(feature_bit(VIRTIO_NET_F_MRG_RXBUF));
  std::vector<Bytes> frames;
  const auto count = *rc::gen::inRange(1, 4);
  for (int i = 0; i < count; ++i) {
    frames.push_back(arbitrary_bytes(*rc::gen::inRange<std::size_t>(14, 400)));
    machine.network.arrive(0, joined(bytes_of({}), frames.back()));
  }
  std::vector<BufferSpec> buffers;
  std::uint64_t at = kBuffers;
  // All frames fit; the device works at any moment in between.
  for (std::uint16_t i = 0; i < kQueueLength; ++i) {
    const auto length = *rc::gen::inRange<std::uint32_t>(40, 300);
    buffers.push_back({GuestAddress(at), length, true});
    at += length + i % 3;
    machine.drivers[0].add_chain({buffers.back()});
    if (*rc::gen::arbitrary<bool>()) {
      RC_ASSERT(machine.lifecycle.kick(0).has_value());
      machine.work();
    }
  }
  machine.work();
  RC_ASSERT(received(machine, buffers) == frames);
  RC_ASSERT(machine.host.refusals.empty());
}

}  // namespace
}  // namespace guestproof::virtio::net
