// What a host gives a driver of a block device: its features, its limits, its queues, and the
// configuration space that tells of them. Checked once, before any driver sees it.
//
// Thread-safety: a value.
// Specification: virtio 1.3 §5.2.2 to §5.2.5. Not here: VIRTIO_BLK_F_LIFETIME, which is about flash
// that wears out in a machine of its own, and VIRTIO_BLK_F_ZONED.
#pragma once

#include <cstdint>

#include "guestproof/base/error.h"
#include "guestproof/virtio/device/block/async_backend.h"
#include "guestproof/virtio/device/block/config.h"
#include "guestproof/virtio/device/block/topology.h"
#include "guestproof/virtio/device/block/wire.h"

namespace guestproof::virtio::block {

/// Drivers use a queue for each of their processors and no more, and one thread serves all of them.
inline constexpr std::uint16_t kMaxQueues = 64;

/// §2.7: the largest queue that a split ring can be.
inline constexpr std::uint16_t kMaxQueueSize = 32768;

/// All that a device can offer.
inline constexpr std::uint64_t kKnownFeatures =
    1u << VIRTIO_BLK_F_SIZE_MAX | 1u << VIRTIO_BLK_F_SEG_MAX | 1u << VIRTIO_BLK_F_GEOMETRY |
    1u << VIRTIO_BLK_F_RO | 1u << VIRTIO_BLK_F_BLK_SIZE | 1u << VIRTIO_BLK_F_FLUSH |
    1u << VIRTIO_BLK_F_TOPOLOGY | 1u << VIRTIO_BLK_F_CONFIG_WCE | 1u << VIRTIO_BLK_F_MQ |
    1u << VIRTIO_BLK_F_DISCARD | 1u << VIRTIO_BLK_F_WRITE_ZEROES | 1u << VIRTIO_BLK_F_SECURE_ERASE;

struct Offer {
  /// `features` are those that are offered. VIRTIO_BLK_F_RO is one of them when read_only is set.
  Config config;

  std::uint16_t queues = 1;  // more than one with VIRTIO_BLK_F_MQ
  std::uint16_t queue_size = 256;

  /// In the terms of an old disk; with VIRTIO_BLK_F_GEOMETRY.
  std::uint16_t cylinders = 0;
  std::uint8_t heads = 0;
  std::uint8_t sectors = 0;

  /// With VIRTIO_BLK_F_BLK_SIZE (the logical block) and VIRTIO_BLK_F_TOPOLOGY (the rest).
  Topology topology;
  std::uint32_t discard_alignment = 1;  // in sectors, as the next
  std::uint32_t secure_erase_alignment = 1;

  /// What the field `writeback` is after a reset, with VIRTIO_BLK_F_CONFIG_WCE.
  bool write_back = true;

  /// All features for storage of this size and topology, but GEOMETRY, SIZE_MAX and SECURE_ERASE,
  /// which not all storage can; MQ with more than one queue. Segments reach from block to block.
  [[nodiscard]] static Offer of(const AsyncBackend& backend, const Topology& topology,
                                std::uint16_t queues = 1);

  /// What no driver could make sense of is refused, also where the specification only says SHOULD;
  /// limits are looked at only when their feature is offered. Errors: BlockConfigError.
  [[nodiscard]] Result<void> check() const;
  /// The fields of features that are not offered are 0; so is writeback, until features are
  /// negotiated. REQUIRES: check() succeeds.
  [[nodiscard]] VirtioBlkConfig space() const;
};

}  // namespace guestproof::virtio::block
