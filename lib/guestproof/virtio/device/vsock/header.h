// The meaning of a packet header: typed fields, the checks of a header that the guest sent, and the
// headers that answer it. Not here: connections and credit; whoever keeps those sets buf_alloc and
// fwd_cnt.
//
// All functions take a private copy of the header (TxPacket::header()): guest memory is not read.
//
// Thread-safety: pure functions.
// Specification: virtio 1.3 §5.10.3 (features), §5.10.4 (CIDs), §5.10.6.
#pragma once

#include <cstdint>

#include "guestproof/virtio/device/vsock/error.h"
#include "guestproof/virtio/device/vsock/wire.h"

namespace guestproof::virtio::vsock {

enum class Op : std::uint16_t {
  kRequest = VIRTIO_VSOCK_OP_REQUEST,
  kResponse = VIRTIO_VSOCK_OP_RESPONSE,
  kRst = VIRTIO_VSOCK_OP_RST,
  kShutdown = VIRTIO_VSOCK_OP_SHUTDOWN,
  kRw = VIRTIO_VSOCK_OP_RW,
  kCreditUpdate = VIRTIO_VSOCK_OP_CREDIT_UPDATE,
  kCreditRequest = VIRTIO_VSOCK_OP_CREDIT_REQUEST,
};

enum class SocketType : std::uint16_t {
  kStream = VIRTIO_VSOCK_TYPE_STREAM,
  kSeqpacket = VIRTIO_VSOCK_TYPE_SEQPACKET,
};

/// Errors: kOp for a value outside 1…7; VIRTIO_VSOCK_OP_INVALID (0) is one.
[[nodiscard]] Result<Op> op_of(const VsockHdr& header);
/// Errors: kType for a value other than 1 and 2.
[[nodiscard]] Result<SocketType> type_of(const VsockHdr& header);

/// The socket types that a driver may use.
struct SocketTypes {
  bool stream = true;
  bool seqpacket = false;

  /// What negotiated feature bits allow (§5.10.3.2): streams also when no bit of the device was
  /// negotiated, and beside seqpackets unless NO_IMPLIED_STREAM was.
  [[nodiscard]] static SocketTypes negotiated(std::uint64_t features);
  friend bool operator==(const SocketTypes&, const SocketTypes&) = default;
};

/// Whether a device may offer this CID as guest_cid. Errors: kGuestCid for 0, 1, 2, and from
/// 0xffffffff on.
[[nodiscard]] Result<void> check_guest_cid(std::uint64_t cid);

/// Whether a header that the guest sent can be acted upon. The first of these that applies is the
/// error:
///   1. kSrcCidReserved  src_cid > 0xffffffff (§5.10.6: the upper 32 bits are zeroed)
///   2. kDstCidReserved  dst_cid > 0xffffffff
///   3. kSrcCid          src_cid ≠ guest_cid (§5.10.6.4.1)
///   4. kDstCid          dst_cid ≠ kHostCid: the device forwards to nobody else
///   5. kType            type is unknown, or not among `types`
///   6. kOp              op is unknown
/// Not looked at: ports, flags (unknown bits are ignored), buf_alloc, fwd_cnt, and len (TxPacket
/// has checked it; a packet of any op may carry data).
[[nodiscard]] Result<void> check_header(const VsockHdr& header, std::uint64_t guest_cid,
                                        SocketTypes types);

/// Whether a packet that check_header() refused is answered with reset_of() its header: for kType
/// §5.10.6.4.2 demands it, for kOp we do the same, so that the sender's socket does not wait for
/// ever. Both whatever the rest of the header says, a RST of an unknown type included. A packet
/// with a wrong CID is dropped: there is no socket that the answer would be for.
[[nodiscard]] bool wants_reset(const Error& error);

/// A header that goes back where `received` came from: addresses swapped, the type echoed, this op,
/// everything else 0.
[[nodiscard]] VsockHdr reply_to(const VsockHdr& received, Op op);
/// reply_to() with VIRTIO_VSOCK_OP_RST.
[[nodiscard]] VsockHdr reset_of(const VsockHdr& received);

}  // namespace guestproof::virtio::vsock
