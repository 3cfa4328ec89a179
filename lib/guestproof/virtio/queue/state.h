// Saved queue state: what a queue must remember across snapshot, migration or live update, and its
// byte form.
//
// A saved state may come from a file that somebody wrote: decode() checks every field against every
// other, and restoring checks that the areas are in guest memory. Nothing invalid is repaired or
// cut; it is refused with an error that names the field. What the rings say is not part of the
// state: the guest can write them until it is stopped, and must not be able to make its own
// snapshot unrestorable. An available index too far ahead breaks the restored queue at the first
// pop(), as it would have broken the saved one; the used index in memory is overwritten at the next
// complete(). The byte form is little-endian, `kQueueStateBytes` long, and versioned:
//
//   offset size field                offset size field
//   0      4    magic "GPSQ"         16     2    next_used
//   4      2    version (1)          18     2    signalled_used
//   6      2    length (48)          20     4    reserved, 0
//   8      2    max_size             24     8    descriptor_table
//   10     2    size                 32     8    available_ring
//   12     2    flags                40     8    used_ring
//   14     2    next_avail
//
// flags: 1 ready, 2 event index negotiated, 4 indirect descriptors negotiated, 8 broken, 16
// signalled_used is known, 32 packed, 64 used in order.
//
// In a packed queue next_avail, next_used and signalled_used are positions in the ring (below its
// size) in bits 0-14 with their wrap counters in bit 15.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "guestproof/base/error.h"
#include "guestproof/virtio/queue/config.h"

namespace guestproof::virtio {

enum class QueueStateError : std::uint16_t {
  kBytes,
  kMagic,
  kVersion,
  kLength,
  kReserved,
  kFlags,
  kMaxSize,
  kSize,
  kDescriptorTable,
  kAvailableRing,
  kUsedRing,
  kOverlap,
  kNextAvail,
  kNextUsed,
  kSignalledUsed,
  kFeatures,
};
const ErrorDomain& error_domain(QueueStateError);

/// Which ring features the driver negotiated.
struct QueueFeatures {
  bool event_index = false;  // VIRTIO_F_EVENT_IDX, §2.7.7 and §2.7.10
  bool indirect = false;     // VIRTIO_F_INDIRECT_DESC, §2.7.5.3
  bool packed = false;       // VIRTIO_F_RING_PACKED, §2.8
  bool in_order = false;     // VIRTIO_F_IN_ORDER, §2.7.9 and §2.8.8

  [[nodiscard]] RingLayout layout() const {
    return packed ? RingLayout::kPacked : RingLayout::kSplit;
  }
  friend bool operator==(const QueueFeatures&, const QueueFeatures&) = default;
};

inline constexpr std::size_t kQueueStateBytes = 48;

struct QueueState {
  std::uint16_t max_size = 0;
  std::uint16_t size = 0;
  bool ready = false;
  /// Nothing more is taken from the queue until it is reset.
  bool broken = false;
  QueueFeatures features;
  GuestAddress descriptor_table;
  GuestAddress available_ring;
  GuestAddress used_ring;
  /// Free-running, or positions in a packed ring; equal, because a queue with chains in flight is
  /// not saved.
  std::uint16_t next_avail = 0;
  std::uint16_t next_used = 0;
  /// The used index at the last notification; unknown when it lies 2^16 entries back or more, in a
  /// packed ring twice its size.
  std::optional<std::uint16_t> signalled_used;

  /// The state of a queue that is configured, perhaps in part, and not active.
  [[nodiscard]] static QueueState of(const QueueConfig& config);

  [[nodiscard]] std::array<std::byte, kQueueStateBytes> encode() const;
  /// Errors: kBytes … kSignalledUsed, each for the field it is named after.
  [[nodiscard]] static Result<QueueState> decode(std::span<const std::byte> bytes);

  /// Everything that can be checked without guest memory. Errors: kMaxSize … kSignalledUsed.
  [[nodiscard]] Result<void> check() const;
  /// The configuration this state describes. Errors: as check().
  [[nodiscard]] Result<QueueConfig> config() const;

  friend bool operator==(const QueueState&, const QueueState&) = default;
};

}  // namespace guestproof::virtio
