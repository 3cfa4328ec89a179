#include "guestproof/testing/model/vsock_device_model.h"

#include <algorithm>
#include <tuple>

namespace guestproof::testing {
namespace {

using enum ModelVsockHeader::Op;
constexpr auto kHeader = ModelVsockHeader::kBytes;
constexpr auto kHost = ModelVsockHeader::kHost;

}  // namespace

std::vector<std::uint8_t> VsockDeviceModel::config() const {
  std::vector<std::uint8_t> bytes;
  append_number(bytes, 8, guest_cid_);
  return bytes;
}

void VsockDeviceModel::start(std::uint64_t features) {
  // §5.10.3.2: a driver that negotiates nothing has streams. One that negotiates
  // NO_IMPLIED_STREAM has them if it says so.
  streams_ = (features & 1) != 0 || (features & 4) == 0;
  started_ = true;
}

void VsockDeviceModel::reset() {
  for (auto& c : connections_) close(c);
  connections_.clear();
  replies_.clear();
  turn_host_ = turn_guest_ = 0;
  next_port_ = 0x40000000;
  started_ = event_owed_ = waiting = false;
}

ModelError VsockDeviceModel::restore(std::span<const std::uint8_t> bytes) {
  if (!bytes.empty()) return {"device_state.device", bytes.size()};
  event_owed_ = started_;
  return {};
}

VsockDeviceModel::Connection* VsockDeviceModel::find(std::uint32_t host_port,
                                                     std::uint32_t guest_port) {
  for (auto& c : connections_)
    if (c.host_port == host_port && c.guest_port == guest_port) return &c;
  return nullptr;
}

ModelError VsockDeviceModel::transmit(const WatchedMemory& memory, const ModelChain& chain) {
  last_transmitted_ = {};
  const ModelMemory plain(memory);
  if (!chain.fault.none()) return chain.fault;
  if (chain.writable_bytes() != 0) return {"vsock.tx_writable", chain.writable_bytes()};
  if (chain.readable_bytes() < kHeader) return {"vsock.tx_header", chain.readable_bytes(), kHeader};
  Packet::Bytes bytes{};
  if (const auto got = chain.read(plain, 0, bytes); got != kHeader)
    return no_memory(memory, chain.readable, got);
  const auto packet = Packet::from(bytes);
  if (kHeader + std::uint64_t{packet.len} > chain.readable_bytes())
    return {"vsock.tx_data_length", packet.len, chain.readable_bytes() - kHeader};

  // What is not for a socket of this guest, or from one, is dropped.
  if (packet.src_cid >> 32 != 0) return {"vsock.src_cid_reserved", packet.src_cid, 0xffffffff};
  if (packet.dst_cid >> 32 != 0) return {"vsock.dst_cid_reserved", packet.dst_cid, 0xffffffff};
  if (packet.src_cid != guest_cid_) return {"vsock.src_cid", packet.src_cid, guest_cid_};
  if (packet.dst_cid != kHost) return {"vsock.dst_cid", packet.dst_cid, kHost};
  if (packet.type != 1 || !streams_) {
    answer_with_reset(packet);
    return {"vsock.type", packet.type, 2};
  }
  auto* c = find(packet.dst_port, packet.src_port);
  if (packet.op < kRequest || packet.op > kCreditRequest) {
    if (c == nullptr) {
      answer_with_reset(packet);
    } else {
      kill(*c);
      serve_host(*c);
    }
    return {"vsock.op", packet.op, kCreditRequest};
  }

  last_transmitted_ = packet;
  if (c == nullptr) {
    if (packet.op == kRst) return {};
    if (packet.op == kRequest) return open(packet);
    answer_with_reset(packet);
    return {"vsock_connection.unknown", packet.op};
  }
  if (packet.op == kRst) {
    remove(*c);
    return {};
  }
  const bool was_established = c->established;
  auto error = act(*c, packet);
  if (!error.none()) kill(*c);
  if (!was_established && c->established) {
    auto& socket = host.sockets[c->socket];
    if (host.fail_accept) {
      c->host_sends = false;
      host_takes_no_more(*c);
    } else {
      socket.accepted = c->host_port;
    }
    host.fail_accept = false;
  }
  serve_host(*c);
  if (!error.none() || packet.op != kRw || c->dead) return error;

  std::vector<std::uint8_t> data(packet.len);
  if (const auto got = chain.read(plain, kHeader, data); got != data.size()) {
    kill(*c);
    serve_host(*c);
    return no_memory(memory, chain.readable, kHeader + got);
  }
  c->came += data.size();
  if (c->host_receives)
    c->to_host.insert(c->to_host.end(), data.begin(), data.end());
  else
    c->taken += data.size();
  serve_host(*c);
  return {};
}

ModelError VsockDeviceModel::open(const Packet& packet) {
  if (connections_.size() >= limits_.connections) {
    answer_with_reset(packet);
    return {"vsock_connection.too_many", connections_.size(), limits_.connections};
  }
  if (host.fail_connect) {
    host.fail_connect = false;
    answer_with_reset(packet);
    return {"vsock_socket.connect", 111};  // ECONNREFUSED
  }
  host.sockets.push_back({.port = packet.dst_port});
  Connection c;
  c.host_port = packet.dst_port;
  c.guest_port = packet.src_port;
  c.socket = host.sockets.size() - 1;
  c.established = true;
  c.guests_buffer = packet.buf_alloc;
  connections_.push_back(c);
  std::ranges::sort(connections_, {},
                    [](const auto& each) { return std::tuple(each.host_port, each.guest_port); });
  return {};
}

ModelError VsockDeviceModel::act(Connection& c, const Packet& packet) {
  if (c.dead) return {};
  if (!c.established) {
    if (packet.op != kResponse || c.opening) return {"vsock_connection.not_established", packet.op};
  } else if (packet.op == kRequest || packet.op == kResponse) {
    return {"vsock_connection.established", packet.op};
  }
  // How far the guest says it is since it last said so; half of what 32 bits can say is back.
  const std::uint32_t step = packet.fwd_cnt - static_cast<std::uint32_t>(c.acknowledged);
  if (step < 0x80000000) {
    if (c.acknowledged + step > c.sent)
      return {"vsock_connection.forward_count", packet.fwd_cnt, static_cast<std::uint32_t>(c.sent)};
    c.acknowledged += step;
  }
  c.guests_buffer = packet.buf_alloc;
  if (credit(c) != 0) c.credit_awaited = false;

  switch (packet.op) {
    case kResponse:
      c.established = true;
      break;
    case kRw: {
      if (!c.guest_sends) return {"vsock_connection.after_shutdown", packet.len};
      const auto room = limits_.buffer - (c.came - c.taken);
      if (packet.len > room) return {"vsock_connection.no_credit", packet.len, room};
      break;
    }
    case kShutdown:
      if ((packet.flags & 2) != 0) c.guest_sends = false;
      if ((packet.flags & 1) != 0) {
        c.guest_receives = false;
        c.to_guest.clear();
      }
      break;
    case kCreditRequest:
      c.credit_asked = true;
      break;
    default:
      break;
  }
  return {};
}

void VsockDeviceModel::answer_with_reset(const Packet& packet) {
  Packet reply;
  reply.src_cid = packet.dst_cid;
  reply.dst_cid = packet.src_cid;
  reply.src_port = packet.dst_port;
  reply.dst_port = packet.src_port;
  reply.type = packet.type;
  reply.op = kRst;
  replies_.push_back(reply);
}

void VsockDeviceModel::kill(Connection& c) {
  c.dead = true;
  c.to_host.clear();
  c.to_guest.clear();
}

void VsockDeviceModel::host_takes_no_more(Connection& c) {
  if (c.dead) return;
  if (!c.established) return kill(c);
  c.host_receives = false;
  c.taken = c.came;
  c.to_host.clear();
}

void VsockDeviceModel::close(Connection& c) { host.sockets[c.socket].open = false; }

void VsockDeviceModel::remove(const Connection& c) {
  host.sockets[c.socket].open = false;
  std::erase_if(connections_, [&](const Connection& each) { return &each == &c; });
}

/// Everything that there is to be done at the host's end.
void VsockDeviceModel::serve_host(Connection& c) {
  auto& socket = host.sockets[c.socket];
  if (!socket.open) return;
  while (c.may_write && !c.to_host.empty()) {
    if (socket.gone) {
      host_takes_no_more(c);
      break;
    }
    if (socket.room == 0) {
      c.may_write = false;
      break;
    }
    // Byte by byte, as often as one write may.
    for (std::uint64_t i = 0; i < host.most_written && socket.room != 0 && !c.to_host.empty();
         ++i) {
      socket.received.push_back(c.to_host.front());
      c.to_host.erase(c.to_host.begin());
      --socket.room;
      ++c.taken;
    }
  }
  const bool has_all = !c.guest_sends && c.to_host.empty();
  if (c.established && has_all && !c.guest_receives) kill(c);
  if (c.dead) {
    socket.open = false;
    return;
  }
  if (has_all) socket.writing_finished = true;
  if (!c.guest_receives) socket.reading_finished = true;
}

/// Reads from the host when the guest has all that came before.
void VsockDeviceModel::ask_host(Connection& c) {
  if (c.dead || !c.established || !c.to_guest.empty() || !c.guest_receives || !c.host_sends ||
      !c.may_read)
    return;
  auto& socket = host.sockets[c.socket];
  if (host.fail_read) {
    host.fail_read = false;
    c.host_sends = false;
    host_takes_no_more(c);
    serve_host(c);
    return;
  }
  while (socket.read < socket.sent.size() && c.to_guest.size() < limits_.read)
    c.to_guest.push_back(socket.sent[socket.read++]);
  if (!c.to_guest.empty()) return;
  if (socket.ended) {
    c.host_sends = false;
    serve_host(c);
  } else {
    c.may_read = false;
  }
}

bool VsockDeviceModel::look_at_host() {
  for (int i = 0; i < 256; ++i) {
    if (host.events.empty()) return false;
    const auto [what, socket] = host.events.front();
    host.events.pop_front();
    if (what == ModelHost::Event::kConnect) {
      connect_client(socket);
      continue;
    }
    if (!host.sockets[socket].open) continue;
    for (auto& c : connections_) {
      if (c.socket != socket) continue;
      c.may_read = c.may_write = true;
      if (what == ModelHost::Event::kGone) host_takes_no_more(c);
      serve_host(c);
    }
  }
  return true;
}

void VsockDeviceModel::connect_client(std::size_t socket) {
  if (connections_.size() >= limits_.connections) {
    host.sockets[socket].open = false;
    return;
  }
  Connection c;
  c.by_host = true;
  c.guest_port = host.sockets[socket].port;
  c.socket = socket;
  do {
    c.host_port = next_port_;
    next_port_ = next_port_ == 0x7fffffff ? 0x40000000 : next_port_ + 1;
  } while (find(c.host_port, c.guest_port) != nullptr);
  connections_.push_back(c);
  std::ranges::sort(connections_, {},
                    [](const auto& each) { return std::tuple(each.host_port, each.guest_port); });
}

std::uint64_t VsockDeviceModel::credit(const Connection& c) {
  const auto on_the_way = c.sent - c.acknowledged;
  return on_the_way < c.guests_buffer ? c.guests_buffer - on_the_way : 0;
}

std::uint32_t VsockDeviceModel::shutdown_flags(const Connection& c) {
  const bool ended = !c.host_sends && c.to_guest.empty();
  return (c.host_receives ? 0U : 1U) | (ended ? 2U : 0U);
}

bool VsockDeviceModel::prepare() {
  chosen_.reset();
  if (!replies_.empty()) return true;
  // From the one after the last one on, and round.
  const auto after = [&](const Connection& c) {
    return std::tuple(c.host_port, c.guest_port) > std::tuple(turn_host_, turn_guest_);
  };
  const auto first =
      static_cast<std::size_t>(std::ranges::find_if(connections_, after) - connections_.begin());
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    chosen_ = (first + i) % connections_.size();
    ask_host(connections_[*chosen_]);
    if (next_packet().op != kNone) return true;
  }
  chosen_.reset();
  return false;
}

VsockDeviceModel::Packet VsockDeviceModel::next_packet() const {
  if (!chosen_) return replies_.front();
  const auto& c = connections_[*chosen_];
  Packet packet;
  packet.src_cid = kHost;
  packet.dst_cid = guest_cid_;
  packet.src_port = c.host_port;
  packet.dst_port = c.guest_port;
  packet.type = 1;
  packet.buf_alloc = limits_.buffer;
  packet.fwd_cnt = static_cast<std::uint32_t>(c.taken);
  if (c.dead) {
    packet.op = kRst;
  } else if (c.opening) {
    packet.op = c.by_host ? kRequest : kResponse;
  } else if (c.established && (c.credit_asked || 4 * (c.taken - c.known) >= limits_.buffer)) {
    packet.op = kCreditUpdate;
  } else if (c.established && shutdown_flags(c) != c.told) {
    packet.op = kShutdown;
    packet.flags = shutdown_flags(c);
  } else if (c.established && !c.to_guest.empty() && credit(c) != 0) {
    packet.op = kRw;
    packet.len = static_cast<std::uint32_t>(std::min<std::uint64_t>(c.to_guest.size(), credit(c)));
  } else if (c.established && !c.to_guest.empty() && !c.credit_awaited) {
    packet.op = kCreditRequest;
  }
  return packet;
}

VsockDeviceModel::Used VsockDeviceModel::receive(const WatchedMemory& memory,
                                                 const ModelChain& chain) {
  last_received_ = {};
  if (!chain.fault.none()) return {0, chain.fault};
  if (chain.readable_bytes() != 0) return {0, {"vsock.rx_readable", chain.readable_bytes()}};
  if (chain.writable_bytes() < kHeader)
    return {0, {"vsock.rx_header", chain.writable_bytes(), kHeader}};
  // A used length has 32 bits, and a packet at most 64 KiB of data.
  const auto room = std::min<std::uint64_t>(
      std::min<std::uint64_t>(chain.writable_bytes(), 0xffffffff) - kHeader, 65536);
  auto packet = next_packet();
  if (packet.len != 0 && room == 0) return {0, {"vsock.rx_data_length", 1, 0}};
  packet.len = static_cast<std::uint32_t>(std::min<std::uint64_t>(packet.len, room));
  if (const auto why = obstacle(memory, chain, kHeader + packet.len); !why.none()) return {0, why};

  const ModelMemory plain(memory);
  chain.write(plain, 0, packet.bytes());
  if (packet.len != 0)
    chain.write(plain, kHeader, std::span(connections_[*chosen_].to_guest).first(packet.len));
  packet_sent(packet.len);
  last_received_ = packet;
  return {static_cast<std::uint32_t>(kHeader + packet.len), {}};
}

void VsockDeviceModel::packet_sent(std::uint64_t bytes) {
  if (!chosen_) {
    replies_.pop_front();
    return;
  }
  const auto op = next_packet().op;
  auto& c = connections_[*chosen_];
  turn_host_ = c.host_port;
  turn_guest_ = c.guest_port;
  c.known = c.taken;
  if (op == kRequest || op == kResponse) c.opening = false;
  if (op == kCreditUpdate) c.credit_asked = false;
  if (op == kCreditRequest) c.credit_awaited = true;
  if (op == kShutdown) c.told = shutdown_flags(c);
  c.sent += bytes;
  c.to_guest.erase(c.to_guest.begin(), c.to_guest.begin() + static_cast<std::ptrdiff_t>(bytes));
  if (op == kRst || c.told == 3) remove(c);
}

VsockDeviceModel::Used VsockDeviceModel::tell_event(const WatchedMemory& memory,
                                                    const ModelChain& chain) {
  if (!chain.fault.none()) return {0, chain.fault};
  if (chain.readable_bytes() != 0) return {0, {"vsock.event_readable", chain.readable_bytes()}};
  if (chain.writable_bytes() < 4) return {0, {"vsock.event_room", chain.writable_bytes(), 4}};
  const std::array<std::uint8_t, 4> event{};
  if (const auto done = chain.write(ModelMemory(memory), 0, event); done != event.size())
    return {0, no_memory(memory, chain.writable, done)};
  event_owed_ = false;
  return {4, {}};
}

}  // namespace guestproof::testing
