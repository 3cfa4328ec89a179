#include "guestproof/kvm/error.h"

namespace guestproof::kvm {
namespace {

constexpr std::array kPageEntries{
    ErrorEntry{PageError::kRunSize, "run_size",
               "a run mapping of {value} bytes; struct kvm_run has {limit}"},
    ErrorEntry{PageError::kIoDirection, "io_direction",
               "the run page says port access direction {value}, above {limit}"},
    ErrorEntry{PageError::kIoSize, "io_size",
               "the run page says port items of {value} bytes, not 1, 2 or {limit}"},
    ErrorEntry{PageError::kIoCount, "io_count",
               "the run page says {value} port items; from 1 to {limit} fit into the mapping"},
    ErrorEntry{PageError::kIoOffset, "io_offset",
               "the run page says port items at offset {value}, not between struct kvm_run and the "
               "mapping's end at {limit}"},
    ErrorEntry{PageError::kMmioLength, "mmio_length",
               "an MMIO access of {value} bytes, not of 1 to {limit}"},
    ErrorEntry{PageError::kMmioDirection, "mmio_direction",
               "the run page says MMIO direction {value}, above {limit}"},
    ErrorEntry{PageError::kDataCount, "data_count",
               "the run page says {value} words of data; it has room for {limit}"},
    ErrorEntry{PageError::kInstructionLength, "instruction_length",
               "the run page says an instruction of {value} bytes, above {limit} or more than it "
               "has data for"},
    ErrorEntry{
        PageError::kHypervType, "hyperv_type",
        "the run page says a Hyper-V exit of type {value}; the known types are 1 to {limit}"},
    ErrorEntry{PageError::kXenType, "xen_type",
               "the run page says a Xen exit of type {value}; the known type is {limit}"},
    ErrorEntry{PageError::kRingIndex, "ring_index",
               "coalesced ring index {value} in a ring of {limit} entries"},
    ErrorEntry{PageError::kRingLength, "ring_length",
               "a coalesced ring page of {value} bytes; the smallest has {limit}"},
    ErrorEntry{
        PageError::kDirtyFlags, "dirty_flags",
        "a dirty ring entry with flags {value:x}, which is neither free nor dirty ({limit:x})"},
    ErrorEntry{PageError::kDirtyRingSize, "dirty_ring_size",
               "a dirty ring of {value} bytes, not a power of two of entries of {limit} bytes"},
};
static_assert(error_entries_are_dense(kPageEntries));
constexpr ErrorDomain kPageDomain{"kvm_page", kPageEntries};

constexpr std::array kCallEntries{
    ErrorEntry{CallError::kApiVersion, "api_version",
               "this KVM has API version {value}; only version {limit} exists since Linux 2.6.22"},
    ErrorEntry{CallError::kTooManyEntries, "too_many_entries",
               "an array of {value} entries; at most {limit} are allowed"},
    ErrorEntry{CallError::kEntryCount, "entry_count",
               "the kernel says that an array has {value} entries; it was given room for {limit}"},
    ErrorEntry{CallError::kUnknownSlot, "unknown_slot",
               "memory slot {value:x} was not set through this Vm, so its size is not known"},
    ErrorEntry{CallError::kBitmapLength, "bitmap_length",
               "a bitmap of {value} words where {limit} are needed"},
    ErrorEntry{CallError::kDatamatch, "datamatch",
               "an ioeventfd on an access of {value} bytes; the lengths are 0 (any, and any "
               "value), 1, 2, 4 "
               "and {limit}"},
    ErrorEntry{CallError::kRegisterSize, "register_size",
               "a buffer of {value} bytes for a register of {limit}"},
    ErrorEntry{CallError::kStateLength, "state_length",
               "saved bytes: {value}, where {limit} are needed"},
    ErrorEntry{CallError::kExitPending, "exit_pending",
               "the last exit is not completed, so the registers are not whole: Vcpu::complete()"},
    ErrorEntry{CallError::kMsrRefused, "msr_refused",
               "the kernel refused MSR {value:x}, entry {limit} of the list"},
    ErrorEntry{CallError::kMsrBitmap, "msr_bitmap",
               "an MSR filter range with a bitmap of {value} bits for {limit} registers"},
    ErrorEntry{CallError::kStatistics, "statistics",
               "binary statistics refer to byte {value}, behind the {limit} that there are"},
    ErrorEntry{CallError::kStatisticsName, "statistics_name",
               "binary statistics with names of {value} bytes, above {limit}"},
};
static_assert(error_entries_are_dense(kCallEntries));
constexpr ErrorDomain kCallDomain{"kvm_call", kCallEntries};

}  // namespace

const ErrorDomain& error_domain(PageError) { return kPageDomain; }
const ErrorDomain& error_domain(CallError) { return kCallDomain; }

}  // namespace guestproof::kvm
