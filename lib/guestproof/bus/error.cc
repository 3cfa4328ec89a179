#include "guestproof/bus/error.h"

namespace guestproof {
namespace {

constexpr std::array kEntries{
    ErrorEntry{BusError::kWidth, "width", "an access of {value} bytes; possible are 1 to {limit}"},
    ErrorEntry{BusError::kUnmapped, "unmapped", "{limit} bytes at {value:x}, where nothing is"},
    ErrorEntry{BusError::kRangeEnd, "range_end",
               "an access at {value:x} goes on past {limit:x}, the last byte of the device there"},
};
static_assert(error_entries_are_dense(kEntries));
constexpr ErrorDomain kDomain{"bus", kEntries};

constexpr std::array kBuildEntries{
    ErrorEntry{BusBuildError::kEmpty, "empty", "a range of no bytes at {value:x}"},
    ErrorEntry{BusBuildError::kEnd, "end", "a range at {value:x} that goes on past {limit:x}"},
    ErrorEntry{BusBuildError::kOverlap, "overlap",
               "a range at {value:x} meets the one at {limit:x}"},
};
static_assert(error_entries_are_dense(kBuildEntries));
constexpr ErrorDomain kBuildDomain{"bus_build", kBuildEntries};

}  // namespace

const ErrorDomain& error_domain(BusError) { return kDomain; }
const ErrorDomain& error_domain(BusBuildError) { return kBuildDomain; }

}  // namespace guestproof
