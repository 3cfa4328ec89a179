// The features of a network device: which it has, which need others, and what they say about
// checksums and segmentation.
//
// Thread-safety: pure functions.
// Specification: virtio 1.3 §5.1.3.
#pragma once

#include <cstdint>
#include <optional>

#include "guestproof/virtio/device/net/wire.h"
#include "guestproof/virtio/device/wire.h"

namespace guestproof::virtio::net {

/// What a driver can leave to the device in frames that it sends, and what it can be left in frames
/// that it receives; the latter are the bits of VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET too.
inline constexpr std::uint64_t kHostOffloads =
    feature_bit(VIRTIO_NET_F_CSUM) | feature_bit(VIRTIO_NET_F_HOST_TSO4) |
    feature_bit(VIRTIO_NET_F_HOST_TSO6) | feature_bit(VIRTIO_NET_F_HOST_ECN) |
    feature_bit(VIRTIO_NET_F_HOST_UFO) | feature_bit(VIRTIO_NET_F_HOST_USO);
inline constexpr std::uint64_t kGuestOffloads =
    feature_bit(VIRTIO_NET_F_GUEST_CSUM) | feature_bit(VIRTIO_NET_F_GUEST_TSO4) |
    feature_bit(VIRTIO_NET_F_GUEST_TSO6) | feature_bit(VIRTIO_NET_F_GUEST_ECN) |
    feature_bit(VIRTIO_NET_F_GUEST_UFO) | feature_bit(VIRTIO_NET_F_GUEST_USO4) |
    feature_bit(VIRTIO_NET_F_GUEST_USO6);

/// All features that this device has.
inline constexpr std::uint64_t kNetFeatures =
    kHostOffloads | kGuestOffloads | feature_bit(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) |
    feature_bit(VIRTIO_NET_F_MTU) | feature_bit(VIRTIO_NET_F_MAC) |
    feature_bit(VIRTIO_NET_F_MRG_RXBUF) | feature_bit(VIRTIO_NET_F_STATUS) |
    feature_bit(VIRTIO_NET_F_CTRL_VQ) | feature_bit(VIRTIO_NET_F_CTRL_RX) |
    feature_bit(VIRTIO_NET_F_CTRL_VLAN) | feature_bit(VIRTIO_NET_F_CTRL_RX_EXTRA) |
    feature_bit(VIRTIO_NET_F_GUEST_ANNOUNCE) | feature_bit(VIRTIO_NET_F_MQ) |
    feature_bit(VIRTIO_NET_F_CTRL_MAC_ADDR) | feature_bit(VIRTIO_NET_F_SPEED_DUPLEX);

/// A feature that is there, and one that it needs and that is not.
struct UnmetNeed {
  unsigned feature = 0;
  unsigned needs = 0;
  friend bool operator==(const UnmetNeed&, const UnmetNeed&) = default;
};
/// The first of `features` whose requirement in §5.1.3.1 is not met, in the order of that section;
/// where one of two others would do, `needs` is the first of them.
[[nodiscard]] std::optional<UnmetNeed> unmet_need(std::uint64_t features);

/// What the header of a frame may ask of who receives it.
struct Offloads {
  bool checksum = false;
  bool tso4 = false;
  bool tso6 = false;
  bool ecn = false;
  bool ufo = false;
  bool uso4 = false;
  bool uso6 = false;

  /// Of frames that the driver sends, and that it receives.
  [[nodiscard]] static Offloads host(std::uint64_t features);
  [[nodiscard]] static Offloads guest(std::uint64_t features);
  friend bool operator==(const Offloads&, const Offloads&) = default;
};

}  // namespace guestproof::virtio::net
