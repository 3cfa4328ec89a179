#include "guestproof/testing/harness/vsock_device_host.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "guestproof/base/invariant.h"

namespace guestproof::testing {

using namespace virtio::vsock;

std::size_t VsockDeviceHost::open_socket(std::uint32_t port, bool client) {
  sockets_.push_back({.port = port, .client = client});
  return sockets_.size() - 1;
}

void VsockDeviceHost::tell(std::size_t socket, Kind kind) {
  events_.push_back({.kind = kind,
                     .socket = HostSocket{static_cast<int>(socket)},
                     .port = kind == Kind::kConnect ? sockets_[socket].port : 0});
}

std::size_t VsockDeviceHost::connect_client(std::uint32_t guest_port) {
  const auto socket = open_socket(guest_port, true);
  tell(socket, Kind::kConnect);
  return socket;
}

void VsockDeviceHost::send(std::size_t socket, std::span<const std::byte> bytes) {
  auto& s = sockets_.at(socket);
  if (!s.open || s.ended || s.reading_finished) return;
  s.sent.insert(s.sent.end(), bytes.begin(), bytes.end());
  tell(socket, Kind::kReady);
}

void VsockDeviceHost::end(std::size_t socket) {
  auto& s = sockets_.at(socket);
  if (!s.open || std::exchange(s.ended, true)) return;
  tell(socket, Kind::kReady);
}

void VsockDeviceHost::go(std::size_t socket) {
  auto& s = sockets_.at(socket);
  if (!s.open || std::exchange(s.gone, true)) return;
  s.ended = true;
  tell(socket, Kind::kGone);
}

void VsockDeviceHost::take(std::size_t socket, std::uint64_t room) {
  if (!sockets_.at(socket).open) return;
  sockets_[socket].room = room;
  tell(socket, Kind::kReady);
}

void VsockDeviceHost::disturb(std::size_t socket) { tell(socket, Kind::kReady); }

void VsockDeviceHost::clear() {
  sockets_.clear();
  events_.clear();
  write_limit_ = std::numeric_limits<std::size_t>::max();
  fail_connect_ = fail_accept_ = fail_read_ = false;
}

std::optional<HostEvent> VsockDeviceHost::next_event() {
  if (events_.empty()) return std::nullopt;
  const auto event = events_.front();
  events_.pop_front();
  return event;
}

VsockDeviceHost::Socket& VsockDeviceHost::at(HostSocket socket) {
  auto& found = sockets_.at(static_cast<std::size_t>(socket));
  GUESTPROOF_INVARIANT(found.open);
  return found;
}

Result<HostSocket> VsockDeviceHost::connect(std::uint32_t port) {
  if (std::exchange(fail_connect_, false)) return fail(SocketError::kConnect, ECONNREFUSED);
  return HostSocket{static_cast<int>(open_socket(port, false))};
}

Result<void> VsockDeviceHost::accept(HostSocket socket, std::uint32_t port) {
  auto& s = at(socket);
  if (std::exchange(fail_accept_, false)) return fail(SocketError::kWrite, EPIPE);
  s.accepted = port;
  return {};
}

Result<std::optional<std::size_t>> VsockDeviceHost::read(HostSocket socket,
                                                         std::span<std::byte> out) {
  auto& s = at(socket);
  if (std::exchange(fail_read_, false)) return fail(SocketError::kRead, ECONNRESET);
  const auto count = std::min(out.size(), s.sent.size() - s.read);
  if (count == 0) return s.ended ? std::optional<std::size_t>(0) : std::nullopt;
  std::copy_n(s.sent.begin() + static_cast<std::ptrdiff_t>(s.read), count, out.begin());
  s.read += count;
  return count;
}

Result<std::optional<std::size_t>> VsockDeviceHost::write(HostSocket socket,
                                                          std::span<const std::byte> in) {
  auto& s = at(socket);
  if (s.gone) return fail(SocketError::kWrite, EPIPE);
  if (s.room == 0) return std::nullopt;
  const auto count = std::min({in.size(), write_limit_, static_cast<std::size_t>(s.room)});
  s.received.insert(s.received.end(), in.begin(), in.begin() + static_cast<std::ptrdiff_t>(count));
  s.room -= count;
  return count;
}

void VsockDeviceHost::finish_writing(HostSocket socket) { at(socket).writing_finished = true; }
void VsockDeviceHost::finish_reading(HostSocket socket) { at(socket).reading_finished = true; }
void VsockDeviceHost::close(HostSocket socket) { at(socket).open = false; }

}  // namespace guestproof::testing
