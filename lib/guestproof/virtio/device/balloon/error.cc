#include "guestproof/virtio/device/balloon/error.h"

namespace guestproof::virtio::balloon {
namespace {

constexpr std::array kEntries{
    ErrorEntry{BalloonError::kNoQueue, "no_queue",
               "queue {value} is used, which does not exist with features {limit:x}"},
    ErrorEntry{BalloonError::kWritable, "writable",
               "page numbers or statistics with {value} device-writable bytes"},
    ErrorEntry{BalloonError::kReadable, "readable",
               "a report of free pages with {value} device-readable bytes"},
    ErrorEntry{BalloonError::kArrayLength, "array_length",
               "an array of page numbers has {value} bytes, which is no multiple of {limit}"},
    ErrorEntry{BalloonError::kPageLimit, "page_limit",
               "a request has {value} page numbers, the device takes at most {limit}"},
    ErrorEntry{BalloonError::kNotMemory, "not_memory",
               "page number {value:x}, and {limit} in all of a request, are not writable guest "
               "memory"},
    ErrorEntry{BalloonError::kStatisticsLength, "statistics_length",
               "statistics have {value} bytes, which is no multiple of {limit}"},
    ErrorEntry{BalloonError::kStatisticsLimit, "statistics_limit",
               "{value} statistics, the device takes at most {limit}"},
    ErrorEntry{BalloonError::kStatisticsTwice, "statistics_twice",
               "a second buffer for statistics while the device has one"},
    ErrorEntry{BalloonError::kCommandLength, "command_length",
               "a hinting command has {value} bytes, not {limit}"},
    ErrorEntry{BalloonError::kCommand, "command",
               "hinting command {value}, the device's is {limit}"},
    ErrorEntry{BalloonError::kNoPages, "no_pages", "a request without any page"},
};
static_assert(error_entries_are_dense(kEntries));
constexpr ErrorDomain kDomain{"balloon", kEntries};

}  // namespace

const ErrorDomain& error_domain(BalloonError) { return kDomain; }

}  // namespace guestproof::virtio::balloon
