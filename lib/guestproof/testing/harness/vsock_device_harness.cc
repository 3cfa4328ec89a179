#include "guestproof/testing/harness/vsock_device_harness.h"

#include <algorithm>
#include <array>
#include <string>

namespace guestproof::testing {
namespace {

using namespace virtio::vsock;

constexpr std::array<std::string_view, 7> kOpNames{
    "request", "response", "rst", "shutdown", "rw", "credit_update", "credit_request"};
constexpr std::uint32_t kHeader = sizeof(VsockHdr);
constexpr Limits kLimits{.connections = 4, .buffer = 2048, .replies = 4, .read = 512};

/// Data in which no two neighbours, and no two places less than 251 bytes apart, look the same.
constexpr auto kPattern = [] {
  std::array<std::byte, 2050 + 256> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(1 + i * 7 % 251);
  return bytes;
}();
std::span<const std::byte> pattern(std::uint64_t seed, std::size_t length) {
  return std::span(kPattern).subspan(seed % 256, length);
}

std::uint16_t op_of_kind(std::uint8_t kind) {
  const auto op = (kind & 15) % 9;
  return static_cast<std::uint16_t>(op == 0   ? VIRTIO_VSOCK_OP_RW
                                    : op == 5 ? VIRTIO_VSOCK_OP_INVALID
                                              : op);
}

bool same(std::span<const std::byte> ours, std::span<const std::uint8_t> models) {
  return std::ranges::equal(ours, std::as_bytes(models));
}

}  // namespace

VsockDeviceHarness::VsockDeviceHarness()
    : DeviceHarness(3),
      device_(kGuestCid, host_, kLimits),
      model_(kGuestCid, {kLimits.connections, kLimits.buffer, kLimits.replies, kLimits.read}) {
  connect(device_, model_);
  const auto add = [&](const char* kind) {
    const auto first = depth_.names().size();
    for (const auto name : kOpNames) depth_.add(kind + std::string(name));
    return first;
  };
  tx_ops_ = add("tx:");
  rx_ops_ = add("rx:");
  to_host_ = depth_.add("data:to_host");
  to_guest_ = depth_.add("data:to_guest");
  cut_ = depth_.add("data:cut_to_fit");
  half_written_ = depth_.add("data:waits_for_the_host");
  drained_ = depth_.add("data:end_for_the_host");
  accepted_ = depth_.add("host:client_accepted");
  answers_full_ = depth_.add("answers:full");
  told_reset_ = depth_.add("event:transport_reset");
  // Its CID is a good one; how much data there may be is the credit's to say, and to the guest
  // there is never too much.
  depth_.add_errors<VsockError>(
      {VsockError::kGuestCid, VsockError::kTxDataLimit, VsockError::kRxDataLimit});
  depth_.add_errors<ConnectionError>();
  // The others are the host's alone.
  depth_.add_errors<SocketError>({SocketError::kPath, SocketError::kSocket, SocketError::kBind,
                                  SocketError::kEpoll, SocketError::kRead, SocketError::kWrite,
                                  SocketError::kConnectText});
}

void VsockDeviceHarness::reset_device() {
  // Their sockets are the host's before it forgets them.
  device_.reset();
  model_.reset();
  host_.clear();
  model_.host = {};
}

void VsockDeviceHarness::request(Lane& lane, const Record& record) {
  if (&lane == &this->lane(1)) return request_tx(lane, record);
  const bool raw = (record.flags & kRequestRaw) != 0;
  if (&lane == &this->lane(0))
    request_room(lane, record,
                 raw                  ? record.length % 4096
                 : record.length == 0 ? kHeader + 512
                                      : kHeader + record.length % 2048);
  else
    request_room(lane, record, record.length == 0 ? 4 : record.length % 64);
}

void VsockDeviceHarness::request_room(Lane& lane, const Record& record, std::uint32_t room) {
  RequestShape shape;
  shape.readable_data = (record.flags & kRequestRaw) != 0 ? record.index % 64U : 0;
  shape.writable_data = room;
  shape.cut = record.width;
  shape.flags = record.flags;
  shape.data = address_of(lane, record);
  publish_request(lane, shape);
}

VsockHdr VsockDeviceHarness::header_of(const Record& record) const {
  const bool raw = (record.flags & kRequestRaw) != 0;
  const auto part = [&](int at) { return raw ? record.value >> at & 0xffff : 0; };
  const auto& connections = model_.connections();
  VsockHdr header;
  header.src_cid = kGuestCid ^ part(0) ^ (part(32) & 0xff) << 32;
  header.dst_cid = kHostCid ^ part(16) ^ (part(32) >> 8) << 32;
  header.src_port = raw ? 1 : static_cast<std::uint32_t>(record.value);
  header.dst_port = raw ? 1 : static_cast<std::uint32_t>(record.value >> 32);
  header.type = static_cast<std::uint16_t>(VIRTIO_VSOCK_TYPE_STREAM ^ part(48));
  header.op = op_of_kind(record.kind);
  header.flags = record.extra & 15U;
  header.buf_alloc = record.extra < 16 ? 4096U : record.extra / 16U;
  std::uint64_t sent = 0;
  if (record.kind >> 4 != 0 && !connections.empty()) {
    const auto& of = connections[(record.kind / 16U - 1) % connections.size()];
    header.src_port = of.guest_port;
    header.dst_port = of.host_port;
    sent = of.sent;
  }
  const auto behind = raw ? 0 : static_cast<std::int16_t>(record.next);
  header.fwd_cnt = static_cast<std::uint32_t>(sent - static_cast<std::uint64_t>(behind));
  return header;
}

void VsockDeviceHarness::request_tx(Lane& lane, const Record& record) {
  const bool raw = (record.flags & kRequestRaw) != 0;
  const auto extent = raw ? static_cast<std::int16_t>(record.index) : 0;
  const auto missing = static_cast<std::uint32_t>(std::clamp(-extent, 0, int{kHeader}));
  auto header = header_of(record);
  header.len = raw ? std::uint32_t{record.length} : record.length % 2050;

  RequestShape shape;
  shape.header = std::as_bytes(std::span(&header, 1)).first(kHeader - missing);
  shape.readable_data = raw ? std::max(extent, 0) % 2048U : std::uint32_t{header.len};
  shape.writable_data = raw ? record.next % 64U : 0;
  shape.payload = pattern(record.value + header.len, shape.readable_data);
  shape.cut = record.width;
  shape.flags = record.flags;
  shape.data = address_of(lane, record);
  publish_request(lane, shape);
}

VsockDeviceHarness::Turn VsockDeviceHarness::serve_model(Lane& lane, std::uint32_t) {
  if (&lane == &this->lane(2)) return tell_event();
  return exchange(&lane == &this->lane(1));
}

VsockDeviceHarness::Turn VsockDeviceHarness::serve_host_model() {
  const bool more = model_.look_at_host();
  const auto turn = exchange(false);
  return {.notify = false, .more = turn.more || more};
}

VsockDeviceHarness::Turn VsockDeviceHarness::exchange(bool transmit_too) {
  bool more = false;
  if (transmit_too || model_.waiting) more = transmit().more;
  if (!lane(1).model.broken().none()) return {};
  more |= receive().more;
  if (!lane(0).model.broken().none()) return {};
  return {.notify = false, .more = more || (model_.waiting && model_.can_transmit())};
}

VsockDeviceHarness::Turn VsockDeviceHarness::transmit() {
  auto& tx = lane(1);
  if (!tx.model.active()) return {};
  const auto ready = [&] {
    model_.waiting = !model_.can_transmit();
    if (model_.waiting) depth_.count(answers_full_);
    return !model_.waiting;
  };
  return model_turn(tx, tx.model.setup().size + 1U, ready, [&](const ModelChain& chain) {
    const auto why = model_.transmit(world().model(), chain);
    if (!why.none()) expect_refusal(why);
    const auto& packet = model_.last_transmitted();
    if (packet.op != 0 && why.none()) {
      depth_.count(tx_ops_ + packet.op - 1);
      if (packet.op == VIRTIO_VSOCK_OP_RW && packet.len != 0) depth_.count(to_host_);
    }
    return 0U;
  });
}

VsockDeviceHarness::Turn VsockDeviceHarness::receive() {
  auto& rx = lane(0);
  if (!rx.model.active()) return {};
  const auto ready = [&] { return model_.prepare(); };
  return model_turn(rx, rx.model.setup().size + 1U, ready, [&](const ModelChain& chain) {
    const auto [used, why] = model_.receive(world().model(), chain);
    if (!why.none()) expect_refusal(why);
    const auto& packet = model_.last_received();
    if (packet.op != 0) depth_.count(rx_ops_ + packet.op - 1);
    if (packet.len != 0) {
      depth_.count(to_guest_);
      if (kHeader + packet.len == chain.writable_bytes()) depth_.count(cut_);
    }
    return used;
  });
}

VsockDeviceHarness::Turn VsockDeviceHarness::tell_event() {
  auto& event = lane(2);
  const auto ready = [&] { return model_.event_owed(); };
  return model_turn(event, event.model.setup().size + 1U, ready, [&](const ModelChain& chain) {
    const auto [used, why] = model_.tell_event(world().model(), chain);
    if (!why.none())
      expect_refusal(why);
    else
      depth_.count(told_reset_);
    return used;
  });
}

void VsockDeviceHarness::host_event(std::uint8_t kind, const Record& record) {
  const auto value = record.value & ~(std::uint64_t{1} << 63);
  if (kind == 0) {
    const auto port = static_cast<std::uint32_t>(value);
    host_.connect_client(port);
    model_.host.sockets.push_back({.port = port, .client = true});
    model_.host.events.emplace_back(ModelHost::Event::kConnect, model_.host.sockets.size() - 1);
  } else if (kind == 5) {
    if (value % 3 == 0) host_.fail_connect();
    if (value % 3 == 1) host_.fail_accept();
    if (value % 3 == 2) host_.fail_read();
    auto& model = model_.host;
    (value % 3 == 0   ? model.fail_connect
     : value % 3 == 1 ? model.fail_accept
                      : model.fail_read) = true;
  } else if (kind == 6) {
    const auto most = value % 256 == 0 ? UINT64_MAX : value % 256;
    host_.limit_writes(most);
    model_.host.most_written = most;
  } else if (!model_.host.sockets.empty()) {
    script_socket(kind, (value & 0xff) % model_.host.sockets.size(), value >> 8);
  }
  if (record.value >> 63 == 0) host_ready();
}

void VsockDeviceHarness::script_socket(std::uint8_t kind, std::size_t socket,
                                       std::uint64_t amount) {
  auto& model = model_.host.sockets[socket];
  const auto tell = [&](ModelHost::Event what) { model_.host.events.emplace_back(what, socket); };
  switch (kind) {
    case 1: {
      const auto bytes = pattern(amount, amount % 2049);
      host_.send(socket, bytes);
      if (!model.open || model.ended || model.reading_finished) return;
      for (const auto byte : bytes) model.sent.push_back(std::to_integer<std::uint8_t>(byte));
      return tell(ModelHost::Event::kReady);
    }
    case 2:
      host_.end(socket);
      if (!model.open || model.ended) return;
      model.ended = true;
      return tell(ModelHost::Event::kReady);
    case 3:
      host_.go(socket);
      if (!model.open || model.gone) return;
      model.ended = model.gone = true;
      return tell(ModelHost::Event::kGone);
    case 4:
      host_.take(socket, amount % 4096);
      if (!model.open) return;
      model.room = amount % 4096;
      return tell(ModelHost::Event::kReady);
    default:
      host_.disturb(socket);
      return tell(ModelHost::Event::kReady);
  }
}

void VsockDeviceHarness::compare_devices() {
  const auto& models = model_.host.sockets;
  if (host_.sockets().size() != models.size())
    violated(kModelAgreement, "the device has opened " + std::to_string(host_.sockets().size()) +
                                  " sockets, the model " + std::to_string(models.size()));
  for (std::size_t i = 0; i < models.size(); ++i) {
    const auto& ours = host_.sockets()[i];
    const auto& model = models[i];
    const auto check = [&](bool equal, std::string_view what) {
      if (!equal)
        violated(kModelAgreement, "of socket " + std::to_string(i) + ", " + std::string(what) +
                                      " is not the model's");
    };
    check(ours.port == model.port && ours.client == model.client, "its port");
    check(same(ours.received, model.received), "what its peer received");
    check(ours.read == model.read, "how much of its peer's data was read");
    check(ours.accepted == model.accepted, "the port that its peer was told");
    check(ours.writing_finished == model.writing_finished, "whether writing is finished");
    check(ours.reading_finished == model.reading_finished, "whether reading is finished");
    check(ours.open == model.open, "whether it is open");
    if (model.accepted) depth_.count(accepted_);
    if (model.writing_finished) depth_.count(drained_);
  }
  for (const auto& c : model_.connections())
    if (!c.to_host.empty()) depth_.count(half_written_);
}

}  // namespace guestproof::testing
