// What can be wrong with a request for entropy.
#pragma once

#include "guestproof/base/error.h"

namespace guestproof::virtio::rng {

enum class RngError : std::uint16_t {
  kReadable,
  kNoRoom,
};
const ErrorDomain& error_domain(RngError);

}  // namespace guestproof::virtio::rng
