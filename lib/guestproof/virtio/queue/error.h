// What can be wrong with a queue's configuration, its rings, a descriptor chain, or saved queue
// state.
#pragma once

#include "guestproof/base/error.h"

namespace guestproof::virtio {

/// The queue as a whole: nothing more can be taken from it until it is reset (the device says
/// NEEDS_RESET).
enum class QueueError : std::uint16_t {
  kNotActive,
  kAvailIndex,
  kHeadIndex,
  kHeadInFlight,
  kStaleChain,
  kUsedLength,
  kChainsInFlight,
  kSavedBroken,
  kNotTakenLast,
  kDescriptorNotAvailable,
  kDescriptorInFlight,
};
const ErrorDomain& error_domain(QueueError);

/// What a driver may not configure. A rejected setter keeps the old value.
enum class QueueConfigError : std::uint16_t {
  kMaxSize,
  kSizeZero,
  kSizeNotPowerOfTwo,
  kSizeAboveMax,
  kReady,
  kNotReady,
  kDescriptorTableAlign,
  kAvailableRingAlign,
  kUsedRingAlign,
  kDescriptorTableRange,
  kAvailableRingRange,
  kUsedRingRange,
  kAreasOverlap,
  kLayout,
};
const ErrorDomain& error_domain(QueueConfigError);

/// One malformed descriptor chain. Its head is still returned to the driver; other chains are not
/// affected.
enum class ChainError : std::uint16_t {
  kTooLong,
  kNextIndex,
  kTotalLength,
  kReadableAfterWritable,
  kIndirectNotNegotiated,
  kIndirectNested,
  kIndirectWithNext,
  kIndirectLength,
  kIndirectUnmapped,
  kReadPastEnd,
  kWritePastEnd,
  kIndirectInChain,
};
const ErrorDomain& error_domain(ChainError);

}  // namespace guestproof::virtio
