#include "guestproof/virtio/device/net/features.h"

#include <bit>

namespace guestproof::virtio::net {
namespace {

struct Need {
  unsigned feature;
  std::uint64_t one_of;
};

constexpr std::uint64_t kGuestTso =
    feature_bit(VIRTIO_NET_F_GUEST_TSO4) | feature_bit(VIRTIO_NET_F_GUEST_TSO6);
constexpr std::uint64_t kHostTso =
    feature_bit(VIRTIO_NET_F_HOST_TSO4) | feature_bit(VIRTIO_NET_F_HOST_TSO6);
constexpr std::uint64_t kGuestChecksum = feature_bit(VIRTIO_NET_F_GUEST_CSUM);
constexpr std::uint64_t kHostChecksum = feature_bit(VIRTIO_NET_F_CSUM);
constexpr std::uint64_t kControl = feature_bit(VIRTIO_NET_F_CTRL_VQ);

constexpr std::array kNeeds{
    Need{VIRTIO_NET_F_GUEST_TSO4, kGuestChecksum},
    Need{VIRTIO_NET_F_GUEST_TSO6, kGuestChecksum},
    Need{VIRTIO_NET_F_GUEST_ECN, kGuestTso},
    Need{VIRTIO_NET_F_GUEST_UFO, kGuestChecksum},
    Need{VIRTIO_NET_F_GUEST_USO4, kGuestChecksum},
    Need{VIRTIO_NET_F_GUEST_USO6, kGuestChecksum},
    Need{VIRTIO_NET_F_HOST_TSO4, kHostChecksum},
    Need{VIRTIO_NET_F_HOST_TSO6, kHostChecksum},
    Need{VIRTIO_NET_F_HOST_ECN, kHostTso},
    Need{VIRTIO_NET_F_HOST_UFO, kHostChecksum},
    Need{VIRTIO_NET_F_HOST_USO, kHostChecksum},
    Need{VIRTIO_NET_F_CTRL_RX, kControl},
    Need{VIRTIO_NET_F_CTRL_VLAN, kControl},
    Need{VIRTIO_NET_F_GUEST_ANNOUNCE, kControl},
    Need{VIRTIO_NET_F_MQ, kControl},
    Need{VIRTIO_NET_F_CTRL_MAC_ADDR, kControl},
};

}  // namespace

std::optional<UnmetNeed> unmet_need(std::uint64_t features) {
  for (const auto& need : kNeeds)
    if ((features & feature_bit(need.feature)) != 0 && (features & need.one_of) == 0)
      return UnmetNeed{need.feature, static_cast<unsigned>(std::countr_zero(need.one_of))};
  return std::nullopt;
}

Offloads Offloads::host(std::uint64_t features) {
  const auto has = [&](unsigned feature) { return (features & feature_bit(feature)) != 0; };
  return {.checksum = has(VIRTIO_NET_F_CSUM),
          .tso4 = has(VIRTIO_NET_F_HOST_TSO4),
          .tso6 = has(VIRTIO_NET_F_HOST_TSO6),
          .ecn = has(VIRTIO_NET_F_HOST_ECN),
          .ufo = has(VIRTIO_NET_F_HOST_UFO),
          .uso4 = has(VIRTIO_NET_F_HOST_USO),
          .uso6 = has(VIRTIO_NET_F_HOST_USO)};
}

Offloads Offloads::guest(std::uint64_t features) {
  const auto has = [&](unsigned feature) { return (features & feature_bit(feature)) != 0; };
  return {.checksum = has(VIRTIO_NET_F_GUEST_CSUM),
          .tso4 = has(VIRTIO_NET_F_GUEST_TSO4),
          .tso6 = has(VIRTIO_NET_F_GUEST_TSO6),
          .ecn = has(VIRTIO_NET_F_GUEST_ECN),
          .ufo = has(VIRTIO_NET_F_GUEST_UFO),
          .uso4 = has(VIRTIO_NET_F_GUEST_USO4),
          .uso6 = has(VIRTIO_NET_F_GUEST_USO6)};
}

}  // namespace guestproof::virtio::net
