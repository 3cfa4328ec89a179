// Between a guest that keeps to the protocol and a host that does what it likes, no byte is lost,
// doubled or moved, whatever the order of things, and nothing is reset.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

#include "guestproof/testing/harness/vsock_device_host.h"
#include "guestproof/virtio/device/vsock/connections.h"

namespace guestproof::virtio::vsock {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kGuestCid = 7;
constexpr std::uint32_t kHostPort = 80, kGuestPort = 1000;

/// A guest with one connection, its buffer, and what it knows of the host's.
class Guest {
 public:
  Guest(Connections& connections, std::uint32_t buffer)
      : connections_(connections), buffer_(buffer) {
    RC_ASSERT(!give(header(Op::kRequest)));
    take(0);
    RC_ASSERT(established_);
  }

  [[nodiscard]] std::uint32_t credit() const {
    return host_buffer_ - (static_cast<std::uint32_t>(sent.size()) - host_forwarded_);
  }
  void send(const Bytes& bytes) {
    auto packet = header(Op::kRw);
    packet.len = static_cast<std::uint32_t>(bytes.size());
    RC_ASSERT(give(packet));
    connections_.receive_data(packet, bytes);
    sent.insert(sent.end(), bytes.begin(), bytes.end());
  }
  void ask_for_credit() { RC_ASSERT(!give(header(Op::kCreditRequest))); }
  void shut_down() {
    auto packet = header(Op::kShutdown);
    packet.flags = 1U << VIRTIO_VSOCK_SHUTDOWN_F_SEND;
    RC_ASSERT(!give(packet));
  }
  /// Its application reads so many bytes; the host is told.
  void read(std::size_t bytes) {
    read_ += std::min(bytes, received.size() - read_);
    RC_ASSERT(!give(header(Op::kCreditUpdate)));
  }
  /// Takes the next packet, in a buffer with room for so many bytes. False when there is none.
  bool take(std::size_t room) {
    if (!connections_.prepare()) return false;
    const auto data = connections_.data();
    const auto packet = connections_.header();
    RC_ASSERT(packet.dst_cid == kGuestCid);
    RC_ASSERT(packet.dst_port == kGuestPort);
    host_buffer_ = packet.buf_alloc;
    host_forwarded_ = packet.fwd_cnt;
    const auto op = *op_of(packet);
    RC_ASSERT(op != Op::kRst);
    established_ |= op == Op::kResponse;
    ended |= op == Op::kShutdown;
    const auto part = data.first(std::min(data.size(), std::max<std::size_t>(room, 1)));
    received.insert(received.end(), part.begin(), part.end());
    RC_ASSERT(received.size() - read_ <= buffer_);
    connections_.sent(part.size());
    return true;
  }

  Bytes sent, received;
  bool ended = false;  // the host said that it sends no more

 private:
  /// Whether its data is wanted; nothing is refused to this guest.
  bool give(const VsockHdr& packet) {
    const auto wanted = connections_.receive(packet);
    RC_ASSERT(wanted.has_value());
    return *wanted;
  }
  [[nodiscard]] VsockHdr header(Op op) const {
    VsockHdr header;
    header.src_cid = kGuestCid;
    header.dst_cid = kHostCid;
    header.src_port = kGuestPort;
    header.dst_port = kHostPort;
    header.type = VIRTIO_VSOCK_TYPE_STREAM;
    header.op = static_cast<std::uint16_t>(op);
    header.buf_alloc = buffer_;
    header.fwd_cnt = static_cast<std::uint32_t>(read_);
    return header;
  }

  Connections& connections_;
  std::uint32_t buffer_;
  std::size_t read_ = 0;  // of received
  std::uint32_t host_buffer_ = 0, host_forwarded_ = 0;
  bool established_ = false;
};

Bytes numbered(std::size_t first, std::size_t count) {
  Bytes bytes;
  for (std::size_t i = 0; i < count; ++i)
    bytes.push_back(static_cast<std::byte>((first + i) % 251));
  return bytes;
}

void settle(Connections& connections) {
  while (connections.host_ready()) {
  }
}

RC_GTEST_PROP(VirtioVsock, LosesNoByteOfAConnection, ()) {
  const Limits limits{.connections = 4,
                      .buffer = *rc::gen::inRange<std::uint32_t>(1, 300).as("the host's buffer"),
                      .replies = 4,
                      .read = *rc::gen::inRange<std::uint32_t>(1, 100).as("one read")};
  testing::VsockDeviceHost host;
  Connections connections(kGuestCid, host, limits);
  Guest guest(connections, *rc::gen::inRange<std::uint32_t>(1, 300).as("the guest's buffer"));
  Bytes host_sent;
  const auto some = [](std::size_t most) { return *rc::gen::inRange<std::size_t>(0, most + 1); };

  const auto steps = *rc::gen::inRange(0, 200).as("steps");
  for (int i = 0; i < steps; ++i) {
    switch (*rc::gen::inRange(0, 8)) {
      case 0:
        guest.send(numbered(guest.sent.size(), some(guest.credit())));
        break;
      case 1:
        guest.ask_for_credit();
        break;
      case 2:
        guest.read(some(300));
        break;
      case 3:
      case 4:
        (void)guest.take(some(100));
        break;
      case 5: {
        const auto bytes = numbered(host_sent.size(), some(200));
        host.send(0, bytes);
        host_sent.insert(host_sent.end(), bytes.begin(), bytes.end());
        break;
      }
      case 6:
        host.limit_writes(1 + some(50));
        host.take(0, some(200));
        break;
      default:
        settle(connections);
    }
  }
  // The end: both sides say so, and take all that there is.
  guest.shut_down();
  host.end(0);
  host.take(0, UINT64_MAX);
  settle(connections);
  for (bool more = true; more;) {
    more = guest.take(1000);
    guest.read(1000);
  }
  RC_ASSERT(host.sockets()[0].received == guest.sent);
  RC_ASSERT(host.sockets()[0].writing_finished);
  RC_ASSERT(guest.received == host_sent);
  RC_ASSERT(guest.ended);
}

}  // namespace
}  // namespace guestproof::virtio::vsock
