// A buffer of memory statistics: 10-byte entries, cut into descriptors in any way.
//
// Thread-safety: a pure function.
// Specification: virtio 1.3 §5.5.6.3.
#pragma once

#include "guestproof/virtio/device/balloon/backend.h"
#include "guestproof/virtio/device/balloon/error.h"
#include "guestproof/virtio/queue/chain.h"

namespace guestproof::virtio::balloon {

/// The most entries of one buffer. The specification knows 10 tags and Linux 16; there is room for
/// what later ones add, and a driver makes the device read no more than 2.5 KiB.
inline constexpr std::uint32_t kMaxStatistics = 256;

/// What a chain of the stats queue says; of entries with the same tag the last, of unknown tags
/// nothing. The first of these that applies is the error:
///   1. the chain's fault() (ChainError, QueueError::kStaleChain)
///   2. kWritable          the chain has device-writable bytes
///   3. kStatisticsLength  its bytes are no multiple of 10 (§5.5.6.3.1 says 6 where an entry has
///   10)
///   4. kStatisticsLimit   more than kMaxStatistics entries
///   5. a MemoryError      an entry is not in guest memory
template <class Queue>
[[nodiscard]] Result<Statistics> read_statistics(const Chain<Queue>& chain) {
  const auto bytes = chain.readable_bytes();
  if (chain.fault()) return std::unexpected(*chain.fault());
  if (chain.writable_bytes() != 0) return fail(BalloonError::kWritable, chain.writable_bytes());
  if (bytes % sizeof(BalloonStat) != 0)
    return fail(BalloonError::kStatisticsLength, bytes, sizeof(BalloonStat));
  if (bytes / sizeof(BalloonStat) > kMaxStatistics)
    return fail(BalloonError::kStatisticsLimit, bytes / sizeof(BalloonStat), kMaxStatistics);
  Statistics statistics;
  auto reader = chain.reader();
  while (reader.remaining() != 0) {
    const auto entry = reader.template read_object<BalloonStat>();
    if (!entry) return std::unexpected(entry.error());
    if (entry->tag < kStatisticTags) statistics[entry->tag] = entry->value();
  }
  return statistics;
}

}  // namespace guestproof::virtio::balloon
