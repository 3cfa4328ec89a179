// In place of uring_backend.cc where there is no liburing.
#include <cerrno>

#include "guestproof/virtio/device/block/uring/uring_backend.h"

namespace guestproof::virtio::block {

Result<std::unique_ptr<AsyncBackend>> make_uring_backend(FileBackend&&, std::uint32_t) {
  return fail(SystemError::kRing, ENOSYS);
}

}  // namespace guestproof::virtio::block
