#include "guestproof/virtio/device/vsock/connection.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace guestproof::virtio::vsock {
namespace {

using State = Connection::State;

constexpr std::uint32_t kBuffer = 100;
constexpr std::uint32_t kReceive = 1, kSend = 2;  // flags of SHUTDOWN

VsockHdr packet(Op op, std::uint32_t fwd_cnt = 0, std::uint32_t buf_alloc = 1000) {
  VsockHdr header;
  header.type = VIRTIO_VSOCK_TYPE_STREAM;
  header.op = static_cast<std::uint16_t>(op);
  header.buf_alloc = buf_alloc;
  header.fwd_cnt = fwd_cnt;
  return header;
}
VsockHdr rw(std::uint32_t len) {
  auto header = packet(Op::kRw);
  header.len = len;
  return header;
}
VsockHdr shutdown(std::uint32_t flags, std::uint32_t fwd_cnt = 0) {
  auto header = packet(Op::kShutdown, fwd_cnt);
  header.flags = flags;
  return header;
}

std::vector<std::byte> pattern(std::size_t length) {
  std::vector<std::byte> bytes(length);
  for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<std::byte>(5 * i + 1);
  return bytes;
}

/// The header of the next packet, which counts as sent.
VsockHdr send(Connection& connection) {
  VsockHdr header;
  connection.fill(header);
  connection.sent(header.op == VIRTIO_VSOCK_OP_RW ? connection.data().size() : 0);
  return header;
}

/// Accepts a packet of data; what receive() said of it.
Result<void> give(Connection& connection, std::size_t bytes) {
  const auto done = connection.receive(rw(static_cast<std::uint32_t>(bytes)));
  if (done) connection.receive_data(pattern(bytes));
  return done;
}

/// Asked for by the guest, whose buffer has so many bytes; its RESPONSE was sent.
Connection established(std::uint32_t buf_alloc = 1000) {
  auto connection = Connection::by_guest(kBuffer, packet(Op::kRequest, 0, buf_alloc));
  send(connection);
  return connection;
}
/// Asked for by the host; its REQUEST was sent.
Connection requested() {
  auto connection = Connection::by_host(kBuffer);
  send(connection);
  return connection;
}

TEST(Connection, OfTheGuestIsAnsweredWithAResponseThatHasTheBuffer) {
  auto connection = Connection::by_guest(kBuffer, packet(Op::kRequest));
  EXPECT_EQ(connection.state(), State::kEstablished);
  EXPECT_EQ(connection.next(), Op::kResponse);
  const auto response = send(connection);
  EXPECT_EQ(response.op, VIRTIO_VSOCK_OP_RESPONSE);
  EXPECT_EQ(response.type, VIRTIO_VSOCK_TYPE_STREAM);
  EXPECT_EQ(response.buf_alloc, kBuffer);
  EXPECT_EQ(response.fwd_cnt, 0u);
  EXPECT_EQ(connection.next(), std::nullopt);
}

TEST(Connection, OfTheHostIsRequestedAndEstablishedByTheResponse) {
  auto connection = Connection::by_host(kBuffer);
  EXPECT_EQ(connection.state(), State::kRequested);
  const auto request = send(connection);
  EXPECT_EQ(request.op, VIRTIO_VSOCK_OP_REQUEST);
  EXPECT_EQ(request.buf_alloc, kBuffer);
  EXPECT_EQ(connection.next(), std::nullopt);
  EXPECT_FALSE(connection.wants_data());
  ASSERT_TRUE(connection.receive(packet(Op::kResponse)));
  EXPECT_EQ(connection.state(), State::kEstablished);
  EXPECT_TRUE(connection.wants_data());
  EXPECT_EQ(connection.next(), std::nullopt);
}

TEST(Connection, IsResetByEverythingButAResponseBeforeIt) {
  for (const auto op :
       {Op::kRequest, Op::kShutdown, Op::kRw, Op::kCreditUpdate, Op::kCreditRequest}) {
    auto connection = requested();
    EXPECT_EQ(connection.receive(packet(op)).error(),
              Error(ConnectionError::kNotEstablished, std::to_underlying(op)));
    EXPECT_EQ(connection.state(), State::kReset);
    EXPECT_EQ(send(connection).op, VIRTIO_VSOCK_OP_RST);
    EXPECT_TRUE(connection.finished());
    EXPECT_EQ(connection.next(), std::nullopt);
  }
}

TEST(Connection, IsResetByAResponseToARequestThatTheGuestHasNotSeen) {
  auto connection = Connection::by_host(kBuffer);
  EXPECT_EQ(connection.receive(packet(Op::kResponse)).error(), ConnectionError::kNotEstablished);
  EXPECT_EQ(connection.next(), Op::kRst);
}

TEST(Connection, IsResetByASecondRequestOrResponse) {
  for (const auto op : {Op::kRequest, Op::kResponse}) {
    auto connection = established();
    EXPECT_EQ(connection.receive(packet(op)).error(),
              Error(ConnectionError::kEstablished, std::to_underlying(op)));
    EXPECT_EQ(connection.next(), Op::kRst);
  }
}

TEST(Connection, IgnoresEverythingOnceItIsReset) {
  auto connection = established();
  connection.reset();
  for (const auto op :
       {Op::kRequest, Op::kResponse, Op::kShutdown, Op::kCreditUpdate, Op::kCreditRequest})
    EXPECT_TRUE(connection.receive(packet(op, 77)));
  EXPECT_TRUE(give(connection, kBuffer + 1));
  EXPECT_TRUE(connection.to_host().empty());
  EXPECT_FALSE(connection.wants_data());
  EXPECT_EQ(send(connection).op, VIRTIO_VSOCK_OP_RST);
  EXPECT_EQ(connection.next(), std::nullopt);
}

TEST(Connection, KeepsDataForTheHostInOrder) {
  auto connection = established();
  ASSERT_TRUE(give(connection, 60));
  connection.forwarded(50);
  ASSERT_TRUE(give(connection, 20));
  const auto waiting = connection.to_host();
  ASSERT_EQ(waiting.size(), 30u);
  const auto first = pattern(60), second = pattern(20);
  EXPECT_TRUE(std::ranges::equal(waiting.first(10), std::span(first).last(10)));
  EXPECT_TRUE(std::ranges::equal(waiting.last(20), second));
}

TEST(Connection, TakesDataUpToItsBufferAndIsResetByMore) {
  auto connection = established();
  ASSERT_TRUE(give(connection, 60));
  ASSERT_TRUE(give(connection, 40));
  EXPECT_TRUE(give(connection, 0));
  EXPECT_EQ(connection.receive(rw(1)).error(), Error(ConnectionError::kNoCredit, 1, 0));
  EXPECT_EQ(connection.next(), Op::kRst);
  EXPECT_TRUE(connection.to_host().empty());
}

TEST(Connection, HasRoomAgainForWhatTheHostTook) {
  auto connection = established();
  ASSERT_TRUE(give(connection, kBuffer));
  connection.forwarded(30);
  EXPECT_EQ(connection.receive(rw(31)).error(), Error(ConnectionError::kNoCredit, 31, 30));
  connection = established();
  ASSERT_TRUE(give(connection, kBuffer));
  connection.forwarded(30);
  EXPECT_TRUE(give(connection, 30));
}

TEST(Connection, TellsTheGuestWhenAQuarterOfTheBufferIsFreeAgain) {
  auto connection = established();
  ASSERT_TRUE(give(connection, 60));
  connection.forwarded(24);
  EXPECT_EQ(connection.next(), std::nullopt);
  connection.forwarded(1);
  ASSERT_EQ(connection.next(), Op::kCreditUpdate);
  const auto update = send(connection);
  EXPECT_EQ(update.fwd_cnt, 25u);
  EXPECT_EQ(update.buf_alloc, kBuffer);
  EXPECT_EQ(connection.next(), std::nullopt);
}

TEST(Connection, AnswersACreditRequestOnce) {
  auto connection = established();
  ASSERT_TRUE(give(connection, 10));
  connection.forwarded(3);
  ASSERT_TRUE(connection.receive(packet(Op::kCreditRequest)));
  ASSERT_TRUE(connection.receive(packet(Op::kCreditRequest)));
  const auto update = send(connection);
  EXPECT_EQ(update.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
  EXPECT_EQ(update.fwd_cnt, 3u);
  EXPECT_EQ(connection.next(), std::nullopt);
}

TEST(Connection, SendsNoMoreThanTheGuestHasRoomFor) {
  auto connection = established(10);
  connection.offer(pattern(25));
  EXPECT_FALSE(connection.wants_data());
  ASSERT_EQ(connection.next(), Op::kRw);
  const auto bytes = pattern(25);
  EXPECT_TRUE(std::ranges::equal(connection.data(), std::span(bytes).first(10)));
  send(connection);
  ASSERT_EQ(connection.next(), Op::kCreditRequest);

  ASSERT_TRUE(connection.receive(packet(Op::kCreditUpdate, 4, 10)));
  ASSERT_EQ(connection.next(), Op::kRw);
  EXPECT_TRUE(std::ranges::equal(connection.data(), std::span(bytes).subspan(10, 4)));
}

TEST(Connection, AsksForCreditOnceWhateverTheGuestAnswers) {
  auto connection = established(0);
  connection.offer(pattern(5));
  EXPECT_EQ(send(connection).op, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
  EXPECT_EQ(connection.next(), std::nullopt);
  ASSERT_TRUE(connection.receive(packet(Op::kCreditUpdate, 0, 0)));
  EXPECT_EQ(connection.next(), std::nullopt);
  ASSERT_TRUE(connection.receive(packet(Op::kCreditUpdate, 0, 2)));
  send(connection);
  EXPECT_EQ(connection.next(), Op::kCreditRequest);
}

TEST(Connection, TakesAPartOfItsDataWhenABufferHasNoRoomForMore) {
  auto connection = established();
  connection.offer(pattern(25));
  connection.sent(7);
  const auto bytes = pattern(25);
  EXPECT_TRUE(std::ranges::equal(connection.data(), std::span(bytes).subspan(7)));
}

TEST(Connection, DoesNotCountBelowZeroWhenTheGuestsBufferShrinks) {
  auto connection = established(10);
  connection.offer(pattern(25));
  send(connection);
  ASSERT_TRUE(connection.receive(packet(Op::kCreditUpdate, 0, 3)));
  EXPECT_TRUE(connection.data().empty());
  ASSERT_TRUE(connection.receive(packet(Op::kCreditUpdate, 7, 3)));
  EXPECT_TRUE(connection.data().empty());
  ASSERT_TRUE(connection.receive(packet(Op::kCreditUpdate, 8, 3)));
  EXPECT_EQ(connection.data().size(), 1u);
}

TEST(Connection, IsResetWhenTheGuestForwardedMoreThanItGot) {
  auto connection = established();
  connection.offer(pattern(25));
  send(connection);
  EXPECT_EQ(connection.receive(packet(Op::kCreditUpdate, 26)).error(),
            Error(ConnectionError::kForwardCount, 26, 25));
  EXPECT_EQ(connection.next(), Op::kRst);
}

TEST(Connection, KeepsTheLaterOfTwoForwardCounts) {
  auto connection = established(30);
  connection.offer(pattern(60));
  send(connection);
  ASSERT_TRUE(connection.receive(packet(Op::kCreditUpdate, 20, 30)));
  ASSERT_TRUE(connection.receive(packet(Op::kCreditUpdate, 10, 31)));
  EXPECT_EQ(connection.data().size(), 21u);
}

TEST(Connection, DoesNotBelieveTheForwardCountOfARequest) {
  auto connection = Connection::by_guest(kBuffer, packet(Op::kRequest, 1U << 31, 50));
  send(connection);
  connection.offer(pattern(60));
  EXPECT_EQ(connection.data().size(), 50u);
}

TEST(Connection, HandsOnTheEndOfTheGuestsDataWhenTheHostHasAll) {
  auto connection = established();
  ASSERT_TRUE(give(connection, 5));
  ASSERT_TRUE(connection.receive(shutdown(kSend)));
  EXPECT_FALSE(connection.drained());
  connection.forwarded(5);
  EXPECT_TRUE(connection.drained());
  EXPECT_EQ(connection.next(), std::nullopt);
  EXPECT_TRUE(connection.wants_data());
  EXPECT_EQ(connection.receive(rw(1)).error(), Error(ConnectionError::kAfterShutdown, 1));
}

TEST(Connection, DropsWhatAGuestDoesNotReceiveAnyMore) {
  auto connection = established();
  connection.offer(pattern(25));
  ASSERT_TRUE(connection.receive(shutdown(kReceive)));
  EXPECT_EQ(connection.next(), std::nullopt);
  EXPECT_FALSE(connection.wants_data());
  EXPECT_TRUE(give(connection, 10));
}

TEST(Connection, EndsWithARstWhenTheGuestIsDoneAndTheHostHasAll) {
  auto connection = established();
  ASSERT_TRUE(give(connection, 5));
  // The flags of several packets add up, and cannot be taken back.
  ASSERT_TRUE(connection.receive(shutdown(kReceive)));
  ASSERT_TRUE(connection.receive(shutdown(kSend)));
  ASSERT_TRUE(connection.receive(shutdown(0)));
  EXPECT_EQ(connection.state(), State::kEstablished);
  EXPECT_EQ(connection.next(), std::nullopt);
  connection.forwarded(5);
  EXPECT_EQ(connection.state(), State::kReset);
  EXPECT_EQ(connection.next(), Op::kRst);

  connection = established();
  ASSERT_TRUE(connection.receive(shutdown(kReceive | kSend | 0xfc)));
  EXPECT_EQ(connection.next(), Op::kRst);
}

TEST(Connection, TellsTheEndOfTheHostsDataAfterTheData) {
  auto connection = established(10);
  connection.offer(pattern(15));
  connection.host_sends_no_more();
  EXPECT_EQ(send(connection).op, VIRTIO_VSOCK_OP_RW);
  EXPECT_EQ(send(connection).op, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
  EXPECT_EQ(connection.next(), std::nullopt);
  ASSERT_TRUE(connection.receive(packet(Op::kCreditUpdate, 10, 10)));
  EXPECT_EQ(send(connection).op, VIRTIO_VSOCK_OP_RW);
  const auto end = send(connection);
  EXPECT_EQ(end.op, VIRTIO_VSOCK_OP_SHUTDOWN);
  EXPECT_EQ(end.flags, kSend);
  EXPECT_FALSE(connection.finished());
  EXPECT_TRUE(give(connection, 10));
}

TEST(Connection, TellsAtOnceThatTheHostTakesNoMoreAndDropsWhatComes) {
  auto connection = established(10);
  ASSERT_TRUE(give(connection, 20));
  connection.offer(pattern(15));
  connection.host_receives_no_more();
  const auto end = send(connection);
  EXPECT_EQ(end.op, VIRTIO_VSOCK_OP_SHUTDOWN);
  EXPECT_EQ(end.flags, kReceive);
  EXPECT_EQ(end.fwd_cnt, 20u);
  // Data that was on its way is no violation.
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(give(connection, kBuffer));
  EXPECT_TRUE(connection.to_host().empty());
  EXPECT_EQ(send(connection).fwd_cnt, 320u);
  EXPECT_EQ(connection.next(), Op::kRw);
}

TEST(Connection, IsFinishedWhenTheGuestWasToldOfBothEnds) {
  auto connection = established();
  connection.host_receives_no_more();
  send(connection);
  EXPECT_FALSE(connection.finished());
  connection.host_sends_no_more();
  const auto end = send(connection);
  EXPECT_EQ(end.op, VIRTIO_VSOCK_OP_SHUTDOWN);
  EXPECT_EQ(end.flags, kReceive | kSend);
  EXPECT_TRUE(connection.finished());
}

TEST(Connection, IsResetWhenTheHostGoesBeforeTheGuestAccepts) {
  auto connection = requested();
  connection.host_receives_no_more();
  EXPECT_EQ(connection.next(), Op::kRst);
}

TEST(Connection, EndsWithARstWhenTheGuestIsDoneAndTheHostTakesNoMore) {
  auto connection = established();
  ASSERT_TRUE(give(connection, 5));
  ASSERT_TRUE(connection.receive(shutdown(kReceive | kSend)));
  connection.host_receives_no_more();
  EXPECT_EQ(connection.next(), Op::kRst);
}

TEST(SendCredit, WrapsWithItsCounters) {
  SendCredit credit{.buf_alloc = 100, .fwd_cnt = 0xffff'fff0, .tx_cnt = 0x20};
  EXPECT_EQ(credit.in_flight(), 0x30u);
  EXPECT_EQ(credit.free(), 100 - 0x30u);
  ASSERT_TRUE(credit.update(packet(Op::kCreditUpdate, 0x10, 100)));
  EXPECT_EQ(credit.free(), 100 - 0x10u);
  // Behind, across the end.
  ASSERT_TRUE(credit.update(packet(Op::kCreditUpdate, 0xffff'fff0, 100)));
  EXPECT_EQ(credit.fwd_cnt, 0x10u);
  EXPECT_EQ(credit.update(packet(Op::kCreditUpdate, 0x21, 7)).error(),
            Error(ConnectionError::kForwardCount, 0x21, 0x20));
  EXPECT_EQ(credit.buf_alloc, 100u);
}

TEST(SendCredit, IsNoneWhereMoreIsOnItsWayThanFits) {
  const SendCredit credit{.buf_alloc = 5, .fwd_cnt = 0, .tx_cnt = 6};
  EXPECT_EQ(credit.free(), 0u);
}

TEST(ReceiveCredit, IsStaleAfterAQuarterOfTheBufferAlsoWhereCountersWrap) {
  ReceiveCredit credit{.buf_alloc = 6, .fwd_cnt = 0xffff'ffff, .announced = 0xffff'ffff};
  credit.fwd_cnt += 1;
  EXPECT_FALSE(credit.stale());
  credit.fwd_cnt += 1;
  EXPECT_TRUE(credit.stale());
  VsockHdr header;
  credit.announce(header);
  EXPECT_EQ(header.fwd_cnt, 1u);
  EXPECT_FALSE(credit.stale());
}

TEST(ByteQueue, GivesBytesBackInTheirOrderWhereverItIsEmptied) {
  ByteQueue queue;
  std::size_t in = 0, out = 0;
  for (std::size_t step = 1; step < 200; ++step) {
    std::vector<std::byte> bytes(step % 17);
    for (auto& byte : bytes) byte = static_cast<std::byte>(in++);
    queue.push(bytes);
    const auto count = std::min(queue.size(), step % 13);
    for (const auto byte : queue.bytes().first(count))
      ASSERT_EQ(byte, static_cast<std::byte>(out++));
    queue.pop(count);
    ASSERT_EQ(queue.size(), in - out);
  }
}

}  // namespace
}  // namespace guestproof::virtio::vsock
