// A network device with a network in memory, its life cycle, and a driver for each of its queues,
// on either format of ring.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "guestproof/testing/driver.h"
#include "guestproof/testing/memory_network.h"
#include "guestproof/testing/packed_driver.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/device/lifecycle.h"
#include "guestproof/virtio/device/net/virtio_net.h"
#include "print.h"

namespace guestproof::virtio::net {

using testing::BufferSpec;
using testing::MemoryNetwork;
using Memory = testing::WatchedMemory;
using Bytes = std::vector<std::byte>;

inline constexpr MacAddress kMac{0x02, 0, 0, 0, 0, 1};
inline constexpr MacAddress kOther{0x02, 0, 0, 0, 0, 2};
inline constexpr MacAddress kGroup{0x01, 0, 0x5e, 0, 0, 1};
inline constexpr MacAddress kEverybody{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

constexpr std::uint64_t bits(std::initializer_list<unsigned> features) {
  std::uint64_t all = 0;
  for (const auto feature : features) all |= feature_bit(feature);
  return all;
}

template <class T>
Bytes bytes_of(const T& object) {
  const auto bytes = std::as_bytes(std::span(&object, 1));
  return {bytes.begin(), bytes.end()};
}
inline Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}
inline Bytes front(const Bytes& bytes, std::size_t count) {
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count)};
}
inline Bytes after(const Bytes& bytes, std::size_t count) {
  return {bytes.begin() + static_cast<std::ptrdiff_t>(count), bytes.end()};
}

/// An IPv4 frame of so many bytes for this address; no two neighbours of its data are equal.
inline Bytes frame(std::size_t size, const MacAddress& to = kMac) {
  const std::array<std::uint8_t, 8> rest{0x02, 0, 0, 0, 0, 9, 0x08, 0x00};
  Bytes bytes(std::max(size, to.size() + rest.size()));
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 251);
  std::memcpy(bytes.data(), to.data(), to.size());
  std::memcpy(bytes.data() + to.size(), rest.data(), rest.size());
  bytes.resize(size);
  return bytes;
}
/// One of a VLAN.
inline Bytes tagged_frame(std::uint16_t tag, const MacAddress& to = kMac) {
  auto bytes = frame(60, to);
  bytes[12] = std::byte{0x81};
  bytes[13] = std::byte{0x00};
  bytes[14] = static_cast<std::byte>(tag >> 8);
  bytes[15] = static_cast<std::byte>(tag & 0xff);
  return bytes;
}

/// A driver of either format.
class AnyDriver {
 public:
  AnyDriver(const Memory::GuestView& guest, const testing::QueueLayout& layout, bool packed) {
    if (packed)
      packed_.emplace(guest, layout);
    else
      split_.emplace(guest, layout);
  }
  std::uint16_t add_chain(const std::vector<BufferSpec>& buffers) {
    return packed_ ? packed_->add_chain(buffers) : split_->add_chain(buffers);
  }
  std::optional<VirtqUsedElem> take_used() {
    return packed_ ? packed_->take_used() : split_->take_used();
  }

 private:
  std::optional<testing::Driver<Memory::GuestView>> split_;
  std::optional<testing::PackedDriver<Memory::GuestView>> packed_;
};

class NetHost final : public Host {
 public:
  void wake() override {}
  void refused(std::uint16_t queue, const Error& why) override {
    refusals.push_back(why);
    refusing_queues.push_back(queue);
  }
  std::vector<Error> refusals;
  std::vector<std::uint16_t> refusing_queues;
};

class NetInterrupts final : public Interrupts {
 public:
  void used_buffers(std::uint16_t queue) override { used.push_back(queue); }
  void configuration_changed() override { ++config; }
  std::vector<std::uint16_t> used;
  int config = 0;
};

class NetFixture : public ::testing::TestWithParam<RingLayout> {
 protected:
  static constexpr std::uint16_t kRx = 0, kTx = 1;
  static constexpr GuestAddress kRings{0x1000};
  static constexpr GuestAddress kOut{0x20000};  // what the driver sends
  static constexpr GuestAddress kIn{0x40ff0};   // its buffers; runs over the border of two regions
  static constexpr GuestAddress kAck{0x1f000};
  static constexpr GuestAddress kReadOnly{0x80000};
  static constexpr GuestAddress kNowhere{0x666000};
  static constexpr std::uint16_t kSize = 16;
  static constexpr std::array kRegions{Memory::RegionSpec{GuestAddress(0), 0x41000},
                                       Memory::RegionSpec{GuestAddress(0x41000), 0x3f000},
                                       Memory::RegionSpec{kReadOnly, 0x1000, true}};

  /// A device that offers, and a driver that takes, these features; all queues are enabled.
  void run(std::uint64_t features, std::uint16_t max_pairs = 1, std::uint64_t ring_features = 0) {
    make(features, max_pairs);
    negotiate(features | ring_features);
  }
  void make(std::uint64_t offered, std::uint16_t max_pairs = 1) {
    lifecycle.reset();
    network.emplace(max_pairs);
    make_on(*network, offered, max_pairs);
  }
  void make_on(NetBackend& backend, std::uint64_t offered, std::uint16_t max_pairs = 1) {
    config.features = offered;
    config.max_pairs = max_pairs;
    lifecycle.reset();
    device = std::make_unique<VirtioNet<Memory>>(config, backend);
    lifecycle = std::make_unique<DeviceLifecycle<Memory>>(*device, memory, host);
    lifecycle->connect(&interrupts);
  }
  void negotiate(std::uint64_t features) {
    const bool packed = GetParam() == RingLayout::kPacked;
    const auto wanted = features | feature_bit(VIRTIO_F_VERSION_1) |
                        (packed ? feature_bit(VIRTIO_F_RING_PACKED) : 0);
    ASSERT_TRUE(lifecycle->set_status(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER));
    ASSERT_TRUE(lifecycle->set_driver_features(0, static_cast<std::uint32_t>(wanted)));
    ASSERT_TRUE(lifecycle->set_driver_features(1, static_cast<std::uint32_t>(wanted >> 32)));
    ASSERT_TRUE(lifecycle->set_status(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                                      VIRTIO_STATUS_FEATURES_OK));
    drivers.clear();
    for (std::uint16_t i = 0; i < lifecycle->queue_count(); ++i) enable(i);
    ASSERT_TRUE(lifecycle->set_status(lifecycle->status() | VIRTIO_STATUS_DRIVER_OK));
  }
  void enable(std::uint16_t index) {
    const auto layout =
        testing::QueueLayout::at(GuestAddress(kRings.raw() + 0x400U * index), kSize, GetParam());
    ASSERT_TRUE(for_each_slice(guest, layout.descriptor_table, 0x400, Access::kWrite,
                               [](const auto& s) { s.fill(0, s.size(), std::byte{0}); }));
    ASSERT_TRUE(lifecycle->set_queue_size(index, kSize));
    ASSERT_TRUE(lifecycle->set_descriptor_area(index, layout.descriptor_table));
    ASSERT_TRUE(lifecycle->set_driver_area(index, layout.available_ring));
    ASSERT_TRUE(lifecycle->set_device_area(index, layout.used_ring));
    ASSERT_TRUE(lifecycle->enable_queue(index));
    drivers.emplace_back(guest, layout, GetParam() == RingLayout::kPacked);
  }

  void write(GuestAddress where, const Bytes& bytes) {
    ASSERT_TRUE(write_bytes(guest, where, bytes));
  }
  [[nodiscard]] Bytes read(GuestAddress where, std::size_t count) {
    Bytes bytes(count);
    EXPECT_TRUE(read_bytes(guest, where, bytes));
    return bytes;
  }
  [[nodiscard]] static GuestAddress plus(GuestAddress address, std::uint64_t count) {
    return GuestAddress(address.raw() + count);
  }
  /// One after the other from `base` on.
  static std::vector<BufferSpec> cut(GuestAddress base,
                                     std::initializer_list<std::uint32_t> lengths, bool writable) {
    std::vector<BufferSpec> buffers;
    for (const auto length : lengths) {
      buffers.push_back({base, length, writable});
      base = plus(base, length);
    }
    return buffers;
  }

  bool kick(std::uint16_t queue) {
    EXPECT_TRUE(lifecycle->kick(queue));
    return lifecycle->work().value();
  }
  /// The used length of the next chain that came back.
  std::optional<std::uint32_t> used(std::uint16_t queue) {
    const auto element = drivers[queue].take_used();
    return element ? std::optional<std::uint32_t>(element->len) : std::nullopt;
  }

  /// Makes a frame to send available.
  void add_tx(const Bytes& bytes, std::uint16_t queue = kTx) {
    write(kOut, bytes);
    drivers[queue].add_chain({{kOut, static_cast<std::uint32_t>(bytes.size()), false}});
  }
  /// Makes a receive buffer available.
  void add_rx(std::uint32_t length, GuestAddress where = kIn, std::uint16_t queue = kRx) {
    drivers[queue].add_chain({{where, length, true}});
  }
  void arrive(const Bytes& what, VirtioNetHdr header = {}, std::uint16_t pair = 0) {
    network->arrive(pair, joined({bytes_of(header), what}));
  }
  bool host_ready() { return lifecycle->host_ready().value(); }

  /// Sends a command; its ack, or nothing when it came back without one.
  std::optional<std::uint8_t> command(std::uint8_t command_class, std::uint8_t command,
                                      const Bytes& data) {
    const auto bytes = joined({bytes_of(VirtioNetCtrl{command_class, command}), data});
    write(kOut, bytes);
    write(kAck, {std::byte{0xee}});
    const auto queue = control();
    drivers[queue].add_chain(
        {{kOut, static_cast<std::uint32_t>(bytes.size()), false}, {kAck, 1, true}});
    EXPECT_FALSE(kick(queue));
    if (used(queue) != 1U) return std::nullopt;
    return std::to_integer<std::uint8_t>(read(kAck, 1)[0]);
  }
  /// Of a driver that negotiated MQ if there are several pairs.
  [[nodiscard]] std::uint16_t control() const {
    return static_cast<std::uint16_t>(2 * config.max_pairs);
  }
  [[nodiscard]] VirtioNetConfig fields() const {
    VirtioNetConfig out;
    EXPECT_TRUE(lifecycle->read_config(0, std::as_writable_bytes(std::span(&out, 1))));
    return out;
  }

  Memory memory{kRegions};
  Memory::GuestView guest = memory.guest();
  Config config{.mac = kMac};
  NetHost host;
  NetInterrupts interrupts;
  std::optional<MemoryNetwork> network;
  std::unique_ptr<VirtioNet<Memory>> device;
  std::unique_ptr<DeviceLifecycle<Memory>> lifecycle;
  std::vector<AnyDriver> drivers;
};

inline std::string name_of_ring(const ::testing::TestParamInfo<RingLayout>& format) {
  return format.param == RingLayout::kPacked ? "Packed" : "Split";
}
#define GUESTPROOF_ON_BOTH_RINGS(Suite)                                                           \
  INSTANTIATE_TEST_SUITE_P(On, Suite, ::testing::Values(RingLayout::kSplit, RingLayout::kPacked), \
                           name_of_ring)

}  // namespace guestproof::virtio::net
