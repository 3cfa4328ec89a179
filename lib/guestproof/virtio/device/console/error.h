// What can be wrong with what a driver gives to a console. It costs the driver that buffer or
// message, never the queue: its chain is returned.
#pragma once

#include "guestproof/base/error.h"

namespace guestproof::virtio::console {

enum class ConsoleError : std::uint16_t {
  kNoQueue,
  kWritable,
  kReadable,
  kNoRoom,
  kTransmitChanged,
  kHostClosed,
  kControlLength,
  kControlRoom,
  kPortId,
  kPortAbsent,
  kEvent,
  kValue,
  kOrder,
  kDriverFailed,
};
const ErrorDomain& error_domain(ConsoleError);

}  // namespace guestproof::virtio::console
