#include "guestproof/virtio/device/net/backend.h"

namespace guestproof::virtio::net {

Result<void> check_backend(const Config& config, const NetBackend& backend) {
  if (const auto ok = config.check(); !ok) return ok;
  if (config.max_pairs > backend.max_pairs())
    return fail(NetConfigError::kBackendPairs, config.max_pairs, backend.max_pairs());
  const auto offered = config.features & (kHostOffloads | kGuestOffloads);
  if ((offered & ~backend.offloads()) != 0)
    return fail(NetConfigError::kBackendOffloads, offered, backend.offloads());
  return {};
}

}  // namespace guestproof::virtio::net
