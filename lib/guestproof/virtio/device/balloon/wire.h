// The traditional memory balloon as it stands in guest memory and in its configuration space:
// layouts and constants.
// Specification: virtio 1.3 §5.5.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "guestproof/base/endian.h"

namespace guestproof::virtio::balloon {

/// Feature bit numbers, §5.5.3.
inline constexpr unsigned VIRTIO_BALLOON_F_MUST_TELL_HOST = 0;
inline constexpr unsigned VIRTIO_BALLOON_F_STATS_VQ = 1;
inline constexpr unsigned VIRTIO_BALLOON_F_DEFLATE_ON_OOM = 2;
inline constexpr unsigned VIRTIO_BALLOON_F_FREE_PAGE_HINT = 3;
inline constexpr unsigned VIRTIO_BALLOON_F_PAGE_POISON = 4;
inline constexpr unsigned VIRTIO_BALLOON_F_PAGE_REPORTING = 5;

/// struct virtio_balloon_config, §5.5.4.
struct BalloonConfig {
  le32 num_pages;              // 0
  le32 actual;                 // 4
  le32 free_page_hint_cmd_id;  // 8
  le32 poison_val;             // 12
};
static_assert(sizeof(BalloonConfig) == 16 && offsetof(BalloonConfig, actual) == 4 &&
              offsetof(BalloonConfig, free_page_hint_cmd_id) == 8 &&
              offsetof(BalloonConfig, poison_val) == 12);

/// Bytes of what a page number counts, §5.5.6: whatever size the guest's pages have.
inline constexpr std::uint32_t kPageBytes = 4096;

/// struct virtio_balloon_stat, §5.5.6.3: packed, so that the value is in four parts here.
struct BalloonStat {
  le16 tag;                 // 0
  std::array<le16, 4> val;  // 2

  [[nodiscard]] std::uint64_t value() const {
    return std::uint64_t{val[0]} | std::uint64_t{val[1]} << 16 | std::uint64_t{val[2]} << 32 |
           std::uint64_t{val[3]} << 48;
  }
};
static_assert(sizeof(BalloonStat) == 10 && offsetof(BalloonStat, val) == 2);

/// BalloonStat::tag, §5.5.6.4.
inline constexpr std::uint16_t VIRTIO_BALLOON_S_SWAP_IN = 0;
inline constexpr std::uint16_t VIRTIO_BALLOON_S_SWAP_OUT = 1;
inline constexpr std::uint16_t VIRTIO_BALLOON_S_MAJFLT = 2;
inline constexpr std::uint16_t VIRTIO_BALLOON_S_MINFLT = 3;
inline constexpr std::uint16_t VIRTIO_BALLOON_S_MEMFREE = 4;
inline constexpr std::uint16_t VIRTIO_BALLOON_S_MEMTOT = 5;
inline constexpr std::uint16_t VIRTIO_BALLOON_S_AVAIL = 6;
inline constexpr std::uint16_t VIRTIO_BALLOON_S_CACHES = 7;
inline constexpr std::uint16_t VIRTIO_BALLOON_S_HTLB_PGALLOC = 8;
inline constexpr std::uint16_t VIRTIO_BALLOON_S_HTLB_PGFAIL = 9;
inline constexpr std::size_t kStatisticTags = 10;

/// Reserved values of free_page_hint_cmd_id and of the commands, §5.5.6.5.
inline constexpr std::uint32_t VIRTIO_BALLOON_CMD_ID_STOP = 0;
inline constexpr std::uint32_t VIRTIO_BALLOON_CMD_ID_DONE = 1;

}  // namespace guestproof::virtio::balloon
