#include "guestproof/testing/model/vsock_model.h"

#include <algorithm>
#include <utility>

namespace guestproof::testing {
namespace {

using enum ModelVsockHeader::Op;
constexpr auto kHeader = ModelVsockHeader::kBytes;
constexpr auto kHost = ModelVsockHeader::kHost;

}  // namespace

void VsockModel::reset() {
  guest_cid_ = 3;
  stream_ = seqpacket_ = true;
  answers_.clear();
  sink_.clear();
  taken_ = guest_buf_alloc_ = guest_fwd_cnt_ = 0;
}

bool VsockModel::set_guest_cid(std::uint64_t cid) {
  // Reserved, §5.10.4: 0, 1, 2 and 0xffffffff, and everything with upper bits.
  if (cid < 3 || cid >= 0xffffffff) return false;
  guest_cid_ = cid;
  return true;
}

void VsockModel::negotiate(std::uint64_t features) {
  const bool stream = features & 1, seqpacket = features & 2, no_implied = features & 4;
  seqpacket_ = seqpacket;
  // §5.10.3.2: nothing negotiated means streams; seqpackets imply streams unless told otherwise.
  const bool nothing = !stream && !seqpacket && !no_implied;
  stream_ = stream || nothing || (seqpacket && !no_implied);
}

bool VsockModel::type_allowed(std::uint16_t type) const {
  return (type == 1 && stream_) || (type == 2 && seqpacket_);
}

void VsockModel::send(ModelVsockPacket packet) {
  packet.src_cid = kHost;
  packet.dst_cid = guest_cid_;
  answer(std::move(packet));
}

ModelError VsockModel::transmit(const WatchedMemory& memory, const ModelChain& chain) {
  const ModelMemory plain(memory);
  if (chain.writable_bytes() != 0) return {"vsock.tx_writable", chain.writable_bytes()};
  if (chain.readable_bytes() < kHeader) return {"vsock.tx_header", chain.readable_bytes(), kHeader};
  ModelVsockHeader::Bytes bytes{};
  if (chain.read(plain, 0, bytes) != kHeader) return {"memory.unmapped"};
  ModelVsockPacket packet{ModelVsockHeader::from(bytes), {}};
  const std::uint64_t length = packet.len;
  if (length > limits_.tx_data) return {"vsock.tx_data_limit", length, limits_.tx_data};
  if (kHeader + length > chain.readable_bytes())
    return {"vsock.tx_data_length", length, chain.readable_bytes() - kHeader};

  if (packet.src_cid >> 32 != 0) return {"vsock.src_cid_reserved", packet.src_cid, 0xffffffff};
  if (packet.dst_cid >> 32 != 0) return {"vsock.dst_cid_reserved", packet.dst_cid, 0xffffffff};
  if (packet.src_cid != guest_cid_) return {"vsock.src_cid", packet.src_cid, guest_cid_};
  if (packet.dst_cid != kHost) return {"vsock.dst_cid", packet.dst_cid, kHost};
  const bool good_type = type_allowed(packet.type);
  if (!good_type || packet.op < kRequest || packet.op > kCreditRequest) {
    reset_sender(packet);
    if (!good_type) return {"vsock.type", packet.type, 2};
    return {"vsock.op", packet.op, kCreditRequest};
  }

  packet.data.resize(length);
  if (chain.read(plain, kHeader, packet.data) != length) return {"memory.unmapped"};
  take_data(packet.data);
  guest_buf_alloc_ = packet.buf_alloc;
  guest_fwd_cnt_ = packet.fwd_cnt;
  switch (packet.op) {
    case kRequest:
      reply(packet, kResponse, {});
      break;
    case kShutdown:
      reset_sender(packet);
      break;
    case kRw:
      reply(packet, kRw, std::move(packet.data));
      break;
    case kCreditRequest:
      reply(packet, kCreditUpdate, {});
      break;
    default:
      break;
  }
  return {};
}

void VsockModel::take_data(const std::vector<std::uint8_t>& data) {
  if (sink_.size() + data.size() > limits_.sink) sink_.clear();
  sink_.insert(sink_.end(), data.begin(), data.end());
  taken_ += static_cast<std::uint32_t>(data.size());
}

void VsockModel::answer(ModelVsockPacket&& packet) {
  if (answers_.size() < kAnswers) answers_.push_back(std::move(packet));
}

void VsockModel::reply(const ModelVsockPacket& to, std::uint16_t op,
                       std::vector<std::uint8_t> data) {
  ModelVsockPacket packet;
  packet.src_cid = kHost;
  packet.dst_cid = to.src_cid;
  packet.src_port = to.dst_port;
  packet.dst_port = to.src_port;
  packet.type = to.type;
  packet.op = op;
  packet.flags = op == kRw ? to.flags : 0;
  packet.buf_alloc = limits_.buf_alloc;
  packet.fwd_cnt = taken_;
  packet.data = std::move(data);
  answer(std::move(packet));
}

void VsockModel::reset_sender(const ModelVsockPacket& sender) {
  ModelVsockPacket packet;
  packet.src_cid = kHost;
  packet.dst_cid = sender.src_cid;
  packet.src_port = sender.dst_port;
  packet.dst_port = sender.src_port;
  packet.type = sender.type;
  packet.op = kRst;
  answer(std::move(packet));
}

VsockModel::Received VsockModel::receive(const WatchedMemory& memory, const ModelChain& chain) {
  if (chain.readable_bytes() != 0) return {{"vsock.rx_readable", chain.readable_bytes()}};
  if (chain.writable_bytes() < kHeader)
    return {{"vsock.rx_header", chain.writable_bytes(), kHeader}};
  auto& packet = answers_.front();
  // A used length has 32 bits.
  const auto room = std::min<std::uint64_t>(chain.writable_bytes(), 0xffffffff) - kHeader;
  std::uint64_t length = packet.data.size();
  const bool may_cut = packet.type == 1 && packet.op == kRw;
  if (may_cut && room != 0) length = std::min<std::uint64_t>({length, room, limits_.rx_data});
  if (may_cut && room == 0) length = std::min<std::uint64_t>(length, 1);
  if (length > limits_.rx_data) {
    answers_.erase(answers_.begin());
    return {{"vsock.rx_data_limit", length, limits_.rx_data}};
  }
  if (length > room) return {{"vsock.rx_data_length", length, room}};
  if (const auto why = obstacle(memory, chain, kHeader + length); !why.none()) return {why};

  const ModelMemory plain(memory);
  packet.len = static_cast<std::uint32_t>(length);
  chain.write(plain, 0, packet.bytes());
  chain.write(plain, kHeader, std::span(packet.data).first(length));
  packet.data.erase(packet.data.begin(), packet.data.begin() + static_cast<std::ptrdiff_t>(length));
  if (packet.data.empty()) answers_.erase(answers_.begin());
  return {{}, static_cast<std::uint32_t>(kHeader + length)};
}

}  // namespace guestproof::testing
