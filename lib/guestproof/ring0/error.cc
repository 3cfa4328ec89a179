#include "guestproof/ring0/error.h"

namespace guestproof::ring0 {
namespace {

constexpr std::array kEntries{
    ErrorEntry{
        Ring0Error::kMapsLine, "maps_line",
        "a line of /proc/self/maps, of {limit} letters, makes no sense from letter {value} on"},
    ErrorEntry{Ring0Error::kVcpuCount, "vcpu_count", "{value} vCPUs; possible are 1 to {limit}"},
    ErrorEntry{Ring0Error::kTimeLimit, "time_limit",
               "a time limit of {value} ms; possible are 1 to {limit}"},
    ErrorEntry{Ring0Error::kRangeEmpty, "range_empty", "a range of no bytes at {value:x}"},
    ErrorEntry{Ring0Error::kRangeEnd, "range_end",
               "the range at {value:x} does not end at or below {limit:x}"},
    ErrorEntry{Ring0Error::kRangeOverlap, "range_overlap",
               "the range at {value:x} meets the one at {limit:x}"},
    ErrorEntry{Ring0Error::kRangeAlignment, "range_alignment",
               "a range with the base or size {value:x}, which is no multiple of {limit}"},
    ErrorEntry{Ring0Error::kControlPort, "control_port",
               "port {value:x} is among the ports from {limit:x} on that tests are run with"},
    ErrorEntry{Ring0Error::kPortTwice, "port_twice", "port {value:x} is there twice"},
    ErrorEntry{Ring0Error::kMsrTwice, "msr_twice", "the MSR {value:x} is there twice"},
    ErrorEntry{Ring0Error::kTwoEnds, "two_ends", "{value} ends are expected of one test"},
    ErrorEntry{Ring0Error::kTwoAnswers, "two_answers",
               "values and a function for accesses of {value:x}, of which one can answer"},
    ErrorEntry{Ring0Error::kPrivilege, "privilege",
               "privilege level {value}; possible are 0 and {limit}"},
    ErrorEntry{Ring0Error::kAddressWidth, "address_width",
               "guest-physical addresses of {value} bits; at least {limit} are needed"},
    ErrorEntry{Ring0Error::kPageTables, "page_tables",
               "there is no room for the page table of {value:x} in {limit} bytes"},
    ErrorEntry{Ring0Error::kTableEntry, "table_entry",
               "the page tables were overwritten: one leads to {value:x}, past {limit:x}"},
    ErrorEntry{Ring0Error::kGuestPhysical, "guest_physical",
               "the guest-physical addresses up to {limit:x} are used up, at a fault at {value:x}"},
    ErrorEntry{Ring0Error::kSlots, "slots",
               "all {limit} memory slots are used, at a fault at {value:x}"},
    ErrorEntry{Ring0Error::kRingIndex, "ring_index",
               "{value} bytes wait to be read in a ring of {limit}"},
    ErrorEntry{Ring0Error::kRecordSize, "record_size",
               "a record of {value} bytes, where {limit} are possible"},
    ErrorEntry{Ring0Error::kRecordLost, "record_lost",
               "record {value} of a ring, where record {limit} was to come"},
    ErrorEntry{Ring0Error::kTrapFrame, "trap_frame",
               "the guest told of an exception at {value:x}, where none can be (below {limit:x})"},
};
static_assert(error_entries_are_dense(kEntries));
constexpr ErrorDomain kDomain{"ring0", kEntries};

}  // namespace

const ErrorDomain& error_domain(Ring0Error) { return kDomain; }

}  // namespace guestproof::ring0
