#include "guestproof/virtio/device/vsock/unix_sockets.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <ranges>
#include <vector>

#include "planned_errors.h"
#include "scratch.h"
#include "unix_socket.h"

// System calls of the sockets, replaced for this program.
namespace {
guestproof::PlannedErrors listens, receptions, watches;
}  // namespace

extern "C" {
int listen(int fd, int backlog) noexcept {
  return listens.fail() ? -1 : static_cast<int>(::syscall(SYS_listen, fd, backlog));
}
::ssize_t recv(int fd, void* into, std::size_t size, int flags) {
  return receptions.fail() ? -1 : ::syscall(SYS_recvfrom, fd, into, size, flags, nullptr, nullptr);
}
int epoll_ctl(int epoll, int what, int fd, ::epoll_event* event) noexcept {
  return watches.fail() ? -1 : static_cast<int>(::syscall(SYS_epoll_ctl, epoll, what, fd, event));
}
}

namespace guestproof::virtio::vsock {
namespace {

using Kind = HostEvent::Kind;

Fd accept_from(const Fd& service) { return Fd(::accept4(service.get(), nullptr, nullptr, 0)); }

/// What the call answers in a process that can open `count` more descriptors.
template <class Call>
auto with_descriptors(::rlim_t count, Call&& call) {
  const Fd next(::dup(0));
  ::rlimit before{};
  EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const ::rlimit few{static_cast<::rlim_t>(next.get()) + 1 + count, before.rlim_max};
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  auto answer = call();
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  return answer;
}
/// Whether the other end is closed, and nothing is left to be heard.
bool closed(const Fd& fd) {
  char byte = 0;
  return ::recv(fd.get(), &byte, 1, MSG_DONTWAIT) == 0;
}

class UnixSocketsTest : public ::testing::Test {
 protected:
  void SetUp() override { sockets = UnixSockets::listen(path).value(); }

  /// A client that has said what it wants, and the event of it.
  std::pair<Fd, HostEvent> connect_client(std::string_view text) {
    auto client = client_of(path);
    say(client, text);
    auto event = sockets->next_event();
    EXPECT_TRUE(event && event->kind == Kind::kConnect);
    return {std::move(client), event.value_or(HostEvent{})};
  }
  std::string read(HostSocket socket) {
    std::array<std::byte, 100> bytes{};
    const auto got = sockets->read(socket, bytes).value().value();
    return {reinterpret_cast<const char*>(bytes.data()), got};
  }
  Result<std::optional<std::size_t>> write(HostSocket socket, std::string_view text) {
    return sockets->write(socket, std::as_bytes(std::span(text)));
  }

  Scratch scratch;
  const std::string path = scratch.path("v");
  std::unique_ptr<UnixSockets> sockets;
};

TEST(ParseConnect, TakesAPortInDecimal) {
  EXPECT_EQ(parse_connect("CONNECT 0\n"), 0u);
  EXPECT_EQ(parse_connect("CONNECT 1234\nCONNECT 5\n"), 1234u);
  EXPECT_EQ(parse_connect("CONNECT 4294967295\n"), 4294967295u);
}

TEST(ParseConnect, WaitsForEveryBeginningOfAText) {
  const std::string_view text = "CONNECT 4294967295\n";
  for (std::size_t length = 0; length < text.size(); ++length)
    EXPECT_EQ(parse_connect(text.substr(0, length)), std::nullopt) << length;
}

TEST(ParseConnect, RefusesEverythingElse) {
  for (const std::string_view text :
       {"\n", "C\n", "CONNECT\n", "CONNECT \n", "CONNECT x\n", "CONNECT 1x\n", "CONNECT -1\n",
        "CONNECT +1\n", "CONNECT  1\n", "CONNECT 1 \n", "CONNECT 1\r\n", "CONNECT 0x1\n",
        "CONNECT 4294967296\n", "connect 1\n", "GET / HTTP/1.1", "CX", "CONNECT 00000000001\n",
        "CONNECT 99999999999"})
    EXPECT_EQ(parse_connect(text).error(), SocketError::kConnectText) << text;
}

TEST_F(UnixSocketsTest, AClientSaysAPortAndIsToldOfSuccess) {
  const auto [client, event] = connect_client("CONNECT 52\n");
  EXPECT_EQ(event.port, 52u);
  EXPECT_EQ(hear(client), "");
  ASSERT_TRUE(sockets->accept(event.socket, 1073741824));
  EXPECT_EQ(hear(client), "OK 1073741824\n");
  EXPECT_EQ(write(event.socket, "hello"), 5u);
  EXPECT_EQ(hear(client), "hello");
  say(client, "good day");
  EXPECT_EQ(sockets->next_event()->socket, event.socket);
  EXPECT_EQ(read(event.socket), "good day");
}

TEST_F(UnixSocketsTest, WhatAClientSendsAfterItsTextIsData) {
  const auto [client, event] = connect_client("CONNECT 52\nCONNECT 53\n");
  EXPECT_EQ(event.port, 52u);
  EXPECT_EQ(read(event.socket), "CONNECT 53\n");
}

TEST_F(UnixSocketsTest, ATextMayComeInPieces) {
  const auto client = client_of(path);
  for (const auto* piece : {"CON", "NECT 5", "2"}) {
    say(client, piece);
    EXPECT_FALSE(sockets->next_event());
  }
  say(client, "\n");
  EXPECT_EQ(sockets->next_event()->port, 52u);
}

TEST_F(UnixSocketsTest, AClientWithAnotherTextIsClosed) {
  for (const auto* text : {"CONNECT 5x\n", "HELLO", "CONNECT 00000000000000052\n"}) {
    const auto client = client_of(path);
    say(client, text);
    EXPECT_FALSE(sockets->next_event());
    // It has sent what was never read, so it hears of a reset.
    char byte = 0;
    EXPECT_LT(::recv(client.get(), &byte, 1, MSG_DONTWAIT), 0);
    EXPECT_EQ(errno, ECONNRESET);
  }
}

TEST_F(UnixSocketsTest, AClientThatGoesWithoutATextIsForgotten) {
  {
    const auto client = client_of(path);
  }
  EXPECT_FALSE(sockets->next_event());
  {
    const auto client = client_of(path);
    say(client, "CONN");
    EXPECT_FALSE(sockets->next_event());
  }
  EXPECT_FALSE(sockets->next_event());
  connect_client("CONNECT 1\n");
}

TEST_F(UnixSocketsTest, SilentClientsKeepNobodyOut) {
  std::vector<Fd> silent;
  for (std::size_t i = 0; i < kMaxSilentClients; ++i) silent.push_back(client_of(path));
  EXPECT_FALSE(sockets->next_event());
  EXPECT_FALSE(closed(silent[0]));
  const auto [client, event] = connect_client("CONNECT 52\n");
  EXPECT_EQ(event.port, 52u);
  EXPECT_TRUE(closed(silent[0]));
  EXPECT_FALSE(closed(silent[1]));
}

TEST_F(UnixSocketsTest, NobodyIsClosedForOneMoreWhenTheOldestIsGone) {
  std::vector<Fd> silent;
  for (std::size_t i = 0; i < kMaxSilentClients + 1; ++i) silent.push_back(client_of(path));
  silent[0] = Fd();
  EXPECT_FALSE(sockets->next_event());
  EXPECT_EQ(std::ranges::count_if(silent | std::views::drop(1), closed), 0);
}

TEST_F(UnixSocketsTest, ManyClientsAtOnceAreAllHeard) {
  std::vector<Fd> clients;
  for (std::size_t i = 0; i < 3 * kMaxSilentClients; ++i) {
    clients.push_back(client_of(path));
    say(clients.back(), "CONNECT " + std::to_string(i) + "\n");
  }
  std::vector<bool> heard(clients.size());
  while (const auto event = sockets->next_event())
    if (event->kind == Kind::kConnect) heard.at(event->port) = true;
  EXPECT_EQ(std::ranges::count(heard, true), static_cast<std::ptrdiff_t>(clients.size()));
}

// Clients that came faster than they were accepted kept the device in one call for ever.
TEST_F(UnixSocketsTest, NoCallHearsMoreThanSoManyClients) {
  for (std::size_t i = 0; i < 2 * kLooksPerEvent; ++i) static_cast<void>(client_of(path));
  for (int calls = 0; calls < 2; ++calls) {
    const auto event = sockets->next_event();
    ASSERT_TRUE(event) << calls;
    EXPECT_EQ(event->socket, HostSocket::kNone);
  }
  while (const auto event = sockets->next_event()) EXPECT_EQ(event->socket, HostSocket::kNone);
}

TEST_F(UnixSocketsTest, AGuestReachesTheServiceOfAPort) {
  const auto service = service_at(path + "_80");
  const auto socket = sockets->connect(80).value();
  const auto peer = accept_from(service);
  EXPECT_EQ(write(socket, "hello"), 5u);
  EXPECT_EQ(hear(peer), "hello");
  say(peer, "good day");
  EXPECT_EQ(read(socket), "good day");
}

TEST_F(UnixSocketsTest, AGuestIsRefusedWhereNobodyListens) {
  EXPECT_EQ(sockets->connect(80).error(), Error(SocketError::kConnect, ENOENT));
  {
    const auto service = service_at(path + "_80");
  }
  EXPECT_EQ(sockets->connect(80).error(), Error(SocketError::kConnect, ECONNREFUSED));
}

TEST_F(UnixSocketsTest, AServiceThatDoesNotAcceptIsARefusalAndNoWait) {
  const auto service = service_at(path + "_80");
  std::vector<HostSocket> open;
  auto socket = sockets->connect(80);
  for (int i = 0; socket && i < 100; ++i) {
    open.push_back(*socket);
    socket = sockets->connect(80);
  }
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error(), Error(SocketError::kConnect, EAGAIN));
}

TEST_F(UnixSocketsTest, NothingWaitsAndAnEventSaysWhenToTryAgain) {
  const auto service = service_at(path + "_80");
  const auto socket = sockets->connect(80).value();
  const auto peer = accept_from(service);
  std::array<std::byte, 10> bytes{};
  EXPECT_EQ(sockets->read(socket, bytes), std::nullopt);
  std::size_t written = 0;
  const std::string much(50000, 'x');
  for (auto done = write(socket, much); done.value(); done = write(socket, much)) written += **done;
  EXPECT_GT(written, 0u);
  while (sockets->next_event()) {
  }
  std::size_t heard = 0;
  for (auto text = hear(peer); !text.empty(); text = hear(peer)) heard += text.size();
  EXPECT_EQ(heard, written);
  const auto event = sockets->next_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, Kind::kReady);
  EXPECT_EQ(event->socket, socket);
  EXPECT_EQ(write(socket, "more"), 4u);
}

TEST_F(UnixSocketsTest, TheEndOfThePeersDataIsNotItsEnd) {
  const auto service = service_at(path + "_80");
  const auto socket = sockets->connect(80).value();
  const auto peer = accept_from(service);
  while (sockets->next_event()) {
  }
  say(peer, "last");
  ::shutdown(peer.get(), SHUT_WR);
  EXPECT_EQ(sockets->next_event()->kind, Kind::kReady);
  EXPECT_EQ(read(socket), "last");
  EXPECT_EQ(read(socket), "");
  EXPECT_EQ(write(socket, "more"), 4u);
  EXPECT_EQ(hear(peer), "more");
}

TEST_F(UnixSocketsTest, APeerThatIsGoneIsAnEventAndAnErrorAndLeavesItsData) {
  const auto service = service_at(path + "_80");
  const auto socket = sockets->connect(80).value();
  {
    const auto peer = accept_from(service);
    say(peer, "last");
  }
  EXPECT_EQ(sockets->next_event()->kind, Kind::kGone);
  EXPECT_EQ(write(socket, "more").error(), Error(SocketError::kWrite, EPIPE));
  EXPECT_EQ(read(socket), "last");
  EXPECT_EQ(read(socket), "");
}

TEST_F(UnixSocketsTest, APeerThatLeftDataUnreadIsAnErrorOfReading) {
  const auto service = service_at(path + "_80");
  const auto socket = sockets->connect(80).value();
  {
    const auto peer = accept_from(service);
    EXPECT_EQ(write(socket, "unread"), 6u);
  }
  std::array<std::byte, 10> bytes{};
  EXPECT_EQ(sockets->read(socket, bytes).error(), Error(SocketError::kRead, ECONNRESET));
}

TEST_F(UnixSocketsTest, BothDirectionsAreFinishedByThemselves) {
  const auto service = service_at(path + "_80");
  const auto socket = sockets->connect(80).value();
  const auto peer = accept_from(service);
  sockets->finish_writing(socket);
  EXPECT_TRUE(closed(peer));
  say(peer, "still");
  EXPECT_EQ(read(socket), "still");
  sockets->finish_reading(socket);
  EXPECT_EQ(::send(peer.get(), "x", 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EPIPE);
}

TEST_F(UnixSocketsTest, ASocketThatIsClosedHasNoEvents) {
  const auto service = service_at(path + "_80");
  const auto socket = sockets->connect(80).value();
  const auto peer = accept_from(service);
  say(peer, "unread");
  sockets->close(socket);
  EXPECT_FALSE(sockets->next_event());
}

TEST_F(UnixSocketsTest, AClientWaitsWhileTheProcessHasNoDescriptorLeft) {
  const auto client = client_of(path);
  say(client, "CONNECT 52\n");
  EXPECT_FALSE(with_descriptors(0, [&] { return sockets->next_event(); }));
  EXPECT_EQ(sockets->next_event()->port, 52u);
}

TEST_F(UnixSocketsTest, APathHasRoomForAPortAndIsNotTaken) {
  EXPECT_EQ(UnixSockets::listen(path).error(), Error(SocketError::kBind, EADDRINUSE));
  EXPECT_EQ(UnixSockets::listen("").error(), Error(SocketError::kPath, 0, 96));
  EXPECT_EQ(UnixSockets::listen(std::string(97, 'x')).error(), Error(SocketError::kPath, 97, 96));
  EXPECT_EQ(UnixSockets::listen("/nowhere/at/all").error(), Error(SocketError::kBind, ENOENT));
}

TEST_F(UnixSocketsTest, WhatAProcessThatWasKilledLeftIsReplaced) {
  const auto other = scratch.path("w");
  static_cast<void>(service_at(other));  // closed, and still there
  ASSERT_TRUE(std::filesystem::exists(other));
  // Not by a process that cannot open another socket to find out.
  EXPECT_EQ(with_descriptors(2, [&] { return UnixSockets::listen(other).error(); }),
            Error(SocketError::kBind, EADDRINUSE));
  const auto again = UnixSockets::listen(other);
  ASSERT_TRUE(again) << again.error().message();
  static_cast<void>(client_of(other));
}

TEST_F(UnixSocketsTest, ASocketOfAnotherKindIsNotReplaced) {
  const auto other = scratch.path("w");
  const auto address = unix_address(other);
  const Fd datagrams(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(datagrams.get(), reinterpret_cast<const ::sockaddr*>(&address), sizeof address),
            0);
  EXPECT_EQ(UnixSockets::listen(other).error(), Error(SocketError::kBind, EADDRINUSE));
  EXPECT_TRUE(std::filesystem::exists(other));
}

TEST_F(UnixSocketsTest, WhatIsNoSocketIsNotReplaced) {
  const auto other = scratch.file("w", "somebody's data");
  EXPECT_EQ(UnixSockets::listen(other).error(), Error(SocketError::kBind, EADDRINUSE));
  EXPECT_EQ(contents(other), "somebody's data");
}

TEST_F(UnixSocketsTest, WhatTheSystemRefusesLeavesNothingBehind) {
  const auto other = scratch.path("w");
  const auto refusal = [&] { return UnixSockets::listen(other).error(); };
  EXPECT_EQ(with_descriptors(0, refusal), Error(SocketError::kSocket, EMFILE));
  EXPECT_EQ(with_descriptors(1, refusal), Error(SocketError::kEpoll, EMFILE));
  listens.next = {ENOMEM};
  EXPECT_EQ(refusal(), Error(SocketError::kBind, ENOMEM));
  watches.next = {ENOSPC};
  EXPECT_EQ(refusal(), Error(SocketError::kEpoll, ENOSPC));
  EXPECT_FALSE(std::filesystem::exists(other));
}

TEST_F(UnixSocketsTest, AGuestIsRefusedWhereTheSystemHasNoRoom) {
  const auto service = service_at(path + "_80");
  const auto refusal = [&] { return sockets->connect(80).error(); };
  EXPECT_EQ(with_descriptors(0, refusal), Error(SocketError::kSocket, EMFILE));
  watches.next = {ENOSPC};
  EXPECT_EQ(refusal(), Error(SocketError::kEpoll, ENOSPC));
  EXPECT_TRUE(closed(accept_from(service)));
}

TEST_F(UnixSocketsTest, AClientThatCannotBeWatchedIsClosed) {
  const auto client = client_of(path);
  say(client, "CONNECT 52\n");
  watches.next = {ENOSPC};
  EXPECT_FALSE(sockets->next_event());
  EXPECT_EQ(::send(client.get(), "x", 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EPIPE);
}

TEST_F(UnixSocketsTest, AClientWhoseTextCannotBeReadIsClosed) {
  for (const auto& errors : {std::vector{ECONNRESET}, std::vector{0, ECONNRESET}}) {
    const auto client = client_of(path);
    say(client, "CONNECT 52\n");
    receptions.next = errors;
    EXPECT_FALSE(sockets->next_event());
    EXPECT_EQ(::send(client.get(), "x", 1, MSG_NOSIGNAL), -1);
    EXPECT_EQ(errno, EPIPE);
  }
}

TEST_F(UnixSocketsTest, CallsThatASignalInterruptsAreMadeAgain) {
  receptions.next = {EINTR, EINTR};
  const auto [client, event] = connect_client("CONNECT 52\n");
  EXPECT_EQ(event.port, 52u);
  say(client, "good day");
  receptions.next = {EINTR};
  EXPECT_EQ(read(event.socket), "good day");
}

TEST_F(UnixSocketsTest, AClientThatIsGoneIsAnErrorOfAccepting) {
  auto [client, event] = connect_client("CONNECT 52\n");
  client = Fd();
  EXPECT_EQ(sockets->accept(event.socket, 1).error(), Error(SocketError::kWrite, EPIPE));
}

TEST_F(UnixSocketsTest, ThePathIsRemovedInTheEnd) {
  EXPECT_TRUE(std::filesystem::exists(path));
  sockets.reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(UnixSocketsTest, TheDescriptorIsReadableWhileThereAreEvents) {
  ::pollfd poll{.fd = sockets->host_fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&poll, 1, 0), 0);
  const auto client = client_of(path);
  EXPECT_EQ(::poll(&poll, 1, 0), 1);
  EXPECT_FALSE(sockets->next_event());
  EXPECT_EQ(::poll(&poll, 1, 0), 0);
}

}  // namespace
}  // namespace guestproof::virtio::vsock
