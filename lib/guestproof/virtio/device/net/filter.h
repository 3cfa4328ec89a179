// Which received frames the driver wants: receive modes, MAC addresses, VLANs.
//
// Decided by the front of a frame alone, in this order:
//   1. Promiscuous: accepted.
//   2. An 802.1Q tag (0x8100 in place of the type) with a VLAN that was not added: dropped, if
//      VLANs are filtered. So is a frame that ends before the tag does.
//   3. Broadcast: accepted unless suppressed.
//   4. Other multicast: dropped when suppressed; accepted when all are wanted or it is in the
//   table.
//   5. Unicast: likewise; accepted too when it is the device's address, or while that is not known.
//
// Thread-safety: values.
// Specification: virtio 1.3 §5.1.6.5.1 to §5.1.6.5.3.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>

#include "guestproof/virtio/device/net/wire.h"

namespace guestproof::virtio::net {

/// Addresses of one table. Real network cards have room for 16 to 128, and all are compared with
/// every frame; a driver that sets more gets all frames of the table's kind (§5.1.6.5.2: filtering
/// is best-effort).
inline constexpr std::size_t kMaxMacs = 64;

struct MacTable {
  std::uint16_t count = 0;
  bool overflow = false;  // more were set; then count is 0
  std::array<MacAddress, kMaxMacs> macs{};

  [[nodiscard]] std::span<const MacAddress> all() const { return std::span(macs).first(count); }
  [[nodiscard]] bool accepts(const MacAddress& mac) const;
  friend bool operator==(const MacTable&, const MacTable&) = default;
};

/// VIRTIO_NET_CTRL_RX_….
struct RxModes {
  bool promiscuous = false;
  bool all_multicast = false;
  bool all_unicast = false;
  bool no_multicast = false;
  bool no_unicast = false;
  bool no_broadcast = false;
  friend bool operator==(const RxModes&, const RxModes&) = default;
};

using VlanSet = std::bitset<kVlans>;

struct RxFilter {
  bool by_address =
      false;             // VIRTIO_NET_F_CTRL_RX; without it all are accepted but what is suppressed
  bool by_vlan = false;  // VIRTIO_NET_F_CTRL_VLAN
  bool knows_mac = false;  // the driver knows `mac` to be its own: it was told, or said so
  MacAddress mac{};
  RxModes modes;
  MacTable unicast;
  MacTable multicast;
  VlanSet vlans;

  /// REQUIRES: at least an Ethernet header.
  [[nodiscard]] bool accepts(std::span<const std::byte> frame) const;
  friend bool operator==(const RxFilter&, const RxFilter&) = default;

 private:
  [[nodiscard]] bool accepts_vlan(std::span<const std::byte> frame) const;
  [[nodiscard]] bool accepts_address(const MacAddress& destination) const;
};

}  // namespace guestproof::virtio::net
