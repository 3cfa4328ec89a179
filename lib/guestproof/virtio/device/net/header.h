// The header in front of a frame: what it may ask for, with respect to what was negotiated and to
// the frame's length. The same checks for frames from the driver and frames for it: neither side's
// word is passed on to the other unchecked.
//
// The first of these that applies is the error, and the frame is dropped; no header is mended, L is
// the frame's length without the header:
//    1. kFrameShort             L < 14, the Ethernet header
//    2. kChecksumNotNegotiated  NEEDS_CSUM without the feature
//    3. kChecksumRange          NEEDS_CSUM, csum_start + csum_offset + 2 > L
//    4. kGsoType                gso_type is none of NONE, TCPV4, TCPV6, UDP, UDP_L4, and ECN beside
//                               one of the two TCPs
//    5. kGsoNotNegotiated       gso_type, or its ECN, without the feature; of UDP_L4 either will do
//    6. kGsoWithoutChecksum     gso_type not NONE, without NEEDS_CSUM (§5.1.6.2.1: MUST)
//    7. kGsoSize                gso_type not NONE, gso_size is 0
//    8. kHeaderLength           gso_type not NONE, hdr_len > L: a hint that is not to be relied on
//                               (§5.1.6.2.2), but there is no such frame
//    9. kFrameLong              L > the limit for the gso_type (FrameLimits)
//
// What passes is not the header that came but one with the fields that count. hdr_len and gso_size
// count with a gso_type, csum_start and csum_offset with NEEDS_CSUM; the rest is 0 (§5.1.6.2.2: the
// device MUST NOT use them). Of flags count NEEDS_CSUM and, for the driver, DATA_VALID if it takes
// checksums; others are ignored (§5.1.6.2.2: MUST). num_buffers of a frame from the driver is 0;
// that of one for the driver is set by whoever places it.
//
// Thread-safety: pure functions.
// Specification: virtio 1.3 §5.1.6.2, §5.1.6.4.
#pragma once

#include <cstdint>

#include "guestproof/virtio/device/net/error.h"
#include "guestproof/virtio/device/net/features.h"
#include "guestproof/virtio/device/net/wire.h"

namespace guestproof::virtio::net {

/// The longest frame there is: 65589 bytes (§5.1.6.3: an Ethernet header, an IPv6 header and 65535
/// bytes of payload), and two VLAN tags, which stand in the Ethernet header. It bounds what one
/// frame makes the device buffer.
inline constexpr std::uint32_t kMaxFrameBytes =
    kEthernetHeaderBytes + 40 + 65535 + 2 * kVlanTagBytes;
static_assert(kMaxFrameBytes == 65597);

/// How long frames may be. Those that are going to be segmented: kMaxFrameBytes. Others, when an
/// MTU was negotiated: so many bytes and the Ethernet header with two VLAN tags (§5.1.4.1). Without
/// that the driver was told of no limit, and may have been configured for jumbo frames: then
/// kMaxFrameBytes too. The 1514 bytes of §5.1.6.3 are the usual, not a limit.
struct FrameLimits {
  std::uint32_t plain = kMaxFrameBytes;
  std::uint32_t segmented = kMaxFrameBytes;

  [[nodiscard]] static FrameLimits negotiated(std::uint64_t features, std::uint16_t mtu);
};

/// The header to send a frame with that the driver sends with `header`. Errors: as above.
[[nodiscard]] Result<VirtioNetHdr> checked_tx_header(const VirtioNetHdr& header,
                                                     const Offloads& offloads,
                                                     const FrameLimits& limits,
                                                     std::uint64_t frame_bytes);
/// The header, with num_buffers 1, to give a frame to the driver with that arrived with `header`.
/// Errors: as above.
[[nodiscard]] Result<VirtioNetHdr> checked_rx_header(const VirtioNetHdr& header,
                                                     const Offloads& offloads,
                                                     const FrameLimits& limits,
                                                     std::uint64_t frame_bytes);

}  // namespace guestproof::virtio::net
