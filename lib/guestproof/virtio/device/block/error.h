// What can be wrong with a block request, and with the host's own configuration of a block device.
#pragma once

#include "guestproof/base/error.h"

namespace guestproof::virtio::block {

/// One request that is not executed, or not to its end. Other requests are not affected.
enum class BlockError : std::uint16_t {
  kNoStatus,
  kHeaderTooShort,
  kUnsupportedType,
  kFeatureNotNegotiated,
  kReadOnly,
  kUnexpectedReadable,
  kUnexpectedWritable,
  kDataLength,
  kBeyondCapacity,
  kSegMax,
  kSizeMax,
  kFlushSector,
  kIdLength,
  kSegmentsLength,
  kTooManySegments,
  kSegmentFlags,
  kSegmentSectors,
  kSegmentsTotal,
  kNoProgress,
};
const ErrorDomain& error_domain(BlockError);

/// What the host may not configure; no guest can cause these.
enum class BlockConfigError : std::uint16_t {
  kCapacity,
  kSizeMaxZero,
  kSegMaxZero,
  kMaxSegments,
  kBackendTooSmall,
  kBackendReadOnly,
  kFileType,
  kAppendMode,
  kRingOperation,
  kFeatureUnknown,
  kFeatureWithout,
  kReadOnlyFeature,
  kQueues,
  kQueueSize,
  kBlockSize,
  kCapacityBlocks,
  kPhysicalBlockSize,
  kTopologyRange,
  kMaxSectorsZero,
};
const ErrorDomain& error_domain(BlockConfigError);

}  // namespace guestproof::virtio::block
