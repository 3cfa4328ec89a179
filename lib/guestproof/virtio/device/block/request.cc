#include "guestproof/virtio/device/block/request.h"

#include <algorithm>

namespace guestproof::virtio::block {
namespace {

bool is_supported(std::uint32_t type) {
  return type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_FLUSH || type == VIRTIO_BLK_T_GET_ID ||
         changes_data(type);
}

/// The feature that a type needs; nothing for those that every device has.
std::optional<unsigned> feature_of(std::uint32_t type) {
  switch (type) {
    case VIRTIO_BLK_T_FLUSH:
      return VIRTIO_BLK_F_FLUSH;
    case VIRTIO_BLK_T_DISCARD:
      return VIRTIO_BLK_F_DISCARD;
    case VIRTIO_BLK_T_WRITE_ZEROES:
      return VIRTIO_BLK_F_WRITE_ZEROES;
    case VIRTIO_BLK_T_SECURE_ERASE:
      return VIRTIO_BLK_F_SECURE_ERASE;
    default:
      return std::nullopt;
  }
}

const SegmentLimits& limits_of(std::uint32_t type, const Config& config) {
  if (type == VIRTIO_BLK_T_DISCARD) return config.discard;
  if (type == VIRTIO_BLK_T_WRITE_ZEROES) return config.write_zeroes;
  return config.secure_erase;
}

/// seg_max and size_max, for the `bytes` bytes of data that follow the first `skip` bytes.
Result<void> check_data_buffers(std::span<const Buffer> buffers, std::uint64_t skip,
                                std::uint64_t bytes, const Config& config) {
  std::uint64_t count = 0;
  std::uint64_t longest = 0;
  for (const auto& buffer : buffers) {
    const auto front = std::min<std::uint64_t>(skip, buffer.length);
    const auto part = std::min(bytes, buffer.length - front);
    skip -= front;
    bytes -= part;
    count += part != 0;
    longest = std::max(longest, part);
  }
  if (config.has(VIRTIO_BLK_F_SEG_MAX) && count > config.seg_max)
    return fail(BlockError::kSegMax, count, config.seg_max);
  if (config.has(VIRTIO_BLK_F_SIZE_MAX) && longest > config.size_max)
    return fail(BlockError::kSizeMax, longest, config.size_max);
  return {};
}

Result<void> check_sectors(std::uint64_t sector, std::span<const Buffer> buffers,
                           std::uint64_t skip, std::uint64_t bytes, const Config& config) {
  if (bytes % kSectorBytes != 0) return fail(BlockError::kDataLength, bytes, kSectorBytes);
  if (!range_within(sector, bytes / kSectorBytes, config.capacity))
    return fail(BlockError::kBeyondCapacity, sector, config.capacity);
  if (config.has(VIRTIO_BLK_F_SEG_MAX) || config.has(VIRTIO_BLK_F_SIZE_MAX))
    return check_data_buffers(buffers, skip, bytes, config);
  return {};
}

Result<void> check_segments_length(std::uint64_t bytes, const SegmentLimits& limits) {
  constexpr auto kSize = sizeof(VirtioBlkDiscardWriteZeroes);
  if (bytes == 0 || bytes % kSize != 0) return fail(BlockError::kSegmentsLength, bytes, kSize);
  if (bytes / kSize > limits.max_segments)
    return fail(BlockError::kTooManySegments, bytes / kSize, limits.max_segments);
  return {};
}

}  // namespace

std::uint8_t status_of(const Error& error) {
  const bool unsupported = error == BlockError::kUnsupportedType ||
                           error == BlockError::kFeatureNotNegotiated ||
                           error == BlockError::kSegmentFlags;
  return unsupported ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

Result<void> check_request(const VirtioBlkReq& header, const RequestBuffers& buffers,
                           const Config& config) {
  const std::uint32_t type = header.type;
  const auto readable = buffers.readable_bytes - sizeof(VirtioBlkReq);
  const auto writable = buffers.writable_bytes - 1;
  if (!is_supported(type)) return fail(BlockError::kUnsupportedType, type);
  if (const auto feature = feature_of(type); feature && !config.has(*feature))
    return fail(BlockError::kFeatureNotNegotiated, type, *feature);
  if (changes_data(type)) {
    if (config.read_only) return fail(BlockError::kReadOnly, type);
    if (writable != 0) return fail(BlockError::kUnexpectedWritable, writable);
  } else if (type != VIRTIO_BLK_T_FLUSH && readable != 0) {
    return fail(BlockError::kUnexpectedReadable, readable);
  }
  switch (type) {
    case VIRTIO_BLK_T_IN:
      return check_sectors(header.sector, buffers.writable, 0, writable, config);
    case VIRTIO_BLK_T_OUT:
      return check_sectors(header.sector, buffers.readable, sizeof(VirtioBlkReq), readable, config);
    case VIRTIO_BLK_T_FLUSH:
      if (header.sector != 0) return fail(BlockError::kFlushSector, header.sector);
      return {};
    case VIRTIO_BLK_T_GET_ID:
      if (writable != VIRTIO_BLK_ID_BYTES)
        return fail(BlockError::kIdLength, writable, VIRTIO_BLK_ID_BYTES);
      return {};
    default:
      return check_segments_length(readable, limits_of(type, config));
  }
}

Result<void> check_segments(std::uint32_t type,
                            std::span<const VirtioBlkDiscardWriteZeroes> segments,
                            const Config& config) {
  const std::uint32_t known =
      type == VIRTIO_BLK_T_WRITE_ZEROES ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
  for (const auto& segment : segments)
    if ((segment.flags & ~known) != 0) return fail(BlockError::kSegmentFlags, segment.flags, known);
  const auto& limits = limits_of(type, config);
  std::uint64_t total = 0;
  for (const auto& segment : segments) {
    if (segment.num_sectors > limits.max_sectors)
      return fail(BlockError::kSegmentSectors, segment.num_sectors, limits.max_sectors);
    if (!range_within<std::uint64_t>(segment.sector, segment.num_sectors, config.capacity))
      return fail(BlockError::kBeyondCapacity, segment.sector, config.capacity);
    total += segment.num_sectors;
  }
  if (total > config.capacity) return fail(BlockError::kSegmentsTotal, total, config.capacity);
  return {};
}

}  // namespace guestproof::virtio::block
