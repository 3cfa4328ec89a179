#include "guestproof/virtio/device/net/config.h"

namespace guestproof::virtio::net {

Result<void> Config::check() const {
  const auto has = [this](unsigned feature) { return (features & feature_bit(feature)) != 0; };
  if ((features & ~kNetFeatures) != 0)
    return fail(NetConfigError::kFeatures, features, kNetFeatures);
  if (const auto unmet = unmet_need(features); unmet)
    return fail(NetConfigError::kFeatureNeeds, unmet->feature, unmet->needs);
  if (is_multicast(mac)) return fail(NetConfigError::kMac, number_of(mac));
  const auto most = has(VIRTIO_NET_F_MQ) ? kMaxPairs : std::uint16_t{1};
  if (max_pairs < 1 || max_pairs > most) return fail(NetConfigError::kPairs, max_pairs, most);
  if (has(VIRTIO_NET_F_MTU) && mtu < kMinMtu) return fail(NetConfigError::kMtu, mtu, kMinMtu);
  if (has(VIRTIO_NET_F_SPEED_DUPLEX) && speed > kSpeedMax && speed != kSpeedUnknown)
    return fail(NetConfigError::kSpeed, speed, kSpeedMax);
  return {};
}

}  // namespace guestproof::virtio::net
