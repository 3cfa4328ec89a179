#include "guestproof/virtio/device/net/header.h"

#include <algorithm>

namespace guestproof::virtio::net {
namespace {

bool needs_checksum(const VirtioNetHdr& header) {
  return (header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
}

Result<void> check_checksum(const VirtioNetHdr& header, const Offloads& offloads,
                            std::uint64_t frame_bytes) {
  if (!needs_checksum(header)) return {};
  if (!offloads.checksum) return fail(NetError::kChecksumNotNegotiated, header.flags);
  const auto end = std::uint64_t{header.csum_start} + header.csum_offset + sizeof(std::uint16_t);
  if (end > frame_bytes) return fail(NetError::kChecksumRange, end, frame_bytes);
  return {};
}

/// REQUIRES: gso_type is not NONE.
Result<bool> may_segment(std::uint8_t gso_type, const Offloads& offloads) {
  const bool ecn = (gso_type & VIRTIO_NET_HDR_GSO_ECN) != 0;
  switch (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_TCPV4:
      return offloads.tso4 && (!ecn || offloads.ecn);
    case VIRTIO_NET_HDR_GSO_TCPV6:
      return offloads.tso6 && (!ecn || offloads.ecn);
    case VIRTIO_NET_HDR_GSO_UDP:
      if (!ecn) return offloads.ufo;
      break;
    case VIRTIO_NET_HDR_GSO_UDP_L4:
      if (!ecn) return offloads.uso4 || offloads.uso6;
      break;
    default:
      break;
  }
  return fail(NetError::kGsoType, gso_type);
}

Result<void> check_segmentation(const VirtioNetHdr& header, const Offloads& offloads,
                                std::uint64_t frame_bytes) {
  if (header.gso_type == VIRTIO_NET_HDR_GSO_NONE) return {};
  const auto may = may_segment(header.gso_type, offloads);
  if (!may) return std::unexpected(may.error());
  if (!*may) return fail(NetError::kGsoNotNegotiated, header.gso_type);
  if (!needs_checksum(header)) return fail(NetError::kGsoWithoutChecksum, header.gso_type);
  if (header.gso_size == 0) return fail(NetError::kGsoSize, header.gso_type);
  if (header.hdr_len > frame_bytes)
    return fail(NetError::kHeaderLength, header.hdr_len, frame_bytes);
  return {};
}

Result<void> check(const VirtioNetHdr& header, const Offloads& offloads, const FrameLimits& limits,
                   std::uint64_t frame_bytes) {
  if (frame_bytes < kEthernetHeaderBytes)
    return fail(NetError::kFrameShort, frame_bytes, kEthernetHeaderBytes);
  if (const auto ok = check_checksum(header, offloads, frame_bytes); !ok) return ok;
  if (const auto ok = check_segmentation(header, offloads, frame_bytes); !ok) return ok;
  const auto limit = header.gso_type == VIRTIO_NET_HDR_GSO_NONE ? limits.plain : limits.segmented;
  if (frame_bytes > limit) return fail(NetError::kFrameLong, frame_bytes, limit);
  return {};
}

/// The fields that count, and of flags only NEEDS_CSUM.
VirtioNetHdr what_counts(const VirtioNetHdr& header) {
  VirtioNetHdr out;
  if (needs_checksum(header)) {
    out.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    out.csum_start = header.csum_start;
    out.csum_offset = header.csum_offset;
  }
  if (header.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
    out.gso_type = header.gso_type;
    out.hdr_len = header.hdr_len;
    out.gso_size = header.gso_size;
  }
  return out;
}

}  // namespace

FrameLimits FrameLimits::negotiated(std::uint64_t features, std::uint16_t mtu) {
  if ((features & feature_bit(VIRTIO_NET_F_MTU)) == 0) return {};
  return {.plain = std::min(kMaxFrameBytes, mtu + kEthernetHeaderBytes + 2 * kVlanTagBytes)};
}

Result<VirtioNetHdr> checked_tx_header(const VirtioNetHdr& header, const Offloads& offloads,
                                       const FrameLimits& limits, std::uint64_t frame_bytes) {
  if (const auto ok = check(header, offloads, limits, frame_bytes); !ok)
    return std::unexpected(ok.error());
  return what_counts(header);
}

Result<VirtioNetHdr> checked_rx_header(const VirtioNetHdr& header, const Offloads& offloads,
                                       const FrameLimits& limits, std::uint64_t frame_bytes) {
  if (const auto ok = check(header, offloads, limits, frame_bytes); !ok)
    return std::unexpected(ok.error());
  auto out = what_counts(header);
  if (offloads.checksum) out.flags |= header.flags & VIRTIO_NET_HDR_F_DATA_VALID;
  out.num_buffers = 1;
  return out;
}

}  // namespace guestproof::virtio::net
