#include "guestproof/virtio/device/rng/entropy.h"

#include <errno.h>
#include <sys/random.h>

namespace guestproof::virtio::rng {

Result<std::size_t> KernelEntropy::fill(std::span<std::byte> out) {
  for (;;) {
    const auto got = ::getrandom(out.data(), out.size(), 0);
    if (got > 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) return fail(SystemError::kRead, static_cast<std::uint64_t>(errno));
  }
}

}  // namespace guestproof::virtio::rng
