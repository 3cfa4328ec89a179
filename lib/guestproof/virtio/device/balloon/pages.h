// The page numbers of an inflate or deflate request: an array of le32, cut into descriptors in any
// way, in any order, with repetitions.
//
// Thread-safety: pure functions.
// Specification: virtio 1.3 §5.5.6.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/memory/guest_memory.h"
#include "guestproof/virtio/device/balloon/backend.h"
#include "guestproof/virtio/device/balloon/error.h"
#include "guestproof/virtio/queue/chain.h"

namespace guestproof::virtio::balloon {

/// The most page numbers of one request, 16 MiB of memory: Linux sends 256, Windows 1024; each run
/// of pages is a system call of about a microsecond, so a request takes the host milliseconds at
/// most.
inline constexpr std::uint32_t kMaxRequestPages = 4096;

/// The numbers in a chain, in ascending order, each once, instead of what was in `numbers`. The
/// first of these that applies is the error:
///   1. the chain's fault() (ChainError, QueueError::kStaleChain)
///   2. kWritable     the chain has device-writable bytes
///   3. kNoPages      it has no bytes
///   4. kArrayLength  its bytes are no multiple of 4
///   5. kPageLimit    it has more than kMaxRequestPages numbers
///   6. a MemoryError the array is not in guest memory
template <class Queue>
[[nodiscard]] Result<void> read_page_numbers(const Chain<Queue>& chain,
                                             std::vector<le32>& numbers) {
  numbers.clear();
  const auto bytes = chain.readable_bytes();
  if (chain.fault()) return std::unexpected(*chain.fault());
  if (chain.writable_bytes() != 0) return fail(BalloonError::kWritable, chain.writable_bytes());
  if (bytes == 0) return fail(BalloonError::kNoPages);
  if (bytes % sizeof(le32) != 0) return fail(BalloonError::kArrayLength, bytes, sizeof(le32));
  if (bytes / sizeof(le32) > kMaxRequestPages)
    return fail(BalloonError::kPageLimit, bytes / sizeof(le32), kMaxRequestPages);
  numbers.resize(bytes / sizeof(le32));
  const auto read = chain.reader().read(std::as_writable_bytes(std::span(numbers)));
  if (!read) return read;
  std::ranges::sort(numbers);
  const auto repeated = std::ranges::unique(numbers);
  numbers.erase(repeated.begin(), repeated.end());
  return {};
}

/// Calls `visit(range)`, which gives a Result<void>, for the runs of pages that are writable guest
/// memory. The other pages are left out. The first of these that applies is the error:
///   1. the first one that `visit` gives; it is not called again
///   2. kNotMemory  pages were left out: the first, and how many
/// REQUIRES: `numbers` ascend.
template <GuestMemory M, class Visit>
[[nodiscard]] Result<void> visit_runs(const M& memory, std::span<const le32> numbers,
                                      Visit&& visit) {
  std::optional<std::uint32_t> left_out;
  std::uint32_t left_out_count = 0;
  PageRange run;
  for (const std::uint32_t number : numbers) {
    const GuestAddress page(std::uint64_t{number} * kPageBytes);
    if (!check_range(memory, page, kPageBytes, Access::kWrite)) {
      if (!left_out) left_out = number;
      ++left_out_count;
      continue;
    }
    if (run.length != 0 && page.raw() != run.address.raw() + run.length) {
      if (const auto done = visit(run); !done) return done;
      run.length = 0;
    }
    if (run.length == 0) run.address = page;
    run.length += kPageBytes;
  }
  if (run.length != 0)
    if (const auto done = visit(run); !done) return done;
  if (left_out) return fail(BalloonError::kNotMemory, *left_out, left_out_count);
  return {};
}

}  // namespace guestproof::virtio::balloon
