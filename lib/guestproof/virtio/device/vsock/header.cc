#include "guestproof/virtio/device/vsock/header.h"

#include <limits>
#include <utility>

namespace guestproof::virtio::vsock {
namespace {

constexpr std::uint64_t kMaxCid = std::numeric_limits<std::uint32_t>::max();

}  // namespace

Result<Op> op_of(const VsockHdr& header) {
  const std::uint16_t op = header.op;
  if (op < VIRTIO_VSOCK_OP_REQUEST || op > VIRTIO_VSOCK_OP_CREDIT_REQUEST)
    return fail(VsockError::kOp, op, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
  return static_cast<Op>(op);
}

Result<SocketType> type_of(const VsockHdr& header) {
  const std::uint16_t type = header.type;
  if (type != VIRTIO_VSOCK_TYPE_STREAM && type != VIRTIO_VSOCK_TYPE_SEQPACKET)
    return fail(VsockError::kType, type, VIRTIO_VSOCK_TYPE_SEQPACKET);
  return static_cast<SocketType>(type);
}

SocketTypes SocketTypes::negotiated(std::uint64_t features) {
  const auto has = [&](unsigned bit) { return (features >> bit & 1) != 0; };
  const bool seqpacket = has(VIRTIO_VSOCK_F_SEQPACKET);
  const bool implied = !has(VIRTIO_VSOCK_F_NO_IMPLIED_STREAM);
  return {.stream = has(VIRTIO_VSOCK_F_STREAM) || implied, .seqpacket = seqpacket};
}

Result<void> check_guest_cid(std::uint64_t cid) {
  if (cid <= kHostCid || cid >= kMaxCid) return fail(VsockError::kGuestCid, cid, kMaxCid);
  return {};
}

Result<void> check_header(const VsockHdr& header, std::uint64_t guest_cid, SocketTypes types) {
  if (header.src_cid > kMaxCid) return fail(VsockError::kSrcCidReserved, header.src_cid, kMaxCid);
  if (header.dst_cid > kMaxCid) return fail(VsockError::kDstCidReserved, header.dst_cid, kMaxCid);
  if (header.src_cid != guest_cid) return fail(VsockError::kSrcCid, header.src_cid, guest_cid);
  if (header.dst_cid != kHostCid) return fail(VsockError::kDstCid, header.dst_cid, kHostCid);
  const auto type = type_of(header);
  if (!type) return std::unexpected(type.error());
  if (*type == SocketType::kStream ? !types.stream : !types.seqpacket)
    return fail(VsockError::kType, header.type, VIRTIO_VSOCK_TYPE_SEQPACKET);
  if (const auto op = op_of(header); !op) return std::unexpected(op.error());
  return {};
}

bool wants_reset(const Error& error) {
  return error == VsockError::kType || error == VsockError::kOp;
}

VsockHdr reply_to(const VsockHdr& received, Op op) {
  VsockHdr reply;
  reply.src_cid = received.dst_cid;
  reply.dst_cid = received.src_cid;
  reply.src_port = received.dst_port;
  reply.dst_port = received.src_port;
  reply.type = received.type;
  reply.op = std::to_underlying(op);
  return reply;
}

VsockHdr reset_of(const VsockHdr& received) { return reply_to(received, Op::kRst); }

}  // namespace guestproof::virtio::vsock
