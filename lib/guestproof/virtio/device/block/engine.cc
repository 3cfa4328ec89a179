#include "guestproof/virtio/device/block/engine.h"

namespace guestproof::virtio::block {

Result<void> check_backend(const Config& config, const AsyncBackend& backend) {
  if (const auto ok = config.check(); !ok) return std::unexpected(ok.error());
  if (const auto wanted = config.capacity * kSectorBytes; backend.size() < wanted)
    return fail(BlockConfigError::kBackendTooSmall, backend.size(), wanted);
  if (backend.read_only() && !config.read_only) return fail(BlockConfigError::kBackendReadOnly);
  return {};
}

}  // namespace guestproof::virtio::block
