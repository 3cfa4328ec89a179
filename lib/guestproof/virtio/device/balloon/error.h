// What can be wrong with what a driver gives to a balloon. It costs the driver that request, never
// the queue: its chain is returned with used length 0.
#pragma once

#include "guestproof/base/error.h"

namespace guestproof::virtio::balloon {

enum class BalloonError : std::uint16_t {
  kNoQueue,
  kWritable,
  kReadable,
  kArrayLength,
  kPageLimit,
  kNotMemory,
  kStatisticsLength,
  kStatisticsLimit,
  kStatisticsTwice,
  kCommandLength,
  kCommand,
  kNoPages,
};
const ErrorDomain& error_domain(BalloonError);

}  // namespace guestproof::virtio::balloon
