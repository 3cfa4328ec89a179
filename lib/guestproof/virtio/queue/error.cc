#include "guestproof/virtio/queue/error.h"

namespace guestproof::virtio {
namespace {

constexpr std::array kQueueEntries{
    ErrorEntry{QueueError::kNotActive, "not_active", "the queue is not active"},
    ErrorEntry{QueueError::kAvailIndex, "avail_index",
               "the available index is {value} entries ahead, more than the queue size {limit}"},
    ErrorEntry{
        QueueError::kHeadIndex, "head_index",
        "available descriptor head or Buffer ID {value} is not below the queue size {limit}"},
    ErrorEntry{
        QueueError::kHeadInFlight, "head_in_flight",
        "descriptor head or Buffer ID {value} was made available again before it was returned"},
    ErrorEntry{QueueError::kStaleChain, "stale_chain",
               "the chain with head {value} was taken before the queue was reset"},
    ErrorEntry{QueueError::kUsedLength, "used_length",
               "a used length of {value} bytes passes the chain's {limit} device-writable bytes"},
    ErrorEntry{QueueError::kChainsInFlight, "chains_in_flight",
               "{value} chains were taken and are not yet returned"},
    ErrorEntry{QueueError::kSavedBroken, "saved_broken",
               "the queue was broken when its state was saved"},
    ErrorEntry{QueueError::kNotTakenLast, "not_taken_last",
               "the chain with head {value} is not the one that was taken last"},
    ErrorEntry{QueueError::kDescriptorNotAvailable, "descriptor_not_available",
               "descriptor {value} of the ring goes on with a chain and is not marked available"},
    ErrorEntry{QueueError::kDescriptorInFlight, "descriptor_in_flight",
               "descriptor {value} of the ring was made available again before it was returned"},
};
static_assert(error_entries_are_dense(kQueueEntries));
constexpr ErrorDomain kQueueDomain{"queue", kQueueEntries};

constexpr std::array kConfigEntries{
    ErrorEntry{QueueConfigError::kMaxSize, "max_size",
               "a maximum queue size of {value} is not a power of two from 1 to {limit}"},
    ErrorEntry{QueueConfigError::kSizeZero, "size_zero", "queue size 0 (the maximum is {limit})"},
    ErrorEntry{QueueConfigError::kSizeNotPowerOfTwo, "size_not_power_of_two",
               "queue size {value} is not a power of two (the maximum is {limit})"},
    ErrorEntry{QueueConfigError::kSizeAboveMax, "size_above_max",
               "queue size {value} is above the maximum {limit}"},
    ErrorEntry{QueueConfigError::kReady, "ready",
               "the queue is ready: its configuration is fixed until reset"},
    ErrorEntry{QueueConfigError::kNotReady, "not_ready", "the driver has not made the queue ready"},
    ErrorEntry{QueueConfigError::kDescriptorTableAlign, "descriptor_table_align",
               "descriptor table address {value:x} is not a multiple of {limit}"},
    ErrorEntry{QueueConfigError::kAvailableRingAlign, "available_ring_align",
               "available ring address {value:x} is not a multiple of {limit}"},
    ErrorEntry{QueueConfigError::kUsedRingAlign, "used_ring_align",
               "used ring address {value:x} is not a multiple of {limit}"},
    ErrorEntry{QueueConfigError::kDescriptorTableRange, "descriptor_table_range",
               "the {limit} bytes of the descriptor table at {value:x} are not in one region of "
               "guest memory"},
    ErrorEntry{QueueConfigError::kAvailableRingRange, "available_ring_range",
               "the {limit} bytes of the available ring at {value:x} are not in one region of "
               "guest memory"},
    ErrorEntry{QueueConfigError::kUsedRingRange, "used_ring_range",
               "the {limit} bytes of the used ring at {value:x} are not in one writable region of "
               "guest memory"},
    ErrorEntry{QueueConfigError::kAreasOverlap, "areas_overlap",
               "the queue area at {value:x} overlaps the one at {limit:x}"},
    ErrorEntry{QueueConfigError::kLayout, "layout",
               "a queue configured for ring layout {value}, where only {limit} will do (0 split, 1 "
               "packed)"},
};
static_assert(error_entries_are_dense(kConfigEntries));
constexpr ErrorDomain kConfigDomain{"queue_config", kConfigEntries};

constexpr std::array kChainEntries{
    ErrorEntry{ChainError::kTooLong, "too_long",
               "the descriptor chain goes on past {value} descriptors, the queue size is {limit}"},
    ErrorEntry{ChainError::kNextIndex, "next_index",
               "next descriptor {value} is not below the table's {limit} descriptors"},
    ErrorEntry{ChainError::kTotalLength, "total_length",
               "the buffers of a descriptor chain sum to {value} bytes, more than {limit}"},
    ErrorEntry{ChainError::kReadableAfterWritable, "readable_after_writable",
               "descriptor {value} of the chain is device-readable after a device-writable one"},
    ErrorEntry{ChainError::kIndirectNotNegotiated, "indirect_not_negotiated",
               "an indirect descriptor without VIRTIO_F_INDIRECT_DESC"},
    ErrorEntry{ChainError::kIndirectNested, "indirect_nested",
               "an indirect descriptor at index {value} of an indirect table"},
    ErrorEntry{ChainError::kIndirectWithNext, "indirect_with_next",
               "an indirect descriptor that also has a next descriptor, {value}"},
    ErrorEntry{ChainError::kIndirectLength, "indirect_length",
               "an indirect table of {value} bytes, not a positive multiple of {limit}"},
    ErrorEntry{ChainError::kIndirectUnmapped, "indirect_unmapped",
               "the indirect descriptor at {value:x} is not in guest memory"},
    ErrorEntry{ChainError::kReadPastEnd, "read_past_end",
               "{value} bytes wanted from a chain that has {limit} device-readable bytes left"},
    ErrorEntry{ChainError::kWritePastEnd, "write_past_end",
               "{value} bytes for a chain that has {limit} device-writable bytes left"},
    ErrorEntry{ChainError::kIndirectInChain, "indirect_in_chain",
               "an indirect descriptor at place {value} of a packed ring's chain of several"},
};
static_assert(error_entries_are_dense(kChainEntries));
constexpr ErrorDomain kChainDomain{"chain", kChainEntries};

}  // namespace

const ErrorDomain& error_domain(QueueError) { return kQueueDomain; }
const ErrorDomain& error_domain(QueueConfigError) { return kConfigDomain; }
const ErrorDomain& error_domain(ChainError) { return kChainDomain; }

}  // namespace guestproof::virtio
