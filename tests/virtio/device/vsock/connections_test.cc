#include "guestproof/virtio/device/vsock/connections.h"

#include <gtest/gtest.h>

#include <vector>

#include "guestproof/testing/harness/vsock_device_host.h"

namespace guestproof::virtio::vsock {
namespace {

using testing::VsockDeviceHost;

constexpr std::uint64_t kGuestCid = 42;
constexpr Limits kSmall{.connections = 3, .buffer = 100, .replies = 4, .read = 20};
constexpr std::uint32_t kReceive = 1, kSend = 2;    // flags of SHUTDOWN
constexpr std::uint32_t kClientPort = 0x4000'0000;  // of the host, of the first client

std::vector<std::byte> pattern(std::size_t length) {
  std::vector<std::byte> bytes(length);
  for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<std::byte>(3 * i + 1);
  return bytes;
}

struct Sent {
  VsockHdr header;
  std::vector<std::byte> data;

  [[nodiscard]] Op op() const { return *op_of(header); }
};

class ConnectionsTest : public ::testing::Test {
 protected:
  static VsockHdr packet(Op op, std::uint32_t host_port, std::uint32_t guest_port = 1000) {
    VsockHdr header;
    header.src_cid = kGuestCid;
    header.dst_cid = kHostCid;
    header.src_port = guest_port;
    header.dst_port = host_port;
    header.type = VIRTIO_VSOCK_TYPE_STREAM;
    header.op = static_cast<std::uint16_t>(op);
    header.buf_alloc = 1000;
    return header;
  }

  Result<bool> receive(Op op, std::uint32_t host_port, std::uint32_t guest_port = 1000) {
    return connections.receive(packet(op, host_port, guest_port));
  }
  void receive_data(std::span<const std::byte> data, std::uint32_t host_port) {
    auto header = packet(Op::kRw, host_port);
    header.len = static_cast<std::uint32_t>(data.size());
    EXPECT_EQ(connections.receive(header), true);
    connections.receive_data(header, data);
  }
  void receive_shutdown(std::uint32_t flags, std::uint32_t host_port) {
    auto header = packet(Op::kShutdown, host_port);
    header.flags = flags;
    EXPECT_EQ(connections.receive(header), false);
  }

  /// The next packet, whole or cut to `room` bytes of data.
  Sent send(std::size_t room = 1000) {
    if (!connections.prepare()) return {};
    const auto data = connections.data().first(std::min(room, connections.data().size()));
    Sent sent{connections.header(), {data.begin(), data.end()}};
    connections.sent(data.size());
    return sent;
  }
  /// A connection of the guest that has its RESPONSE; its socket is the last one.
  void establish(std::uint32_t host_port, std::uint32_t guest_port = 1000) {
    ASSERT_EQ(receive(Op::kRequest, host_port, guest_port), false);
    ASSERT_EQ(send().op(), Op::kResponse);
  }
  /// A connection of a client that the guest has accepted; its socket.
  std::size_t establish_client(std::uint32_t guest_port = 1000) {
    const auto socket = host.connect_client(guest_port);
    EXPECT_FALSE(connections.host_ready());
    const auto request = send().header;
    EXPECT_EQ(receive(Op::kResponse, request.src_port, guest_port), false);
    return socket;
  }
  const VsockDeviceHost::Socket& socket(std::size_t index = 0) { return host.sockets().at(index); }

  VsockDeviceHost host;
  Connections connections{kGuestCid, host, kSmall};
};

TEST_F(ConnectionsTest, AGuestReachesTheServiceOfAPort) {
  ASSERT_EQ(receive(Op::kRequest, 80), false);
  const auto response = send();
  EXPECT_EQ(response.op(), Op::kResponse);
  EXPECT_EQ(response.header.src_cid, kHostCid);
  EXPECT_EQ(response.header.dst_cid, kGuestCid);
  EXPECT_EQ(response.header.src_port, 80u);
  EXPECT_EQ(response.header.dst_port, 1000u);
  EXPECT_EQ(response.header.buf_alloc, 100u);
  EXPECT_EQ(socket().port, 80u);

  receive_data(pattern(30), 80);
  EXPECT_EQ(socket().received, pattern(30));
  host.send(0, pattern(9));
  EXPECT_FALSE(connections.host_ready());
  const auto answer = send();
  EXPECT_EQ(answer.op(), Op::kCreditUpdate);
  EXPECT_EQ(answer.header.fwd_cnt, 30u);
  EXPECT_EQ(send().data, pattern(9));
  EXPECT_FALSE(connections.prepare());
}

TEST_F(ConnectionsTest, AGuestIsRefusedWhereNoServiceListens) {
  host.fail_connect();
  EXPECT_EQ(receive(Op::kRequest, 80).error(), SocketError::kConnect);
  const auto reset = send();
  EXPECT_EQ(reset.op(), Op::kRst);
  EXPECT_EQ(reset.header.src_port, 80u);
  EXPECT_EQ(reset.header.dst_port, 1000u);
  EXPECT_EQ(connections.size(), 0u);
}

TEST_F(ConnectionsTest, AClientReachesTheGuestAndIsToldItsPort) {
  const auto client = host.connect_client(22);
  EXPECT_FALSE(connections.host_ready());
  host.send(client, pattern(5));  // before it may
  EXPECT_FALSE(connections.host_ready());
  const auto request = send();
  EXPECT_EQ(request.op(), Op::kRequest);
  EXPECT_EQ(request.header.src_port, kClientPort);
  EXPECT_EQ(request.header.dst_port, 22u);
  EXPECT_FALSE(connections.prepare());
  EXPECT_FALSE(socket(client).accepted);

  ASSERT_EQ(receive(Op::kResponse, kClientPort, 22), false);
  EXPECT_EQ(socket(client).accepted, kClientPort);
  EXPECT_EQ(send().data, pattern(5));
}

TEST_F(ConnectionsTest, AClientThatTheGuestRefusesIsClosed) {
  const auto client = host.connect_client(22);
  EXPECT_FALSE(connections.host_ready());
  send();
  ASSERT_EQ(receive(Op::kRst, kClientPort, 22), false);
  EXPECT_FALSE(socket(client).open);
  EXPECT_FALSE(socket(client).accepted);
  EXPECT_EQ(connections.size(), 0u);
  EXPECT_FALSE(connections.prepare());
}

TEST_F(ConnectionsTest, AClientThatGoesBeforeTheGuestAcceptsLeavesARst) {
  const auto client = host.connect_client(22);
  EXPECT_FALSE(connections.host_ready());
  send();
  host.go(client);
  EXPECT_FALSE(connections.host_ready());
  EXPECT_FALSE(socket(client).open);
  EXPECT_EQ(send().op(), Op::kRst);
  EXPECT_EQ(connections.size(), 0u);
}

TEST_F(ConnectionsTest, AClientThatCannotBeToldOfItsSuccessIsGone) {
  const auto client = host.connect_client(22);
  EXPECT_FALSE(connections.host_ready());
  send();
  host.fail_accept();
  ASSERT_EQ(receive(Op::kResponse, kClientPort, 22), false);
  const auto end = send();
  EXPECT_EQ(end.op(), Op::kShutdown);
  EXPECT_EQ(end.header.flags, kReceive | kSend);
  EXPECT_FALSE(socket(client).open);
}

TEST_F(ConnectionsTest, EveryClientHasAPortOfItsOwn) {
  establish_client(22);
  const auto second = establish_client(22);
  EXPECT_EQ(socket(second).accepted, kClientPort + 1);
  connections.reset();
  // A guest may have taken the next port itself.
  ASSERT_EQ(receive(Op::kRequest, kClientPort, 22), false);
  send();
  const auto third = establish_client(22);
  EXPECT_EQ(socket(third).accepted, kClientPort + 1);
}

TEST_F(ConnectionsTest, ThereAreNoMoreConnectionsThanTheLimitFromEitherSide) {
  for (const std::uint32_t port : {1, 2, 3}) establish(port);
  EXPECT_EQ(receive(Op::kRequest, 4).error(), Error(ConnectionError::kTooMany, 3, 3));
  EXPECT_EQ(send().op(), Op::kRst);
  const auto client = host.connect_client(22);
  EXPECT_FALSE(connections.host_ready());
  EXPECT_FALSE(socket(client).open);
  EXPECT_FALSE(connections.prepare());

  ASSERT_EQ(receive(Op::kRst, 2), false);
  EXPECT_EQ(receive(Op::kRequest, 4), false);
}

TEST_F(ConnectionsTest, PacketsOfUnknownConnectionsAreAnsweredWithRst) {
  for (const auto op :
       {Op::kResponse, Op::kShutdown, Op::kRw, Op::kCreditUpdate, Op::kCreditRequest}) {
    EXPECT_EQ(receive(op, 80, 7).error(), Error(ConnectionError::kUnknown, std::to_underlying(op)));
    const auto reset = send();
    EXPECT_EQ(reset.op(), Op::kRst);
    EXPECT_EQ(reset.header.src_port, 80u);
    EXPECT_EQ(reset.header.dst_port, 7u);
  }
}

TEST_F(ConnectionsTest, ARstIsNeverAnswered) {
  EXPECT_EQ(receive(Op::kRst, 80), false);
  EXPECT_FALSE(connections.prepare());
  establish(80);
  EXPECT_EQ(receive(Op::kRst, 80), false);
  EXPECT_EQ(receive(Op::kRst, 80), false);
  EXPECT_FALSE(connections.prepare());
  EXPECT_FALSE(socket().open);
}

TEST_F(ConnectionsTest, PortsOfBothEndsNameAConnection) {
  establish(80, 1000);
  EXPECT_EQ(receive(Op::kCreditUpdate, 80, 1001).error(), ConnectionError::kUnknown);
  EXPECT_EQ(receive(Op::kCreditUpdate, 81, 1000).error(), ConnectionError::kUnknown);
  EXPECT_EQ(receive(Op::kCreditUpdate, 1000, 80).error(), ConnectionError::kUnknown);
  EXPECT_EQ(receive(Op::kCreditUpdate, 80, 1000), false);
}

TEST_F(ConnectionsTest, PacketsWithAWrongCidAreDropped) {
  establish(80);
  auto header = packet(Op::kRst, 80);
  header.src_cid = kGuestCid + 1;
  EXPECT_EQ(connections.receive(header).error(), VsockError::kSrcCid);
  header = packet(Op::kRst, 80);
  header.dst_cid = kGuestCid;
  EXPECT_EQ(connections.receive(header).error(), VsockError::kDstCid);
  EXPECT_EQ(connections.size(), 1u);
  EXPECT_FALSE(connections.prepare());
}

TEST_F(ConnectionsTest, ATypeThatWasNotNegotiatedIsAnsweredWithRst) {
  establish(80);
  auto header = packet(Op::kRequest, 80);
  header.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
  EXPECT_EQ(connections.receive(header).error(), VsockError::kType);
  const auto reset = send();
  EXPECT_EQ(reset.op(), Op::kRst);
  EXPECT_EQ(reset.header.type, VIRTIO_VSOCK_TYPE_SEQPACKET);
  EXPECT_TRUE(socket().open);

  connections.negotiate(1U << VIRTIO_VSOCK_F_NO_IMPLIED_STREAM);
  EXPECT_EQ(receive(Op::kRequest, 81).error(), VsockError::kType);
}

TEST_F(ConnectionsTest, AnUnknownOpEndsTheConnectionItIsFor) {
  establish(80);
  auto header = packet(Op::kRw, 80);
  header.op = 9;
  EXPECT_EQ(connections.receive(header).error(), VsockError::kOp);
  EXPECT_FALSE(socket().open);
  EXPECT_EQ(send().op(), Op::kRst);
  EXPECT_EQ(connections.size(), 0u);
  EXPECT_EQ(connections.receive(header).error(), VsockError::kOp);
  EXPECT_EQ(send().op(), Op::kRst);
}

TEST_F(ConnectionsTest, AViolationClosesTheSocketAndKeepsThePlaceUntilTheRstIsSent) {
  establish(80);
  EXPECT_EQ(receive(Op::kRequest, 80).error(), ConnectionError::kEstablished);
  EXPECT_FALSE(socket().open);
  EXPECT_EQ(connections.size(), 1u);
  auto header = packet(Op::kRw, 80);
  header.len = UINT32_MAX;
  EXPECT_EQ(connections.receive(header), false);
  EXPECT_EQ(send().op(), Op::kRst);
  EXPECT_EQ(connections.size(), 0u);
  EXPECT_FALSE(connections.prepare());
}

TEST_F(ConnectionsTest, DataThatCannotBeReadEndsTheConnection) {
  establish(80);
  auto header = packet(Op::kRw, 80);
  header.len = 5;
  ASSERT_EQ(connections.receive(header), true);
  connections.lose_data(header);
  EXPECT_FALSE(socket().open);
  EXPECT_EQ(send().op(), Op::kRst);
}

TEST_F(ConnectionsTest, DataThatTheHostDoesNotTakeWaitsAndNoneIsLost) {
  establish(80);
  host.limit_writes(7);
  host.take(0, 30);
  EXPECT_FALSE(connections.host_ready());
  receive_data(pattern(60), 80);
  EXPECT_EQ(socket().received.size(), 30u);
  receive_data(pattern(20), 80);
  EXPECT_EQ(socket().received.size(), 30u);

  host.take(0, 1000);
  EXPECT_FALSE(connections.host_ready());
  auto all = pattern(60);
  const auto more = pattern(20);
  all.insert(all.end(), more.begin(), more.end());
  EXPECT_EQ(socket().received, all);
  const auto update = send();
  EXPECT_EQ(update.op(), Op::kCreditUpdate);
  EXPECT_EQ(update.header.fwd_cnt, 80u);
}

TEST_F(ConnectionsTest, AGuestThatSendsMoreThanWaitsIsReset) {
  establish(80);
  host.take(0, 0);
  EXPECT_FALSE(connections.host_ready());
  receive_data(pattern(100), 80);
  auto header = packet(Op::kRw, 80);
  header.len = 1;
  EXPECT_EQ(connections.receive(header).error(), Error(ConnectionError::kNoCredit, 1, 0));
  EXPECT_FALSE(socket().open);
  EXPECT_EQ(send().op(), Op::kRst);
}

TEST_F(ConnectionsTest, TheHostIsReadOnlyWhenTheGuestHasWhatCameBefore) {
  establish(80);
  host.send(0, pattern(50));
  EXPECT_FALSE(connections.host_ready());
  EXPECT_EQ(send(15).data.size(), 15u);
  EXPECT_EQ(socket().read, 20u);
  EXPECT_EQ(send(15).data.size(), 5u);
  EXPECT_EQ(send().data.size(), 20u);
  EXPECT_EQ(socket().read, 40u);
  EXPECT_EQ(send().data.size(), 10u);
  EXPECT_FALSE(connections.prepare());
}

TEST_F(ConnectionsTest, ConnectionsTakeTurnsByTheirPorts) {
  for (const std::uint32_t port : {3, 1, 2}) establish(port);
  for (const std::size_t socket : {0, 1, 2}) host.send(socket, pattern(40));
  EXPECT_FALSE(connections.host_ready());
  std::vector<std::uint32_t> ports;
  while (connections.prepare()) ports.push_back(send().header.src_port);
  // The last RESPONSE was for port 2.
  EXPECT_EQ(ports, (std::vector<std::uint32_t>{3, 1, 2, 3, 1, 2}));
}

TEST_F(ConnectionsTest, OneWithoutCreditKeepsNoOtherBack) {
  establish(1);
  establish(2);
  auto none = packet(Op::kCreditUpdate, 1);
  none.buf_alloc = 0;
  ASSERT_EQ(connections.receive(none), false);
  for (const std::size_t socket : {0, 1}) host.send(socket, pattern(40));
  EXPECT_FALSE(connections.host_ready());
  EXPECT_EQ(send().op(), Op::kCreditRequest);
  EXPECT_EQ(send().header.src_port, 2u);
  EXPECT_EQ(send().header.src_port, 2u);
  EXPECT_FALSE(connections.prepare());
}

TEST_F(ConnectionsTest, OnlySoManyAnswersWait) {
  for (std::uint32_t i = 0; i < kSmall.replies; ++i) {
    ASSERT_TRUE(connections.can_receive());
    EXPECT_EQ(receive(Op::kRw, 80 + i).error(), ConnectionError::kUnknown);
  }
  EXPECT_FALSE(connections.can_receive());
  EXPECT_EQ(send().header.src_port, 80u);
  EXPECT_TRUE(connections.can_receive());
}

TEST_F(ConnectionsTest, TheServiceSeesTheEndOfTheGuestsDataAfterIt) {
  establish(80);
  host.take(0, 3);
  EXPECT_FALSE(connections.host_ready());
  receive_data(pattern(10), 80);
  receive_shutdown(kSend, 80);
  EXPECT_FALSE(socket().writing_finished);
  host.take(0, 100);
  EXPECT_FALSE(connections.host_ready());
  EXPECT_EQ(socket().received, pattern(10));
  EXPECT_TRUE(socket().writing_finished);
  EXPECT_TRUE(socket().open);
  host.send(0, pattern(5));
  EXPECT_FALSE(connections.host_ready());
  EXPECT_EQ(send().data, pattern(5));
}

TEST_F(ConnectionsTest, AGuestThatReceivesNoMoreFailsTheHostsWrites) {
  establish(80);
  receive_shutdown(kReceive, 80);
  EXPECT_TRUE(socket().reading_finished);
  EXPECT_FALSE(socket().writing_finished);
}

TEST_F(ConnectionsTest, AGuestThatIsDoneGetsItsRstWhenTheHostHasAll) {
  establish(80);
  host.take(0, 3);
  EXPECT_FALSE(connections.host_ready());
  receive_data(pattern(10), 80);
  receive_shutdown(kReceive | kSend, 80);
  EXPECT_FALSE(connections.prepare());
  host.take(0, 100);
  EXPECT_FALSE(connections.host_ready());
  EXPECT_EQ(socket().received, pattern(10));
  EXPECT_FALSE(socket().open);
  EXPECT_EQ(send().op(), Op::kRst);
  EXPECT_EQ(connections.size(), 0u);
}

TEST_F(ConnectionsTest, AHostThatClosesLeavesItsDataAndThenTheEnd) {
  establish(80);
  host.send(0, pattern(30));
  host.go(0);
  EXPECT_FALSE(connections.host_ready());
  const auto first = send();
  EXPECT_EQ(first.op(), Op::kShutdown);
  EXPECT_EQ(first.header.flags, kReceive);
  EXPECT_EQ(send().data.size(), 20u);
  EXPECT_EQ(send().data.size(), 10u);
  const auto last = send();
  EXPECT_EQ(last.op(), Op::kShutdown);
  EXPECT_EQ(last.header.flags, kReceive | kSend);
  EXPECT_FALSE(socket().open);
  EXPECT_EQ(connections.size(), 0u);
  // The guest's answer to it.
  EXPECT_EQ(receive(Op::kRst, 80), false);
  EXPECT_FALSE(connections.prepare());
}

TEST_F(ConnectionsTest, AHostThatSendsNoMoreStillReceives) {
  establish(80);
  host.end(0);
  EXPECT_FALSE(connections.host_ready());
  const auto end = send();
  EXPECT_EQ(end.op(), Op::kShutdown);
  EXPECT_EQ(end.header.flags, kSend);
  receive_data(pattern(10), 80);
  EXPECT_EQ(socket().received, pattern(10));
}

TEST_F(ConnectionsTest, AReadThatFailsIsTheEndOfBoth) {
  establish(80);
  host.send(0, pattern(30));
  host.fail_read();
  EXPECT_FALSE(connections.host_ready());
  const auto end = send();
  EXPECT_EQ(end.op(), Op::kShutdown);
  EXPECT_EQ(end.header.flags, kReceive | kSend);
  EXPECT_FALSE(socket().open);
}

TEST_F(ConnectionsTest, AReadThatFailsWhenTheGuestIsDoneLeavesARst) {
  establish(80);
  host.take(0, 0);
  EXPECT_FALSE(connections.host_ready());
  receive_data(pattern(10), 80);
  receive_shutdown(kSend, 80);
  host.fail_read();
  host.disturb(0);
  EXPECT_FALSE(connections.host_ready());
  EXPECT_EQ(send().header.flags, kReceive | kSend);
  EXPECT_FALSE(socket().open);
  EXPECT_EQ(connections.size(), 0u);
}

TEST_F(ConnectionsTest, EventsOfSocketsThatAreClosedMeanNothing) {
  establish(80);
  host.disturb(0);
  ASSERT_EQ(receive(Op::kRst, 80), false);
  EXPECT_FALSE(connections.host_ready());
  EXPECT_FALSE(connections.prepare());
}

TEST_F(ConnectionsTest, EventsOfOneTurnAreLimited) {
  establish(80);
  for (std::uint32_t i = 0; i <= kEventsPerTurn; ++i) host.disturb(0);
  EXPECT_TRUE(connections.host_ready());
  EXPECT_FALSE(connections.host_ready());
}

TEST_F(ConnectionsTest, AResetClosesEverythingAndForgetsAnswers) {
  establish(80);
  establish_client(22);
  EXPECT_EQ(receive(Op::kRw, 99).error(), ConnectionError::kUnknown);
  connections.reset();
  EXPECT_FALSE(socket(0).open);
  EXPECT_FALSE(socket(1).open);
  EXPECT_EQ(connections.size(), 0u);
  EXPECT_FALSE(connections.prepare());
  EXPECT_EQ(receive(Op::kRst, 80), false);
}

}  // namespace
}  // namespace guestproof::virtio::vsock
