#include "guestproof/virtio/device/console/error.h"

namespace guestproof::virtio::console {
namespace {

constexpr std::array kEntries{
    ErrorEntry{ConsoleError::kNoQueue, "no_queue",
               "queue {value} is used, which does not exist with features {limit:x}"},
    ErrorEntry{ConsoleError::kWritable, "writable",
               "{value} device-writable bytes in a transmit queue"},
    ErrorEntry{ConsoleError::kReadable, "readable",
               "{value} device-readable bytes in a receive queue"},
    ErrorEntry{ConsoleError::kNoRoom, "no_room", "a receive buffer without a writable byte"},
    ErrorEntry{ConsoleError::kTransmitChanged, "transmit_changed",
               "a buffer of {value} bytes, of which {limit} were transmitted already"},
    ErrorEntry{ConsoleError::kHostClosed, "host_closed",
               "bytes for port {value}, whose host end is closed"},
    ErrorEntry{ConsoleError::kControlLength, "control_length",
               "a control message of {value} bytes; it has {limit}"},
    ErrorEntry{ConsoleError::kControlRoom, "control_room",
               "room of {value} bytes for a control message of {limit}"},
    ErrorEntry{ConsoleError::kPortId, "port_id",
               "a control message for port {value} of a device with {limit} ports"},
    ErrorEntry{ConsoleError::kPortAbsent, "port_absent",
               "a control message for port {value}, which the driver was not told of"},
    ErrorEntry{ConsoleError::kEvent, "event",
               "control event {value}, which a driver does not send"},
    ErrorEntry{ConsoleError::kValue, "value",
               "a control message's value is {value}; event {limit} takes 0 and 1"},
    ErrorEntry{ConsoleError::kOrder, "order",
               "control event {value} at the wrong time for port {limit}"},
    ErrorEntry{ConsoleError::kDriverFailed, "driver_failed",
               "the driver could not use the device or port: event {value}, port {limit}"},
};
static_assert(error_entries_are_dense(kEntries));
constexpr ErrorDomain kDomain{"console", kEntries};

}  // namespace

const ErrorDomain& error_domain(ConsoleError) { return kDomain; }

}  // namespace guestproof::virtio::console
