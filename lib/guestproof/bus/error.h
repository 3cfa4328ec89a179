// What can be wrong with a guest's access to a bus, and with a bus as it is built.
#pragma once

#include "guestproof/base/error.h"

namespace guestproof {

/// An access that no device saw.
enum class BusError : std::uint16_t {
  kWidth,
  kUnmapped,
  kRangeEnd,
};
const ErrorDomain& error_domain(BusError);

/// What a bus cannot be built of.
enum class BusBuildError : std::uint16_t {
  kEmpty,
  kEnd,
  kOverlap,
};
const ErrorDomain& error_domain(BusBuildError);

}  // namespace guestproof
