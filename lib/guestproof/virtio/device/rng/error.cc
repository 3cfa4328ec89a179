#include "guestproof/virtio/device/rng/error.h"

#include <array>

namespace guestproof::virtio::rng {
namespace {

constexpr std::array kEntries{
    ErrorEntry{RngError::kReadable, "readable",
               "a request for entropy with {value} device-readable bytes"},
    ErrorEntry{RngError::kNoRoom, "no_room", "a request for entropy without a writable byte"},
};
static_assert(error_entries_are_dense(kEntries));
constexpr ErrorDomain kDomain{"rng", kEntries};

}  // namespace

const ErrorDomain& error_domain(RngError) { return kDomain; }

}  // namespace guestproof::virtio::rng
