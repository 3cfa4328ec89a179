#include "guestproof/testing/harness/vsock_peer.h"

#include <algorithm>

namespace guestproof::testing {

using namespace virtio::vsock;
using Tx = TxPacket<WatchedMemory>;
using Rx = RxPacket<WatchedMemory>;

void VsockPeer::reset() {
  guest_cid_ = 3;
  types_ = {.stream = true, .seqpacket = true};
  first_ = count_ = 0;
  sink_.clear();
  taken_ = guest_buf_alloc_ = guest_fwd_cnt_ = 0;
}

Result<void> VsockPeer::set_guest_cid(std::uint64_t cid) {
  const auto ok = check_guest_cid(cid);
  if (ok) guest_cid_ = cid;
  return ok;
}

void VsockPeer::send(VsockHdr header, std::span<const std::byte> data) {
  header.src_cid = kHostCid;
  header.dst_cid = guest_cid_;
  push(header, data);
}

Result<VsockHdr> VsockPeer::transmit(const Chain& chain) {
  const auto packet = Tx::parse(chain, limits_.tx_data);
  if (!packet) return std::unexpected(packet.error());
  const auto& header = packet->header();
  if (const auto ok = check_header(header, guest_cid_, types_); !ok) {
    if (wants_reset(ok.error())) push(reset_of(header), {});
    return std::unexpected(ok.error());
  }
  const auto data = take_data(packet->data());
  if (!data) return std::unexpected(data.error());
  guest_buf_alloc_ = header.buf_alloc;
  guest_fwd_cnt_ = header.fwd_cnt;
  respond(header, *data);
  return header;
}

Result<std::span<const std::byte>> VsockPeer::take_data(virtio::Reader<WatchedMemory> data) {
  const auto length = data.remaining();
  const auto kept = sink_.size() + length > limits_.sink ? 0 : sink_.size();
  // The sink stays as it is until the data is there.
  sink_.resize(sink_.size() + length);
  const auto fresh = std::span(sink_).last(length);
  if (const auto read = data.read(fresh); !read) {
    sink_.resize(sink_.size() - length);
    return std::unexpected(read.error());
  }
  if (kept == 0) sink_.erase(sink_.begin(), sink_.end() - static_cast<std::ptrdiff_t>(length));
  taken_ += static_cast<std::uint32_t>(length);
  return std::span(sink_).last(length);
}

void VsockPeer::respond(const VsockHdr& packet, std::span<const std::byte> data) {
  switch (*op_of(packet)) {
    case Op::kRequest:
      return push_with_credit(reply_to(packet, Op::kResponse), {});
    case Op::kShutdown:
      return push(reset_of(packet), {});
    case Op::kRw: {
      auto echo = reply_to(packet, Op::kRw);
      echo.flags = packet.flags;
      return push_with_credit(echo, data);
    }
    case Op::kCreditRequest:
      return push_with_credit(reply_to(packet, Op::kCreditUpdate), {});
    case Op::kResponse:
    case Op::kRst:
    case Op::kCreditUpdate:
      return;
  }
}

void VsockPeer::push_with_credit(VsockHdr header, std::span<const std::byte> data) {
  header.buf_alloc = limits_.buf_alloc;
  header.fwd_cnt = taken_;
  push(header, data);
}

void VsockPeer::push(const VsockHdr& header, std::span<const std::byte> data) {
  if (count_ == ring_.size()) return;
  auto& slot = ring_[(first_ + count_++) % ring_.size()];
  slot.header = header;
  slot.data.assign(data.begin(), data.end());
  slot.sent = 0;
}

void VsockPeer::pop() {
  first_ = (first_ + 1) % ring_.size();
  --count_;
}

Result<std::uint32_t> VsockPeer::receive(const Chain& chain) {
  const auto room = Rx::open(chain, limits_.rx_data);
  if (!room) return std::unexpected(room.error());
  auto& answer = ring_[first_];
  auto data = answer.rest();
  const bool may_cut =
      type_of(answer.header) == SocketType::kStream && op_of(answer.header) == Op::kRw;
  // A buffer for a header alone gets no data at all: then write() says so.
  if (may_cut)
    data = data.first(std::min<std::size_t>(data.size(), std::max(room->room(), std::uint32_t{1})));
  const auto used = room->write(answer.header, data);
  if (used) answer.sent += data.size();
  if (used ? answer.rest().empty() : used.error() == VsockError::kRxDataLimit) pop();
  return used;
}

}  // namespace guestproof::testing
