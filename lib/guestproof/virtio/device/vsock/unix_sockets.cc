#include "guestproof/virtio/device/vsock/unix_sockets.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace guestproof::virtio::vsock {
namespace {

constexpr std::string_view kConnect = "CONNECT ";
constexpr std::string_view kLongestPort = "_4294967295";
constexpr int kFlags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

std::unexpected<Error> system_error(SocketError what) {
  return fail(what, static_cast<std::uint64_t>(errno));
}

bool would_block() { return errno == EAGAIN; }

template <class Call>
auto uninterrupted(Call&& call) {
  for (;;)
    if (const auto done = call(); done >= 0 || errno != EINTR) return done;
}

/// REQUIRES: the path has room in it.
::sockaddr_un address_of(std::string_view path) {
  ::sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::ranges::copy(path, address.sun_path);
  return address;
}

template <class Call>
int with_address(std::string_view path, Call&& call) {
  const auto address = address_of(path);
  // SAFETY: the sockets interface takes every address as its common beginning.
  return call(reinterpret_cast<const ::sockaddr*>(&address),
              static_cast<socklen_t>(sizeof address));
}

/// Of what a process that was killed has left: a socket that nobody listens at. (To connect to any
/// other file is refused, too.)
void remove_abandoned(const std::string& path) {
  struct ::stat facts{};
  ::lstat(path.c_str(), &facts);
  const Fd client(::socket(AF_UNIX, kFlags, 0));
  if (!client.valid()) return;
  const auto connected = with_address(
      path, [&](const auto* address, auto size) { return ::connect(client.get(), address, size); });
  if (S_ISSOCK(facts.st_mode) && connected != 0 && errno == ECONNREFUSED) ::unlink(path.c_str());
}

}  // namespace

Result<std::optional<std::uint32_t>> parse_connect(std::string_view text) {
  const auto end = text.substr(0, kMaxConnectText).find('\n');
  const auto line = text.substr(0, std::min(end, kMaxConnectText));
  const auto wrong = fail(SocketError::kConnectText, line.size(), kMaxConnectText);
  const auto common = std::min(line.size(), kConnect.size());
  if (line.substr(0, common) != kConnect.substr(0, common)) return wrong;
  if (end == std::string_view::npos) {
    if (line.size() == kMaxConnectText) return wrong;
    return std::nullopt;
  }
  const auto number = line.substr(common);
  std::uint32_t port = 0;
  const auto [rest, failed] = std::from_chars(number.begin(), number.end(), port);
  if (number.empty() || failed != std::errc() || rest != number.end()) return wrong;
  return port;
}

Result<std::unique_ptr<UnixSockets>> UnixSockets::listen(std::string path) {
  constexpr auto limit = sizeof(::sockaddr_un::sun_path) - 1 - kLongestPort.size();
  if (path.empty() || path.size() > limit) return fail(SocketError::kPath, path.size(), limit);
  Fd listener(::socket(AF_UNIX, kFlags, 0));
  if (!listener.valid()) return system_error(SocketError::kSocket);
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return system_error(SocketError::kEpoll);
  const auto bind = [&] {
    return with_address(path, [&](const auto* address, auto size) {
      return ::bind(listener.get(), address, size);
    });
  };
  auto bound = bind();
  if (bound != 0 && errno == EADDRINUSE) {
    remove_abandoned(path);
    bound = bind();
  }
  if (bound != 0) return system_error(SocketError::kBind);
  std::unique_ptr<UnixSockets> sockets(
      new UnixSockets(std::move(path), std::move(listener), std::move(epoll)));
  if (::listen(sockets->listener_.get(), SOMAXCONN) != 0) return system_error(SocketError::kBind);
  if (const auto ok = sockets->watch(sockets->listener_.get()); !ok)
    return std::unexpected(ok.error());
  return sockets;
}

UnixSockets::~UnixSockets() { ::unlink(path_.c_str()); }

Result<void> UnixSockets::watch(int fd) const {
  ::epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return system_error(SocketError::kEpoll);
}

std::optional<HostEvent> UnixSockets::next_event() {
  for (auto looks = kLooksPerEvent; looks != 0; --looks) {  // UNREACHABLE: its end, see there
    if (auto event = accept_clients(looks)) return event;
    // One at a time: none can be about a descriptor that was closed since.
    ::epoll_event event{};
    if (uninterrupted([&] { return ::epoll_wait(epoll_.get(), &event, 1, 0); }) <= 0)
      return std::nullopt;
    const int fd = event.data.fd;
    if (fd == listener_.get()) {
      clients_wait_ = true;
      continue;
    }
    const auto client = std::ranges::find(silent_, fd, &Fd::get);
    if (client == silent_.end()) {
      const bool gone = (event.events & (EPOLLHUP | EPOLLERR)) != 0;
      return HostEvent{.kind = gone ? HostEvent::Kind::kGone : HostEvent::Kind::kReady,
                       .socket = HostSocket{fd}};
    }
    if (auto connect = listen_to(client)) return connect;
  }
  // UNREACHABLE: only while silent clients write a byte at a time as fast as they are looked at
  return HostEvent{};
}

std::optional<HostEvent> UnixSockets::accept_clients(std::size_t& looks) {
  for (; clients_wait_; --looks) {
    if (looks == 1) return HostEvent{};
    Fd client(uninterrupted([&] {
      return ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }));
    if (!client.valid()) {
      // Without a descriptor left the client waits, until something else happens here.
      clients_wait_ = !would_block();
      break;
    }
    if (watch(client.get())) silent_.push_back(std::move(client));
    if (silent_.size() <= kMaxSilentClients) continue;
    if (auto connect = listen_to(silent_.begin())) return connect;
    if (silent_.size() > kMaxSilentClients) silent_.pop_front();
  }
  return std::nullopt;
}

std::optional<HostEvent> UnixSockets::listen_to(const std::deque<Fd>::iterator& client) {
  // What comes after the text is the connection's data and stays in the socket.
  std::array<char, kMaxConnectText> text{};
  const int fd = client->get();
  const auto peeked = uninterrupted([&] { return ::recv(fd, text.data(), text.size(), MSG_PEEK); });
  if (peeked < 0 && would_block()) return std::nullopt;
  const auto seen =
      std::string_view(text.data(), static_cast<std::size_t>(std::max<ssize_t>(peeked, 0)));
  const auto port = parse_connect(seen);
  if (peeked > 0 && port && !*port) return std::nullopt;
  auto socket = std::move(*client);
  silent_.erase(client);
  if (peeked <= 0 || !port) return std::nullopt;
  const auto length = seen.find('\n') + 1;
  if (::recv(fd, text.data(), length, 0) != static_cast<ssize_t>(length)) return std::nullopt;
  open_.emplace(HostSocket{fd}, std::move(socket));
  return HostEvent{.kind = HostEvent::Kind::kConnect, .socket = HostSocket{fd}, .port = **port};
}

Result<HostSocket> UnixSockets::connect(std::uint32_t port) {
  Fd socket(::socket(AF_UNIX, kFlags, 0));
  if (!socket.valid()) return system_error(SocketError::kSocket);
  const auto connected =
      with_address(path_ + "_" + std::to_string(port), [&](const auto* address, auto size) {
        return uninterrupted([&] { return ::connect(socket.get(), address, size); });
      });
  // A backlog that is full (EAGAIN) is a refusal as well: there is no event when it is not any
  // more.
  if (connected != 0) return system_error(SocketError::kConnect);
  if (const auto ok = watch(socket.get()); !ok) return std::unexpected(ok.error());
  const HostSocket name{socket.get()};
  open_.emplace(name, std::move(socket));
  return name;
}

Result<void> UnixSockets::accept(HostSocket socket, std::uint32_t port) {
  const auto text = "OK " + std::to_string(port) + "\n";
  // The first bytes to this socket: if they do not fit, nothing ever will.
  const auto sent = uninterrupted(
      [&] { return ::send(static_cast<int>(socket), text.data(), text.size(), MSG_NOSIGNAL); });
  if (sent == static_cast<ssize_t>(text.size())) return {};
  return system_error(SocketError::kWrite);
}

Result<std::optional<std::size_t>> UnixSockets::read(HostSocket socket, std::span<std::byte> out) {
  const auto got =
      uninterrupted([&] { return ::recv(static_cast<int>(socket), out.data(), out.size(), 0); });
  if (got >= 0) return static_cast<std::size_t>(got);
  if (would_block()) return std::nullopt;
  return system_error(SocketError::kRead);
}

Result<std::optional<std::size_t>> UnixSockets::write(HostSocket socket,
                                                      std::span<const std::byte> in) {
  const auto sent = uninterrupted(
      [&] { return ::send(static_cast<int>(socket), in.data(), in.size(), MSG_NOSIGNAL); });
  if (sent >= 0) return static_cast<std::size_t>(sent);
  if (would_block()) return std::nullopt;
  return system_error(SocketError::kWrite);
}

void UnixSockets::finish_writing(HostSocket socket) {
  ::shutdown(static_cast<int>(socket), SHUT_WR);
}

void UnixSockets::finish_reading(HostSocket socket) {
  ::shutdown(static_cast<int>(socket), SHUT_RD);
}

void UnixSockets::close(HostSocket socket) { open_.erase(socket); }

}  // namespace guestproof::virtio::vsock
