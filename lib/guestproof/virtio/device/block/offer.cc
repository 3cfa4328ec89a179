#include "guestproof/virtio/device/block/offer.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <utility>

namespace guestproof::virtio::block {
namespace {

constexpr std::uint64_t bit(unsigned feature) { return std::uint64_t{1} << feature; }

Result<void> check_features(const Offer& offer) {
  const auto& config = offer.config;
  if (const auto unknown = config.features & ~kKnownFeatures; unknown != 0)
    return fail(BlockConfigError::kFeatureUnknown, unknown, kKnownFeatures);
  // §5.2.5.2: offered together.
  if (config.has(VIRTIO_BLK_F_CONFIG_WCE) && !config.has(VIRTIO_BLK_F_FLUSH))
    return fail(BlockConfigError::kFeatureWithout, VIRTIO_BLK_F_CONFIG_WCE, VIRTIO_BLK_F_FLUSH);
  // The topology counts in logical blocks.
  if (config.has(VIRTIO_BLK_F_TOPOLOGY) && !config.has(VIRTIO_BLK_F_BLK_SIZE))
    return fail(BlockConfigError::kFeatureWithout, VIRTIO_BLK_F_TOPOLOGY, VIRTIO_BLK_F_BLK_SIZE);
  if (config.has(VIRTIO_BLK_F_RO) != config.read_only)
    return fail(BlockConfigError::kReadOnlyFeature, config.read_only ? 1 : 0);
  const auto queues = config.has(VIRTIO_BLK_F_MQ) ? kMaxQueues : std::uint16_t{1};
  if (offer.queues == 0 || offer.queues > queues)
    return fail(BlockConfigError::kQueues, offer.queues, queues);
  if (!std::has_single_bit(offer.queue_size) || offer.queue_size > kMaxQueueSize)
    return fail(BlockConfigError::kQueueSize, offer.queue_size, kMaxQueueSize);
  return {};
}

template <class Field>
Result<void> check_field(std::uint64_t blocks) {
  constexpr auto kLargest = std::numeric_limits<Field>::max();
  if (blocks > kLargest) return fail(BlockConfigError::kTopologyRange, blocks, kLargest);
  return {};
}

Result<void> check_blocks(const Offer& offer) {
  const auto& topology = offer.topology;
  const auto logical = topology.logical_block_bytes;
  if (!offer.config.has(VIRTIO_BLK_F_BLK_SIZE)) return {};
  if (!std::has_single_bit(logical) || logical < kSectorBytes)
    return fail(BlockConfigError::kBlockSize, logical, kSectorBytes);
  if (offer.config.capacity % (logical / kSectorBytes) != 0)
    return fail(BlockConfigError::kCapacityBlocks, offer.config.capacity, logical);
  if (!offer.config.has(VIRTIO_BLK_F_TOPOLOGY)) return {};
  if (!std::has_single_bit(topology.physical_block_bytes) ||
      topology.physical_block_bytes < logical)
    return fail(BlockConfigError::kPhysicalBlockSize, topology.physical_block_bytes, logical);
  if (const auto ok = check_field<std::uint8_t>(topology.alignment_bytes / logical); !ok) return ok;
  return check_field<std::uint16_t>(topology.minimum_io_bytes / logical);
}

Result<void> check_segment_limits(const Config& config) {
  const std::array limits{std::pair(VIRTIO_BLK_F_DISCARD, config.discard),
                          std::pair(VIRTIO_BLK_F_WRITE_ZEROES, config.write_zeroes),
                          std::pair(VIRTIO_BLK_F_SECURE_ERASE, config.secure_erase)};
  for (const auto& [feature, limit] : limits)
    if (config.has(feature) && limit.max_sectors == 0)
      return fail(BlockConfigError::kMaxSectorsZero, feature);
  return {};
}

void tell_blocks(VirtioBlkConfig& space, const Topology& topology) {
  const auto logical = topology.logical_block_bytes;
  space.topology.physical_block_exp =
      static_cast<std::uint8_t>(std::bit_width(topology.physical_block_bytes / logical) - 1);
  space.topology.alignment_offset = static_cast<std::uint8_t>(topology.alignment_bytes / logical);
  space.topology.min_io_size = static_cast<std::uint16_t>(topology.minimum_io_bytes / logical);
  space.topology.opt_io_size = topology.optimal_io_bytes / logical;
}

void tell_segments(VirtioBlkConfig& space, const Offer& offer) {
  const auto& config = offer.config;
  if (config.has(VIRTIO_BLK_F_DISCARD)) {
    space.max_discard_sectors = config.discard.max_sectors;
    space.max_discard_seg = config.discard.max_segments;
    space.discard_sector_alignment = offer.discard_alignment;
  }
  if (config.has(VIRTIO_BLK_F_WRITE_ZEROES)) {
    space.max_write_zeroes_sectors = config.write_zeroes.max_sectors;
    space.max_write_zeroes_seg = config.write_zeroes.max_segments;
    space.write_zeroes_may_unmap = config.write_zeroes_may_unmap ? 1 : 0;
  }
  if (config.has(VIRTIO_BLK_F_SECURE_ERASE)) {
    space.max_secure_erase_sectors = config.secure_erase.max_sectors;
    space.max_secure_erase_seg = config.secure_erase.max_segments;
    space.secure_erase_sector_alignment = offer.secure_erase_alignment;
  }
}

}  // namespace

Offer Offer::of(const AsyncBackend& backend, const Topology& topology, std::uint16_t queues) {
  Offer offer;
  offer.queues = queues;
  offer.topology = topology;
  const auto block = topology.logical_block_bytes / kSectorBytes;
  offer.discard_alignment = offer.secure_erase_alignment = static_cast<std::uint32_t>(block);
  auto& config = offer.config;
  config.capacity = backend.size() / topology.logical_block_bytes * block;
  config.read_only = backend.read_only();
  // Header and status take a descriptor each.
  config.seg_max = std::max<std::uint32_t>(offer.queue_size, 3) - 2;
  config.write_zeroes_may_unmap = true;
  config.features = bit(VIRTIO_BLK_F_SEG_MAX) | bit(VIRTIO_BLK_F_BLK_SIZE) |
                    bit(VIRTIO_BLK_F_FLUSH) | bit(VIRTIO_BLK_F_TOPOLOGY) |
                    bit(VIRTIO_BLK_F_CONFIG_WCE);
  if (queues > 1) config.features |= bit(VIRTIO_BLK_F_MQ);
  config.features |= config.read_only ? bit(VIRTIO_BLK_F_RO)
                                      : bit(VIRTIO_BLK_F_DISCARD) | bit(VIRTIO_BLK_F_WRITE_ZEROES);
  return offer;
}

Result<void> Offer::check() const {
  if (const auto ok = config.check(); !ok) return ok;
  if (const auto ok = check_features(*this); !ok) return ok;
  if (const auto ok = check_blocks(*this); !ok) return ok;
  return check_segment_limits(config);
}

VirtioBlkConfig Offer::space() const {
  VirtioBlkConfig space{};
  space.capacity = config.capacity;
  if (config.has(VIRTIO_BLK_F_SIZE_MAX)) space.size_max = config.size_max;
  if (config.has(VIRTIO_BLK_F_SEG_MAX)) space.seg_max = config.seg_max;
  if (config.has(VIRTIO_BLK_F_GEOMETRY)) {
    space.geometry.cylinders = cylinders;
    space.geometry.heads = heads;
    space.geometry.sectors = sectors;
  }
  if (config.has(VIRTIO_BLK_F_BLK_SIZE)) space.blk_size = topology.logical_block_bytes;
  if (config.has(VIRTIO_BLK_F_TOPOLOGY)) tell_blocks(space, topology);
  if (config.has(VIRTIO_BLK_F_MQ)) space.num_queues = queues;
  tell_segments(space, *this);
  return space;
}

}  // namespace guestproof::virtio::block
