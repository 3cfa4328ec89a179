#include "guestproof/virtio/device/vsock/connections.h"

#include <utility>

#include "guestproof/base/invariant.h"

namespace guestproof::virtio::vsock {
namespace {

// Above what services listen on, as the hosts do whose convention UnixSockets follows.
constexpr std::uint32_t kFirstHostPort = 0x4000'0000;
constexpr std::uint32_t kLastHostPort = 0x7fff'ffff;

}  // namespace

Connections::Connections(std::uint64_t guest_cid, HostSockets& sockets, const Limits& limits)
    : guest_cid_(guest_cid),
      sockets_(sockets),
      limits_(limits),
      next_port_(kFirstHostPort),
      read_buffer_(limits.read) {
  GUESTPROOF_INVARIANT(check_guest_cid(guest_cid));
}

void Connections::reset() {
  for (auto& [key, entry] : table_) close(entry);
  table_.clear();
  replies_.clear();
  turn_ = {};
  next_port_ = kFirstHostPort;
}

Result<bool> Connections::receive(const VsockHdr& header) {
  GUESTPROOF_INVARIANT(can_receive());
  const auto checked = check_header(header, guest_cid_, types_);
  if (!checked && !wants_reset(checked.error())) return std::unexpected(checked.error());
  const auto found = table_.find(key_of(header));
  const bool known = found != table_.end();
  if (!checked) {
    // A socket of a type that does not exist is not the one with these ports.
    if (!known || checked.error() == VsockError::kType) {
      replies_.push_back(reset_of(header));
    } else {
      found->second.connection.reset();
      settle(found->second);
    }
    return std::unexpected(checked.error());
  }
  const auto op = *op_of(header);
  auto done = Result<void>();
  if (op == Op::kRst) {
    if (known) forget(found);
  } else if (known) {
    done = deliver(found, header);
  } else if (op == Op::kRequest) {
    done = open(header);
  } else {
    done = refuse(header, Error(ConnectionError::kUnknown, header.op));
  }
  if (!done) return std::unexpected(done.error());
  // What is reset takes no data, whose length was not looked at then.
  return op == Op::kRw && known && found->second.connection.state() != Connection::State::kReset;
}

Result<void> Connections::open(const VsockHdr& request) {
  if (table_.size() >= limits_.connections)
    return refuse(request, Error(ConnectionError::kTooMany, table_.size(), limits_.connections));
  const auto socket = sockets_.connect(request.dst_port);
  if (!socket) return refuse(request, socket.error());
  add(key_of(request), Connection::by_guest(limits_.buffer, request), *socket);
  return {};
}

Result<void> Connections::refuse(const VsockHdr& received, const Error& why) {
  replies_.push_back(reset_of(received));
  return std::unexpected(why);
}

Result<void> Connections::deliver(Table::iterator found, const VsockHdr& header) {
  auto& [key, entry] = *found;
  const bool requested = entry.connection.state() == Connection::State::kRequested;
  const auto done = entry.connection.receive(header);
  if (requested && entry.connection.state() == Connection::State::kEstablished &&
      !sockets_.accept(entry.socket, key.host_port)) {
    entry.connection.host_sends_no_more();
    entry.connection.host_receives_no_more();
  }
  settle(entry);
  return done;
}

void Connections::receive_data(const VsockHdr& header, std::span<const std::byte> data) {
  auto& entry = table_.at(key_of(header));
  entry.connection.receive_data(data);
  settle(entry);
}

void Connections::lose_data(const VsockHdr& header) {
  auto& entry = table_.at(key_of(header));
  entry.connection.reset();
  settle(entry);
}

void Connections::add(const Key& key, Connection&& connection, HostSocket socket) {
  table_.emplace(key, Entry{.connection = std::move(connection), .socket = socket});
  by_socket_.emplace(socket, key);
}

void Connections::settle(Entry& entry) {
  auto& connection = entry.connection;
  if (entry.socket == HostSocket::kNone) return;
  flush(entry);
  if (connection.state() == Connection::State::kReset) return close(entry);
  if (connection.drained() && !std::exchange(entry.writing_finished, true))
    sockets_.finish_writing(entry.socket);
  if (connection.guest_receives_no_more() && !std::exchange(entry.reading_finished, true))
    sockets_.finish_reading(entry.socket);
}

void Connections::flush(Entry& entry) {
  auto& connection = entry.connection;
  while (entry.writable && !connection.to_host().empty()) {
    const auto wrote = sockets_.write(entry.socket, connection.to_host());
    if (!wrote) return connection.host_receives_no_more();
    entry.writable = wrote->has_value();
    if (*wrote) connection.forwarded(**wrote);
  }
}

void Connections::refill(Entry& entry) {
  auto& connection = entry.connection;
  if (!entry.readable || !connection.wants_data()) return;
  const auto got = sockets_.read(entry.socket, read_buffer_);
  if (got && !*got) {
    entry.readable = false;
  } else if (got && **got != 0) {
    connection.offer(std::span(read_buffer_).first(**got));
  } else {
    connection.host_sends_no_more();
    if (!got) connection.host_receives_no_more();
    settle(entry);
  }
}

bool Connections::host_ready() {
  for (std::uint32_t i = 0; i < kEventsPerTurn; ++i) {
    const auto event = sockets_.next_event();
    if (!event) return false;
    if (event->kind == HostEvent::Kind::kConnect) {
      client(event->socket, event->port);
      continue;
    }
    const auto key = by_socket_.find(event->socket);
    if (key == by_socket_.end()) continue;
    auto& entry = table_.at(key->second);
    entry.readable = entry.writable = true;
    if (event->kind == HostEvent::Kind::kGone) entry.connection.host_receives_no_more();
    settle(entry);
  }
  return true;
}

void Connections::client(HostSocket socket, std::uint32_t guest_port) {
  if (table_.size() >= limits_.connections) return sockets_.close(socket);
  Key key{next_port_, guest_port};
  const auto next = [](std::uint32_t port) {
    return port == kLastHostPort ? kFirstHostPort : port + 1;
  };
  while (table_.contains(key)) key.host_port = next(key.host_port);
  next_port_ = next(key.host_port);
  add(key, Connection::by_host(limits_.buffer), socket);
}

bool Connections::prepare() {
  reply_is_next_ = !replies_.empty();
  if (reply_is_next_) return true;
  auto found = table_.upper_bound(turn_);
  for (auto left = table_.size(); left != 0; --left, ++found) {
    if (found == table_.end()) found = table_.begin();
    refill(found->second);
    if (!found->second.connection.next()) continue;
    next_ = found->first;
    return true;
  }
  return false;
}

VsockHdr Connections::header() const {
  if (reply_is_next_) return replies_.front();
  VsockHdr header;
  header.src_cid = kHostCid;
  header.dst_cid = guest_cid_;
  header.src_port = next_.host_port;
  header.dst_port = next_.guest_port;
  table_.at(next_).connection.fill(header);
  return header;
}

std::span<const std::byte> Connections::data() const {
  if (reply_is_next_) return {};
  const auto& connection = table_.at(next_).connection;
  return connection.next() == Op::kRw ? connection.data() : std::span<const std::byte>();
}

void Connections::sent(std::size_t bytes) {
  if (reply_is_next_) return replies_.pop_front();
  turn_ = next_;
  const auto found = table_.find(next_);
  found->second.connection.sent(bytes);
  if (found->second.connection.finished()) forget(found);
}

void Connections::close(Entry& entry) {
  if (entry.socket == HostSocket::kNone) return;
  by_socket_.erase(entry.socket);
  sockets_.close(std::exchange(entry.socket, HostSocket::kNone));
}

void Connections::forget(Table::iterator found) {
  close(found->second);
  table_.erase(found);
}

}  // namespace guestproof::virtio::vsock
