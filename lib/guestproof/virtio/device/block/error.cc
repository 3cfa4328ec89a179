#include "guestproof/virtio/device/block/error.h"

namespace guestproof::virtio::block {
namespace {

constexpr std::array kBlockEntries{
    ErrorEntry{BlockError::kNoStatus, "no_status",
               "a request of {value} device-readable bytes has no device-writable byte for its "
               "status"},
    ErrorEntry{BlockError::kHeaderTooShort, "header_too_short",
               "a request of {value} device-readable bytes, its header has {limit}"},
    ErrorEntry{BlockError::kUnsupportedType, "unsupported_type",
               "request type {value} is not supported"},
    ErrorEntry{BlockError::kFeatureNotNegotiated, "feature_not_negotiated",
               "request type {value} without its feature, bit {limit}"},
    ErrorEntry{BlockError::kReadOnly, "read_only",
               "request type {value} would change a read-only device"},
    ErrorEntry{BlockError::kUnexpectedReadable, "unexpected_readable",
               "{value} device-readable bytes after the header of a request that takes {limit}"},
    ErrorEntry{BlockError::kUnexpectedWritable, "unexpected_writable",
               "{value} device-writable bytes before the status of a request that takes {limit}"},
    ErrorEntry{BlockError::kDataLength, "data_length",
               "{value} bytes of data, not a multiple of {limit}"},
    ErrorEntry{BlockError::kBeyondCapacity, "beyond_capacity",
               "the sectors from {value} on pass the capacity of {limit}"},
    ErrorEntry{BlockError::kSegMax, "seg_max", "data in {value} buffers, seg_max is {limit}"},
    ErrorEntry{BlockError::kSizeMax, "size_max",
               "a data buffer of {value} bytes, size_max is {limit}"},
    ErrorEntry{BlockError::kFlushSector, "flush_sector",
               "a flush of sector {value}, it must be {limit}"},
    ErrorEntry{BlockError::kIdLength, "id_length",
               "{value} bytes for the device's identity, it has {limit}"},
    ErrorEntry{BlockError::kSegmentsLength, "segments_length",
               "a segment array of {value} bytes, not a positive multiple of {limit}"},
    ErrorEntry{BlockError::kTooManySegments, "too_many_segments",
               "{value} segments in one request, the maximum is {limit}"},
    ErrorEntry{BlockError::kSegmentFlags, "segment_flags",
               "segment flags {value:x}, the known ones are {limit:x}"},
    ErrorEntry{BlockError::kSegmentSectors, "segment_sectors",
               "a segment of {value} sectors, the maximum is {limit}"},
    ErrorEntry{BlockError::kSegmentsTotal, "segments_total",
               "the segments of one request sum to {value} sectors, the capacity is {limit}"},
    ErrorEntry{BlockError::kNoProgress, "no_progress",
               "the back end stopped after {value} of {limit} bytes"},
};
static_assert(error_entries_are_dense(kBlockEntries));
constexpr ErrorDomain kBlockDomain{"block", kBlockEntries};

constexpr std::array kConfigEntries{
    ErrorEntry{BlockConfigError::kCapacity, "capacity",
               "a capacity of {value} sectors, the maximum is {limit}"},
    ErrorEntry{BlockConfigError::kSizeMaxZero, "size_max_zero", "size_max is 0"},
    ErrorEntry{BlockConfigError::kSegMaxZero, "seg_max_zero", "seg_max is 0"},
    ErrorEntry{BlockConfigError::kMaxSegments, "max_segments",
               "a maximum of {value} segments in one request, not from 1 to {limit}"},
    ErrorEntry{BlockConfigError::kBackendTooSmall, "backend_too_small",
               "a back end of {value} bytes for a capacity of {limit}"},
    ErrorEntry{BlockConfigError::kBackendReadOnly, "backend_read_only",
               "the back end is read-only, the device is not"},
    ErrorEntry{BlockConfigError::kFileType, "file_type",
               "a block back end must be a regular file or a block device, not of mode {value:x}"},
    ErrorEntry{BlockConfigError::kAppendMode, "append_mode",
               "a file opened with O_APPEND writes at its end, wherever it is told to"},
    ErrorEntry{BlockConfigError::kRingOperation, "ring_operation",
               "the kernel's io_uring does not know operation {value}"},
    ErrorEntry{BlockConfigError::kFeatureUnknown, "feature_unknown",
               "feature bits {value:x} are offered, the device has {limit:x}"},
    ErrorEntry{BlockConfigError::kFeatureWithout, "feature_without",
               "feature {value} is offered without feature {limit}"},
    ErrorEntry{BlockConfigError::kReadOnlyFeature, "read_only_feature",
               "read_only is {value}, and VIRTIO_BLK_F_RO is not offered accordingly"},
    ErrorEntry{BlockConfigError::kQueues, "queues", "{value} queues, not from 1 to {limit}"},
    ErrorEntry{BlockConfigError::kQueueSize, "queue_size",
               "queues of {value} entries, not a power of two from 1 to {limit}"},
    ErrorEntry{BlockConfigError::kBlockSize, "block_size",
               "logical blocks of {value} bytes, not a power of two from {limit} on"},
    ErrorEntry{BlockConfigError::kCapacityBlocks, "capacity_blocks",
               "a capacity of {value} sectors, which are no whole blocks of {limit} bytes"},
    ErrorEntry{BlockConfigError::kPhysicalBlockSize, "physical_block_size",
               "physical blocks of {value} bytes, not a power of two from {limit} on"},
    ErrorEntry{BlockConfigError::kTopologyRange, "topology_range",
               "a topology of {value} blocks, the field ends at {limit}"},
    ErrorEntry{BlockConfigError::kMaxSectorsZero, "max_sectors_zero",
               "feature {value} is offered for no sectors at all"},
};
static_assert(error_entries_are_dense(kConfigEntries));
constexpr ErrorDomain kConfigDomain{"block_config", kConfigEntries};

}  // namespace

const ErrorDomain& error_domain(BlockError) { return kBlockDomain; }
const ErrorDomain& error_domain(BlockConfigError) { return kConfigDomain; }

}  // namespace guestproof::virtio::block
