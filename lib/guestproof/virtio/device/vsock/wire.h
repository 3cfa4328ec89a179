// The socket device as it stands in guest memory and in its configuration space: layouts and
// constants.
// Specification: virtio 1.3 §5.10.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guestproof/base/endian.h"

namespace guestproof::virtio::vsock {

/// A le64 of a packed structure: it may lie on any 4-byte boundary.
class PackedLe64 {
 public:
  constexpr PackedLe64() = default;
  constexpr PackedLe64(std::uint64_t value)
      : low_(static_cast<std::uint32_t>(value)), high_(static_cast<std::uint32_t>(value >> 32)) {}
  constexpr operator std::uint64_t() const { return low_ | std::uint64_t{high_} << 32; }

 private:
  le32 low_;
  le32 high_;
};
static_assert(sizeof(PackedLe64) == 8 && alignof(PackedLe64) == 4);

/// struct virtio_vsock_hdr, §5.10.6. The same numbers for host and guest: a fetched header is a
/// private copy.
struct VsockHdr {
  PackedLe64 src_cid;  // 0
  PackedLe64 dst_cid;  // 8
  le32 src_port;       // 16
  le32 dst_port;       // 20
  le32 len;            // 24
  le16 type;           // 28
  le16 op;             // 30
  le32 flags;          // 32
  le32 buf_alloc;      // 36
  le32 fwd_cnt;        // 40
};
static_assert(sizeof(VsockHdr) == 44);
static_assert(offsetof(VsockHdr, dst_cid) == 8 && offsetof(VsockHdr, src_port) == 16 &&
              offsetof(VsockHdr, dst_port) == 20 && offsetof(VsockHdr, len) == 24 &&
              offsetof(VsockHdr, type) == 28 && offsetof(VsockHdr, op) == 30 &&
              offsetof(VsockHdr, flags) == 32 && offsetof(VsockHdr, buf_alloc) == 36 &&
              offsetof(VsockHdr, fwd_cnt) == 40);

/// VsockHdr::op, §5.10.6.
inline constexpr std::uint16_t VIRTIO_VSOCK_OP_INVALID = 0;
inline constexpr std::uint16_t VIRTIO_VSOCK_OP_REQUEST = 1;
inline constexpr std::uint16_t VIRTIO_VSOCK_OP_RESPONSE = 2;
inline constexpr std::uint16_t VIRTIO_VSOCK_OP_RST = 3;
inline constexpr std::uint16_t VIRTIO_VSOCK_OP_SHUTDOWN = 4;
inline constexpr std::uint16_t VIRTIO_VSOCK_OP_RW = 5;
inline constexpr std::uint16_t VIRTIO_VSOCK_OP_CREDIT_UPDATE = 6;
inline constexpr std::uint16_t VIRTIO_VSOCK_OP_CREDIT_REQUEST = 7;

/// VsockHdr::type, §5.10.6.2.
inline constexpr std::uint16_t VIRTIO_VSOCK_TYPE_STREAM = 1;
inline constexpr std::uint16_t VIRTIO_VSOCK_TYPE_SEQPACKET = 2;

/// VsockHdr::flags of a SHUTDOWN, §5.10.6.5: bit numbers.
inline constexpr unsigned VIRTIO_VSOCK_SHUTDOWN_F_RECEIVE = 0;
inline constexpr unsigned VIRTIO_VSOCK_SHUTDOWN_F_SEND = 1;

/// VsockHdr::flags of a seqpacket RW, §5.10.6.6: masks.
inline constexpr std::uint32_t VIRTIO_VSOCK_SEQ_EOM = 1U << 0;
inline constexpr std::uint32_t VIRTIO_VSOCK_SEQ_EOR = 1U << 1;

/// struct virtio_vsock_event, §5.10.6.7.
struct VsockEvent {
  le32 id;  // 0
};
static_assert(sizeof(VsockEvent) == 4);
inline constexpr std::uint32_t VIRTIO_VSOCK_EVENT_TRANSPORT_RESET = 0;

/// struct virtio_vsock_config, §5.10.4.
struct VsockConfig {
  le64 guest_cid;  // 0
};
static_assert(sizeof(VsockConfig) == 8);

/// Feature bit numbers, §5.10.3.
inline constexpr unsigned VIRTIO_VSOCK_F_STREAM = 0;
inline constexpr unsigned VIRTIO_VSOCK_F_SEQPACKET = 1;
inline constexpr unsigned VIRTIO_VSOCK_F_NO_IMPLIED_STREAM = 2;

/// The well-known CID of the host, §5.10.4.
inline constexpr std::uint64_t kHostCid = 2;

}  // namespace guestproof::virtio::vsock
