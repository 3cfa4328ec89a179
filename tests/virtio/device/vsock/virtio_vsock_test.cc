#include "guestproof/virtio/device/vsock/virtio_vsock.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "guestproof/testing/driver.h"
#include "guestproof/testing/harness/vsock_device_host.h"
#include "guestproof/testing/packed_driver.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/device/lifecycle.h"
#include "guestproof/virtio/device/vsock/unix_sockets.h"
#include "print.h"
#include "scratch.h"
#include "unix_socket.h"

namespace guestproof::virtio::vsock {
namespace {

using Memory = testing::WatchedMemory;
using Device = VirtioVsock<Memory>;

constexpr std::uint64_t kGuestCid = 42;
constexpr std::uint16_t kRx = 0, kTx = 1, kEvent = 2;
constexpr Limits kSmall{.connections = 4, .buffer = 1000, .replies = 3, .read = 200};

class NotingHost final : public virtio::Host {
 public:
  void wake() override {}
  void refused(std::uint16_t queue, const Error& why) override {
    queues.push_back(queue);
    refusals.push_back(why);
  }
  std::vector<std::uint16_t> queues;
  std::vector<Error> refusals;
};

struct Split {
  using Driver = testing::Driver<Memory::GuestView>;
  static constexpr RingLayout kLayout = RingLayout::kSplit;
  static constexpr std::uint64_t kFeatures = 0;
};
struct Packed {
  using Driver = testing::PackedDriver<Memory::GuestView>;
  static constexpr RingLayout kLayout = RingLayout::kPacked;
  static constexpr std::uint64_t kFeatures = feature_bit(VIRTIO_F_RING_PACKED);
};

struct Packet {
  VsockHdr header;
  std::string data;

  [[nodiscard]] Op op() const { return *op_of(header); }
};

/// A guest and its device. Buffers and packets lie in slots of 1 KiB, used one after the other.
template <class Ring>
class Guest {
 public:
  static constexpr std::array kRegions{Memory::RegionSpec{GuestAddress(0), 0x100000}};
  static constexpr std::uint16_t kSize = 16;
  static constexpr std::uint64_t kSlot = 1024;

  explicit Guest(HostSockets& sockets, const Limits& limits = kSmall)
      : device(kGuestCid, sockets, limits) {
    const auto features = Ring::kFeatures | feature_bit(VIRTIO_F_VERSION_1) | device.features();
    constexpr std::uint8_t kDriving = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
    EXPECT_TRUE(lifecycle.set_status(kDriving));
    EXPECT_TRUE(lifecycle.set_driver_features(0, static_cast<std::uint32_t>(features)));
    EXPECT_TRUE(lifecycle.set_driver_features(1, static_cast<std::uint32_t>(features >> 32)));
    EXPECT_TRUE(lifecycle.set_status(kDriving | VIRTIO_STATUS_FEATURES_OK));
    for (std::uint16_t queue : {kRx, kTx, kEvent}) {
      const auto& layout = drivers[queue].layout();
      EXPECT_TRUE(lifecycle.set_queue_size(queue, layout.size));
      EXPECT_TRUE(lifecycle.set_descriptor_area(queue, layout.descriptor_table));
      EXPECT_TRUE(lifecycle.set_driver_area(queue, layout.available_ring));
      EXPECT_TRUE(lifecycle.set_device_area(queue, layout.used_ring));
      EXPECT_TRUE(lifecycle.enable_queue(queue));
    }
    EXPECT_TRUE(lifecycle.set_status(lifecycle.status() | VIRTIO_STATUS_DRIVER_OK));
  }

  static testing::QueueLayout layout(std::uint16_t queue, std::uint16_t size) {
    return testing::QueueLayout::at(GuestAddress(0x1000 + 0x1000ULL * queue), size, Ring::kLayout);
  }

  static VsockHdr header(Op op, std::uint32_t host_port, std::uint32_t guest_port = 1000) {
    VsockHdr header;
    header.src_cid = kGuestCid;
    header.dst_cid = kHostCid;
    header.src_port = guest_port;
    header.dst_port = host_port;
    header.type = VIRTIO_VSOCK_TYPE_STREAM;
    header.op = static_cast<std::uint16_t>(op);
    header.buf_alloc = 0x10000;
    return header;
  }

  GuestAddress slot() { return GuestAddress(0x10000 + kSlot * (next_slot++ % 512)); }
  /// Makes a packet available, header and data each in a buffer of its own; no kick.
  void add(const VsockHdr& header, std::string_view data = {}) {
    auto filled = header;
    filled.len = static_cast<std::uint32_t>(data.size());
    const auto at = slot();
    EXPECT_TRUE(write_object(view, at, filled));
    EXPECT_TRUE(write_bytes(view, GuestAddress(at.raw() + 100), std::as_bytes(std::span(data))));
    std::vector<testing::BufferSpec> parts{{at, sizeof filled, false}};
    if (!data.empty()) parts.push_back({GuestAddress(at.raw() + 100), filled.len, false});
    drivers[kTx].add_chain(parts);
  }
  void add_buffer(std::uint32_t bytes = kSlot) {
    const auto at = slot();
    drivers[kRx].add_chain({{at, bytes, true}});
    buffers.push_back(at);
  }
  void kick(std::uint16_t queue) {
    EXPECT_TRUE(lifecycle.kick(queue));
    work();
  }
  void work() {
    for (int turns = 0; lifecycle.work().value(); ++turns) ASSERT_LT(turns, 100);
  }
  void host_ready() {
    for (int turns = 0; lifecycle.host_ready().value(); ++turns) ASSERT_LT(turns, 100);
  }
  void send(const VsockHdr& header, std::string_view data = {}) {
    add(header, data);
    kick(kTx);
    EXPECT_EQ(drivers[kTx].take_used()->len, 0U);
  }

  /// The next packet in a receive buffer; nothing when no buffer came back.
  std::optional<Packet> received() {
    const auto used = drivers[kRx].take_used();
    if (!used) return std::nullopt;
    const auto at = buffers.front();
    buffers.pop_front();
    if (used->len == 0) return Packet{};
    Packet packet{read_object<VsockHdr>(view, at).value(), {}};
    packet.data.resize(used->len - sizeof(VsockHdr));
    EXPECT_EQ(packet.header.len, packet.data.size());
    EXPECT_TRUE(read_bytes(view, GuestAddress(at.raw() + sizeof(VsockHdr)),
                           std::as_writable_bytes(std::span(packet.data))));
    return packet;
  }
  /// The same after giving a buffer for it.
  std::optional<Packet> receive(std::uint32_t bytes = kSlot) {
    add_buffer(bytes);
    kick(kRx);
    return received();
  }
  void establish(std::uint32_t host_port) {
    send(header(Op::kRequest, host_port));
    ASSERT_EQ(receive()->op(), Op::kResponse);
  }

  Memory memory{kRegions};
  Memory::GuestView view = memory.guest();
  std::array<typename Ring::Driver, 3> drivers{typename Ring::Driver{view, layout(kRx, kSize)},
                                               typename Ring::Driver{view, layout(kTx, kSize)},
                                               typename Ring::Driver{view, layout(kEvent, 8)}};
  NotingHost vmm;
  Device device;
  DeviceLifecycle<Memory> lifecycle{device, memory, vmm};
  std::deque<GuestAddress> buffers;  // in the rx queue
  std::uint64_t next_slot = 0;
};

template <class Ring>
class VirtioVsockTest : public ::testing::Test {
 protected:
  using TheGuest = Guest<Ring>;

  testing::VsockDeviceHost host;
  TheGuest the_guest{host};

  static std::string pattern(std::size_t length) {
    std::string text(length, ' ');
    for (std::size_t i = 0; i < length; ++i) text[i] = static_cast<char>('A' + i % 53);
    return text;
  }
  static std::string text(const std::vector<std::byte>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  static std::span<const std::byte> bytes(std::string_view text) {
    return std::as_bytes(std::span(text));
  }
};
using Rings = ::testing::Types<Split, Packed>;
TYPED_TEST_SUITE(VirtioVsockTest, Rings);

TYPED_TEST(VirtioVsockTest, IsASocketDeviceWithItsCid) {
  auto& lifecycle = this->the_guest.lifecycle;
  EXPECT_EQ(lifecycle.device_id(), 19U);
  EXPECT_EQ(lifecycle.queue_count(), 3);
  // Of what a device of this type may offer, no seqpackets.
  EXPECT_EQ(lifecycle.device_features() & 7U,
            feature_bit(VIRTIO_VSOCK_F_STREAM) | feature_bit(VIRTIO_VSOCK_F_NO_IMPLIED_STREAM));
  EXPECT_EQ(lifecycle.device_features() & feature_bit(VIRTIO_VSOCK_F_SEQPACKET), 0U);
  std::array<std::byte, 8> config{};
  ASSERT_EQ(lifecycle.config_bytes(), config.size());
  ASSERT_TRUE(lifecycle.read_config(0, config));
  EXPECT_EQ(std::bit_cast<le64>(config), kGuestCid);
  EXPECT_EQ(lifecycle.write_config(0, config).error(), DeviceError::kConfigReadOnly);
}

TYPED_TEST(VirtioVsockTest, CarriesDataBothWays) {
  auto& guest = this->the_guest;
  guest.establish(80);
  guest.send(guest.header(Op::kRw, 80), "hello");
  EXPECT_EQ(this->text(this->host.sockets()[0].received), "hello");
  this->host.send(0, this->bytes("good day"));
  guest.add_buffer();
  guest.host_ready();
  const auto packet = guest.received();
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->op(), Op::kRw);
  EXPECT_EQ(packet->data, "good day");
  EXPECT_EQ(packet->header.dst_cid, kGuestCid);
  EXPECT_EQ(packet->header.fwd_cnt, 5U);
  EXPECT_TRUE(guest.vmm.refusals.empty());
}

TYPED_TEST(VirtioVsockTest, KeepsReceiveBuffersUntilThereIsAPacket) {
  auto& guest = this->the_guest;
  guest.establish(80);
  guest.add_buffer();
  guest.kick(kRx);
  guest.host_ready();
  EXPECT_FALSE(guest.received());
  guest.send(guest.header(Op::kCreditRequest, 80));
  EXPECT_EQ(guest.received()->op(), Op::kCreditUpdate);
}

TYPED_TEST(VirtioVsockTest, CutsStreamDataToTheBuffersThereAre) {
  auto& guest = this->the_guest;
  guest.establish(80);
  this->host.send(0, this->bytes("0123456789"));
  guest.host_ready();
  EXPECT_EQ(guest.receive(sizeof(VsockHdr) + 4)->data, "0123");
  EXPECT_EQ(guest.receive(sizeof(VsockHdr) + 1)->data, "4");
  EXPECT_EQ(guest.receive()->data, "56789");
}

TYPED_TEST(VirtioVsockTest, ReturnsBuffersThatAreTooSmallAndKeepsThePacket) {
  auto& guest = this->the_guest;
  guest.establish(80);
  this->host.send(0, this->bytes("0123456789"));
  guest.host_ready();
  EXPECT_EQ(guest.receive(sizeof(VsockHdr) - 1)->header.op, VIRTIO_VSOCK_OP_INVALID);
  EXPECT_EQ(guest.receive(sizeof(VsockHdr))->header.op, VIRTIO_VSOCK_OP_INVALID);
  guest.drivers[kRx].add_chain({{GuestAddress(0x10'0000'0000), 500, true}});
  guest.buffers.push_back({});
  guest.kick(kRx);
  EXPECT_EQ(guest.received()->header.op, VIRTIO_VSOCK_OP_INVALID);
  guest.drivers[kRx].add_chain(
      {{GuestAddress(0x9000), 4, false}, {GuestAddress(0x9100), 500, true}});
  guest.buffers.push_back({});
  guest.kick(kRx);
  EXPECT_EQ(guest.received()->header.op, VIRTIO_VSOCK_OP_INVALID);
  EXPECT_EQ(guest.receive()->data, "0123456789");
  ASSERT_EQ(guest.vmm.refusals.size(), 4U);
  EXPECT_EQ(guest.vmm.refusals[0], Error(VsockError::kRxHeader, 43, 44));
  EXPECT_EQ(guest.vmm.refusals[1], Error(VsockError::kRxDataLength, 1, 0));
  EXPECT_EQ(guest.vmm.refusals[2], MemoryError::kUnmapped);
  EXPECT_EQ(guest.vmm.refusals[3], Error(VsockError::kRxReadable, 4));
}

TYPED_TEST(VirtioVsockTest, ReturnsEveryTransmittedChain) {
  auto& guest = this->the_guest;
  auto foreign = guest.header(Op::kRequest, 80);
  foreign.src_cid = kGuestCid + 1;
  guest.send(foreign);
  guest.drivers[kTx].add_chain({{GuestAddress(0x9000), 43, false}});
  guest.drivers[kTx].add_chain({{GuestAddress(0x9000), 44, true}});
  guest.kick(kTx);
  EXPECT_EQ(guest.drivers[kTx].take_used()->len, 0U);
  EXPECT_EQ(guest.drivers[kTx].take_used()->len, 0U);
  EXPECT_EQ(guest.vmm.refusals,
            (std::vector<Error>{Error(VsockError::kSrcCid, kGuestCid + 1, kGuestCid),
                                Error(VsockError::kTxHeader, 43, 44),
                                Error(VsockError::kTxWritable, 44)}));
  EXPECT_EQ(guest.vmm.queues, (std::vector<std::uint16_t>{kTx, kTx, kTx}));
  guest.add_buffer();
  guest.kick(kRx);
  EXPECT_FALSE(guest.received());
}

TYPED_TEST(VirtioVsockTest, ResetsAConnectionWhoseDataIsNotInGuestMemory) {
  auto& guest = this->the_guest;
  guest.establish(80);
  auto header = guest.header(Op::kRw, 80);
  header.len = 10;
  EXPECT_TRUE(write_object(guest.view, GuestAddress(0x9000), header));
  guest.drivers[kTx].add_chain(
      {{GuestAddress(0x9000), sizeof header, false}, {GuestAddress(0x10'0000'0000), 10, false}});
  guest.kick(kTx);
  EXPECT_EQ(guest.vmm.refusals.at(0), MemoryError::kUnmapped);
  EXPECT_EQ(guest.receive()->op(), Op::kRst);
  EXPECT_FALSE(this->host.sockets()[0].open);
}

TYPED_TEST(VirtioVsockTest, LooksAtNoDataBeyondTheCredit) {
  auto& guest = this->the_guest;
  guest.establish(80);
  auto header = guest.header(Op::kRw, 80);
  header.len = 1001;
  EXPECT_TRUE(write_object(guest.view, GuestAddress(0x9000), header));
  guest.drivers[kTx].add_chain(
      {{GuestAddress(0x9000), sizeof header, false}, {GuestAddress(0xa000), 1001, false}});
  guest.memory.clear_log();
  guest.kick(kTx);
  EXPECT_EQ(guest.vmm.refusals.at(0), Error(ConnectionError::kNoCredit, 1001, 1000));
  for (const auto& fetch : guest.memory.fetches()) EXPECT_NE(fetch.address.raw() >> 12, 0xaU);
  EXPECT_EQ(guest.receive()->op(), Op::kRst);
}

// A guest made the device buffer 4 GiB: data of a connection that was reset had no limit.
TYPED_TEST(VirtioVsockTest, LooksAtNoDataOfAConnectionThatWasReset) {
  auto& guest = this->the_guest;
  guest.establish(80);
  guest.send(guest.header(Op::kRequest, 80));
  auto header = guest.header(Op::kRw, 80);
  header.len = 1001;
  EXPECT_TRUE(write_object(guest.view, GuestAddress(0x9000), header));
  guest.drivers[kTx].add_chain(
      {{GuestAddress(0x9000), sizeof header, false}, {GuestAddress(0xa000), 1001, false}});
  guest.memory.clear_log();
  guest.kick(kTx);
  for (const auto& fetch : guest.memory.fetches()) EXPECT_NE(fetch.address.raw() >> 12, 0xaU);
  EXPECT_EQ(guest.receive()->op(), Op::kRst);
}

// The device wanted another turn for ever: it waited for packets of a queue that was gone.
TYPED_TEST(VirtioVsockTest, WaitsForNoPacketsOfAQueueThatWasDisabled) {
  auto& guest = this->the_guest;
  for (std::uint32_t port = 0; port < 8; ++port) guest.add(guest.header(Op::kRw, port));
  guest.kick(kTx);
  ASSERT_TRUE(guest.lifecycle.disable_queue(kTx));
  for (std::uint32_t port = 0; port < 8; ++port) guest.add_buffer();
  ASSERT_TRUE(guest.lifecycle.kick(kRx));
  EXPECT_EQ(guest.lifecycle.work(), false);
  for (std::uint32_t port = 0; port < kSmall.replies; ++port)
    EXPECT_EQ(guest.received()->op(), Op::kRst);
  EXPECT_FALSE(guest.received());
}

TYPED_TEST(VirtioVsockTest, TakesNoMorePacketsWhileTheirAnswersHaveNoPlace) {
  auto& guest = this->the_guest;
  for (std::uint32_t port = 0; port < 8; ++port) guest.add(guest.header(Op::kRw, port));
  guest.kick(kTx);
  std::size_t returned = 0;
  const auto count = [&] {
    while (guest.drivers[kTx].take_used()) ++returned;
    return returned;
  };
  EXPECT_EQ(count(), kSmall.replies);
  guest.kick(kTx);
  EXPECT_EQ(count(), kSmall.replies);

  // Room for two answers: two packets more, without a kick of tx.
  for (std::uint32_t port = 0; port < 2; ++port) guest.add_buffer();
  guest.kick(kRx);
  EXPECT_EQ(count(), kSmall.replies + 2);
  for (std::uint32_t port = 2; port < 8; ++port) guest.add_buffer();
  guest.kick(kRx);
  EXPECT_EQ(count(), 8U);
  for (std::uint32_t port = 0; port < 8; ++port) {
    const auto reset = guest.received();
    EXPECT_EQ(reset->op(), Op::kRst);
    EXPECT_EQ(reset->header.src_port, port);
  }
}

TYPED_TEST(VirtioVsockTest, ConnectionsOfAResetDeviceAreClosed) {
  auto& guest = this->the_guest;
  guest.establish(80);
  guest.lifecycle.reset();
  EXPECT_FALSE(this->host.sockets()[0].open);
}

TYPED_TEST(VirtioVsockTest, TellsAGuestThatWasRestoredOfATransportReset) {
  auto& guest = this->the_guest;
  guest.establish(80);
  guest.drivers[kEvent].add_chain({{GuestAddress(0x9000), 3, true}});
  guest.drivers[kEvent].add_chain({{GuestAddress(0x9100), 8, true}});
  guest.drivers[kEvent].add_chain({{GuestAddress(0x9200), 8, true}});
  EXPECT_TRUE(write_object(guest.view, GuestAddress(0x9100), le64(~0ULL)));
  guest.kick(kEvent);
  EXPECT_FALSE(guest.drivers[kEvent].take_used());
  guest.add(guest.header(Op::kRw, 80), "lost");

  const auto saved = guest.lifecycle.save();
  ASSERT_TRUE(saved);
  EXPECT_TRUE(this->host.sockets()[0].open);
  ASSERT_TRUE(guest.lifecycle.restore(*saved));
  EXPECT_FALSE(this->host.sockets()[0].open);
  guest.work();
  EXPECT_EQ(guest.drivers[kEvent].take_used()->len, 0U);
  EXPECT_EQ(guest.drivers[kEvent].take_used()->len, 4U);
  EXPECT_FALSE(guest.drivers[kEvent].take_used());
  EXPECT_EQ(read_object<le64>(guest.view, GuestAddress(0x9100)).value(), 0xffff'ffff'0000'0000U);
  EXPECT_EQ(guest.vmm.refusals,
            (std::vector<Error>{Error(ConnectionError::kUnknown, VIRTIO_VSOCK_OP_RW),
                                Error(VsockError::kEventRoom, 3, 4)}));
  EXPECT_EQ(guest.receive()->op(), Op::kRst);
}

TYPED_TEST(VirtioVsockTest, KeepsATransportResetUntilThereIsABuffer) {
  auto& guest = this->the_guest;
  ASSERT_TRUE(guest.lifecycle.restore(guest.lifecycle.save().value()));
  guest.work();
  guest.drivers[kEvent].add_chain({{GuestAddress(0x9000), 4, false}});
  guest.drivers[kEvent].add_chain({{GuestAddress(0x10'0000'0000), 4, true}});
  guest.drivers[kEvent].add_chain({{GuestAddress(0x9200), 4, true}});
  guest.kick(kEvent);
  EXPECT_EQ(guest.drivers[kEvent].take_used()->len, 0U);
  EXPECT_EQ(guest.drivers[kEvent].take_used()->len, 0U);
  EXPECT_EQ(guest.drivers[kEvent].take_used()->len, 4U);
  EXPECT_EQ(guest.vmm.refusals.at(0), Error(VsockError::kEventReadable, 4));
  EXPECT_EQ(guest.vmm.refusals.at(1), MemoryError::kUnmapped);
}

TYPED_TEST(VirtioVsockTest, ADeviceThatWasNotStartedIsRestoredWithoutAnEvent) {
  auto& guest = this->the_guest;
  guest.lifecycle.reset();
  ASSERT_TRUE(guest.lifecycle.restore(guest.lifecycle.save().value()));
  auto saved = guest.lifecycle.save().value();
  saved.push_back(std::byte{1});
  EXPECT_FALSE(guest.lifecycle.restore(saved));
  EXPECT_EQ(guest.device.restore(std::array{std::byte{1}}).error(),
            Error(DeviceStateError::kDevice, 1, 0));
}

// With sockets of the system.

template <class Ring>
class VirtioVsockUnixTest : public ::testing::Test {
 protected:
  void SetUp() override {
    sockets = UnixSockets::listen(path).value();
    guest = std::make_unique<Guest<Ring>>(*sockets, Limits{.connections = 4, .buffer = 1000});
  }
  /// Lets the device work while its descriptor is readable, as a VMM's loop would.
  void loop() {
    ::pollfd poll{.fd = guest->lifecycle.host_fd(), .events = POLLIN, .revents = 0};
    while (::poll(&poll, 1, 0) == 1) guest->host_ready();
  }

  Scratch scratch;
  const std::string path = scratch.path("v");
  std::unique_ptr<UnixSockets> sockets;
  std::unique_ptr<Guest<Ring>> guest;
};
TYPED_TEST_SUITE(VirtioVsockUnixTest, Rings);

TYPED_TEST(VirtioVsockUnixTest, AGuestTalksToAService) {
  using TheGuest = Guest<TypeParam>;
  const auto service = service_at(this->path + "_1024");
  this->guest->establish(1024);
  const Fd peer(::accept4(service.get(), nullptr, nullptr, 0));
  this->guest->send(TheGuest::header(Op::kRw, 1024), "hello");
  EXPECT_EQ(hear(peer), "hello");
  say(peer, "good day");
  this->guest->add_buffer();
  this->loop();
  EXPECT_EQ(this->guest->received()->data, "good day");

  ::shutdown(peer.get(), SHUT_WR);
  this->guest->add_buffer();
  this->loop();
  const auto end = this->guest->received();
  EXPECT_EQ(end->op(), Op::kShutdown);
  EXPECT_EQ(end->header.flags, 2U);
  auto done = TheGuest::header(Op::kShutdown, 1024);
  done.flags = 3;
  this->guest->send(done);
  EXPECT_EQ(this->guest->receive()->op(), Op::kRst);
}

TYPED_TEST(VirtioVsockUnixTest, AClientTalksToTheGuest) {
  using TheGuest = Guest<TypeParam>;
  const auto client = client_of(this->path);
  say(client, "CONNECT 22\nSSH-2.0");
  this->guest->add_buffer();
  this->loop();
  const auto request = this->guest->received();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->op(), Op::kRequest);
  EXPECT_EQ(request->header.dst_port, 22U);
  EXPECT_EQ(hear(client), "");
  const auto port = request->header.src_port;
  this->guest->send(TheGuest::header(Op::kResponse, port, 22));
  EXPECT_EQ(hear(client), "OK " + std::to_string(port) + "\n");
  EXPECT_EQ(this->guest->receive()->data, "SSH-2.0");
  this->guest->send(TheGuest::header(Op::kRw, port, 22), "SSH-2.0 too");
  EXPECT_EQ(hear(client), "SSH-2.0 too");
}

TYPED_TEST(VirtioVsockUnixTest, APortWithoutAServiceIsRefused) {
  using TheGuest = Guest<TypeParam>;
  this->guest->send(TheGuest::header(Op::kRequest, 1024));
  EXPECT_EQ(this->guest->receive()->op(), Op::kRst);
}

TYPED_TEST(VirtioVsockUnixTest, AGuestThatKeepsToItsCreditLosesNothingToASlowService) {
  using TheGuest = Guest<TypeParam>;
  const auto service = service_at(this->path + "_1024");
  this->guest->establish(1024);
  const Fd peer(::accept4(service.get(), nullptr, nullptr, 0));
  for (int i = 0; i < 8; ++i) this->guest->add_buffer();
  std::string sent, heard;
  std::uint32_t forwarded = 0;
  int waits = 0;
  while (sent.size() < 1'000'000 && waits < 10'000) {
    if (sent.size() - forwarded + 500 <= 1000) {
      const std::string part(500, static_cast<char>('a' + sent.size() / 500 % 26));
      this->guest->send(TheGuest::header(Op::kRw, 1024), part);
      sent += part;
    } else {
      ++waits;
      heard += hear(peer);
      this->loop();
    }
    while (const auto update = this->guest->received()) {
      forwarded = update->header.fwd_cnt;
      this->guest->add_buffer();
      this->guest->kick(kRx);
    }
  }
  for (int i = 0; heard.size() < sent.size() && i < 1000; ++i) {
    heard += hear(peer);
    this->loop();
  }
  EXPECT_GT(waits, 0);
  EXPECT_EQ(heard, sent);
  EXPECT_TRUE(this->guest->vmm.refusals.empty());
}

}  // namespace
}  // namespace guestproof::virtio::vsock
