// Virtqueues as they stand in guest memory, split (virtio 1.3 §2.7) and packed (§2.8): layouts,
// flags, area sizes and alignments.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guestproof/base/endian.h"

namespace guestproof::virtio {

/// struct virtq_desc, §2.7.5.
struct VirtqDesc {
  le64 addr;   // 0
  le32 len;    // 8
  le16 flags;  // 12
  le16 next;   // 14
};
static_assert(sizeof(VirtqDesc) == 16);
static_assert(offsetof(VirtqDesc, len) == 8 && offsetof(VirtqDesc, flags) == 12 &&
              offsetof(VirtqDesc, next) == 14);

inline constexpr std::uint16_t VIRTQ_DESC_F_NEXT = 1;
inline constexpr std::uint16_t VIRTQ_DESC_F_WRITE = 2;
inline constexpr std::uint16_t VIRTQ_DESC_F_INDIRECT = 4;

/// struct virtq_avail, §2.7.6: flags, idx, ring[size], used_event.
inline constexpr std::size_t kAvailFlagsOffset = 0;
inline constexpr std::size_t kAvailIdxOffset = 2;
inline constexpr std::size_t kAvailRingOffset = 4;
inline constexpr std::uint16_t VIRTQ_AVAIL_F_NO_INTERRUPT = 1;

/// struct virtq_used_elem, §2.7.8.
struct VirtqUsedElem {
  le32 id;   // 0
  le32 len;  // 4
};
static_assert(sizeof(VirtqUsedElem) == 8 && offsetof(VirtqUsedElem, len) == 4);

/// struct virtq_used, §2.7.8: flags, idx, ring[size], avail_event.
inline constexpr std::size_t kUsedFlagsOffset = 0;
inline constexpr std::size_t kUsedIdxOffset = 2;
inline constexpr std::size_t kUsedRingOffset = 4;
inline constexpr std::uint16_t VIRTQ_USED_F_NO_NOTIFY = 1;

/// Sizes in bytes of the split layout's three areas, §2.7. The event fields at the ends are counted
/// whether negotiated or not.
constexpr std::uint64_t descriptor_table_bytes(std::uint16_t size) { return 16ULL * size; }
constexpr std::uint64_t available_ring_bytes(std::uint16_t size) { return 6 + 2ULL * size; }
constexpr std::uint64_t used_ring_bytes(std::uint16_t size) { return 6 + 8ULL * size; }

/// Alignments of the split layout's three areas, §2.7.
inline constexpr std::uint64_t kDescriptorTableAlign = 16;
inline constexpr std::uint64_t kAvailableRingAlign = 2;
inline constexpr std::uint64_t kUsedRingAlign = 4;

/// struct pvirtq_desc, §2.8.13. Its flags are those of struct virtq_desc and the two below.
struct PackedDesc {
  le64 addr;   // 0
  le32 len;    // 8
  le16 id;     // 12
  le16 flags;  // 14
};
static_assert(sizeof(PackedDesc) == 16);
static_assert(offsetof(PackedDesc, len) == 8 && offsetof(PackedDesc, id) == 12 &&
              offsetof(PackedDesc, flags) == 14);

inline constexpr std::uint16_t VIRTQ_DESC_F_AVAIL = 1 << 7;
inline constexpr std::uint16_t VIRTQ_DESC_F_USED = 1 << 15;

/// struct pvirtq_event_suppress, §2.8.14.
struct PackedEvent {
  le16 desc;   // 0   position in bits 0-14, wrap counter in bit 15
  le16 flags;  // 2   RING_EVENT_FLAGS_… in bits 0-1
};
static_assert(sizeof(PackedEvent) == 4 && offsetof(PackedEvent, flags) == 2);

inline constexpr std::uint16_t RING_EVENT_FLAGS_ENABLE = 0;
inline constexpr std::uint16_t RING_EVENT_FLAGS_DISABLE = 1;
inline constexpr std::uint16_t RING_EVENT_FLAGS_DESC = 2;

/// Size and alignment of the packed layout's Driver and Device Area, §2.8.10.1. The Descriptor Area
/// is as large, and as aligned, as a descriptor table.
inline constexpr std::uint64_t kPackedEventBytes = 4;
inline constexpr std::uint64_t kPackedEventAlign = 4;

/// The largest Queue Size of either layout, §2.7 and §2.8. Of a split queue it is a power of two
/// that a 16-bit index can tell full from empty with.
inline constexpr std::uint16_t kMaxQueueSize = 32768;

/// The largest sum of the buffer lengths of one chain, §2.7.5: "2^32 bytes in total".
inline constexpr std::uint64_t kMaxChainBytes = std::uint64_t{1} << 32;

}  // namespace guestproof::virtio
