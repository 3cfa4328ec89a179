// The network device as it stands in guest memory and in its configuration space: layouts and
// constants. Not here: hash reports, RSS, statistics, coalescing, UDP tunnels, whose features this
// device does not have.
// Specification: virtio 1.3 §5.1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "guestproof/base/endian.h"

namespace guestproof::virtio::net {

/// struct virtio_net_hdr, §5.1.6. num_buffers is always there with VIRTIO_F_VERSION_1. The same
/// numbers for host and guest: a fetched header is a private copy. It is also what a Linux tap with
/// TUNSETVNETHDRSZ 12 and TUNSETVNETLE puts before a frame.
struct VirtioNetHdr {
  std::uint8_t flags = 0;     // 0
  std::uint8_t gso_type = 0;  // 1
  le16 hdr_len{};             // 2
  le16 gso_size{};            // 4
  le16 csum_start{};          // 6
  le16 csum_offset{};         // 8
  le16 num_buffers{};         // 10
};
static_assert(sizeof(VirtioNetHdr) == 12);
static_assert(offsetof(VirtioNetHdr, gso_type) == 1 && offsetof(VirtioNetHdr, hdr_len) == 2 &&
              offsetof(VirtioNetHdr, gso_size) == 4 && offsetof(VirtioNetHdr, csum_start) == 6 &&
              offsetof(VirtioNetHdr, csum_offset) == 8 &&
              offsetof(VirtioNetHdr, num_buffers) == 10);

/// VirtioNetHdr::flags: masks.
inline constexpr std::uint8_t VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
inline constexpr std::uint8_t VIRTIO_NET_HDR_F_DATA_VALID = 2;
inline constexpr std::uint8_t VIRTIO_NET_HDR_F_RSC_INFO = 4;

/// VirtioNetHdr::gso_type: one of the first five, and the mask ECN.
inline constexpr std::uint8_t VIRTIO_NET_HDR_GSO_NONE = 0;
inline constexpr std::uint8_t VIRTIO_NET_HDR_GSO_TCPV4 = 1;
inline constexpr std::uint8_t VIRTIO_NET_HDR_GSO_UDP = 3;
inline constexpr std::uint8_t VIRTIO_NET_HDR_GSO_TCPV6 = 4;
inline constexpr std::uint8_t VIRTIO_NET_HDR_GSO_UDP_L4 = 5;
inline constexpr std::uint8_t VIRTIO_NET_HDR_GSO_ECN = 0x80;

using MacAddress = std::array<std::uint8_t, 6>;
static_assert(sizeof(MacAddress) == 6);

/// struct virtio_net_config, §5.1.4, as far as the features of this device make its fields exist;
/// the two of RSS fill it up.
struct VirtioNetConfig {
  MacAddress mac{};                         // 0
  le16 status{};                            // 6
  le16 max_virtqueue_pairs{};               // 8
  le16 mtu{};                               // 10
  le32 speed{};                             // 12
  std::uint8_t duplex = 0;                  // 16
  std::uint8_t rss_max_key_size = 0;        // 17
  le16 rss_max_indirection_table_length{};  // 18
};
static_assert(sizeof(VirtioNetConfig) == 20);
static_assert(offsetof(VirtioNetConfig, status) == 6 &&
              offsetof(VirtioNetConfig, max_virtqueue_pairs) == 8 &&
              offsetof(VirtioNetConfig, mtu) == 10 && offsetof(VirtioNetConfig, speed) == 12 &&
              offsetof(VirtioNetConfig, duplex) == 16 &&
              offsetof(VirtioNetConfig, rss_max_key_size) == 17 &&
              offsetof(VirtioNetConfig, rss_max_indirection_table_length) == 18);

/// VirtioNetConfig::status: masks.
inline constexpr std::uint16_t VIRTIO_NET_S_LINK_UP = 1;
inline constexpr std::uint16_t VIRTIO_NET_S_ANNOUNCE = 2;

/// VirtioNetConfig::speed and duplex.
inline constexpr std::uint32_t kSpeedUnknown = 0xffffffff;
inline constexpr std::uint32_t kSpeedMax = 0x7fffffff;
inline constexpr std::uint8_t kDuplexHalf = 0;
inline constexpr std::uint8_t kDuplexFull = 1;
inline constexpr std::uint8_t kDuplexUnknown = 0xff;

/// Feature bit numbers, §5.1.3.
inline constexpr unsigned VIRTIO_NET_F_CSUM = 0;
inline constexpr unsigned VIRTIO_NET_F_GUEST_CSUM = 1;
inline constexpr unsigned VIRTIO_NET_F_CTRL_GUEST_OFFLOADS = 2;
inline constexpr unsigned VIRTIO_NET_F_MTU = 3;
inline constexpr unsigned VIRTIO_NET_F_MAC = 5;
inline constexpr unsigned VIRTIO_NET_F_GUEST_TSO4 = 7;
inline constexpr unsigned VIRTIO_NET_F_GUEST_TSO6 = 8;
inline constexpr unsigned VIRTIO_NET_F_GUEST_ECN = 9;
inline constexpr unsigned VIRTIO_NET_F_GUEST_UFO = 10;
inline constexpr unsigned VIRTIO_NET_F_HOST_TSO4 = 11;
inline constexpr unsigned VIRTIO_NET_F_HOST_TSO6 = 12;
inline constexpr unsigned VIRTIO_NET_F_HOST_ECN = 13;
inline constexpr unsigned VIRTIO_NET_F_HOST_UFO = 14;
inline constexpr unsigned VIRTIO_NET_F_MRG_RXBUF = 15;
inline constexpr unsigned VIRTIO_NET_F_STATUS = 16;
inline constexpr unsigned VIRTIO_NET_F_CTRL_VQ = 17;
inline constexpr unsigned VIRTIO_NET_F_CTRL_RX = 18;
inline constexpr unsigned VIRTIO_NET_F_CTRL_VLAN = 19;
inline constexpr unsigned VIRTIO_NET_F_CTRL_RX_EXTRA = 20;
inline constexpr unsigned VIRTIO_NET_F_GUEST_ANNOUNCE = 21;
inline constexpr unsigned VIRTIO_NET_F_MQ = 22;
inline constexpr unsigned VIRTIO_NET_F_CTRL_MAC_ADDR = 23;
inline constexpr unsigned VIRTIO_NET_F_GUEST_USO4 = 54;
inline constexpr unsigned VIRTIO_NET_F_GUEST_USO6 = 55;
inline constexpr unsigned VIRTIO_NET_F_HOST_USO = 56;
inline constexpr unsigned VIRTIO_NET_F_SPEED_DUPLEX = 63;

/// struct virtio_net_ctrl, §5.1.6.5: what a command begins with. Its data follow; the writable
/// bytes begin with the ack.
struct VirtioNetCtrl {
  std::uint8_t command_class = 0;  // 0
  std::uint8_t command = 0;        // 1
};
static_assert(sizeof(VirtioNetCtrl) == 2 && offsetof(VirtioNetCtrl, command) == 1);

inline constexpr std::uint8_t VIRTIO_NET_OK = 0;
inline constexpr std::uint8_t VIRTIO_NET_ERR = 1;

/// Classes and their commands.
inline constexpr std::uint8_t VIRTIO_NET_CTRL_RX = 0;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_RX_PROMISC = 0;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_RX_ALLMULTI = 1;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_RX_ALLUNI = 2;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_RX_NOMULTI = 3;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_RX_NOUNI = 4;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_RX_NOBCAST = 5;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_MAC = 1;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_MAC_TABLE_SET = 0;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_MAC_ADDR_SET = 1;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_VLAN = 2;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_VLAN_ADD = 0;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_VLAN_DEL = 1;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_ANNOUNCE = 3;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_ANNOUNCE_ACK = 0;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_MQ = 4;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET = 0;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_GUEST_OFFLOADS = 5;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET = 0;

inline constexpr std::uint16_t VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN = 1;

/// An Ethernet header (IEEE 802.3): destination, source, type. Multi-byte fields are big-endian.
inline constexpr std::uint32_t kEthernetHeaderBytes = 14;
/// An 802.1Q tag, which may follow the source address, twice at most.
inline constexpr std::uint32_t kVlanTagBytes = 4;
inline constexpr std::uint16_t kVlans = 4096;

}  // namespace guestproof::virtio::net
