// Which pages of a region the device has written since somebody last asked: for snapshots and live
// migration.
//
// Thread-safety: all members may be called from any threads at the same time; a mark is never lost,
// it is seen by the take() or clear() in progress or by the next one, and who sees it sees the
// bytes that were written before it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace guestproof {

class DirtyBitmap {
 public:
  static constexpr std::size_t kPageSize = 4096;

  /// A bitmap for a region of `bytes` bytes, all clean.
  explicit DirtyBitmap(std::size_t bytes);

  /// Marks the pages that [offset, offset + length) touches; call it after the bytes are written.
  /// REQUIRES: the range lies inside the region.
  void mark(std::size_t offset, std::size_t length) {
    if (length == 0) return;
    const auto last = (offset + length - 1) / kPageSize;
    // Always a read-modify-write: skipping it for a page that looks dirty already would let take()
    // clear the bit, and somebody copy the page, before the bytes that were just written are
    // visible.
    for (auto page = offset / kPageSize; page <= last; ++page)
      words_[page / 64].fetch_or(std::uint64_t{1} << (page % 64), std::memory_order_release);
  }
  [[nodiscard]] bool is_dirty(std::size_t page) const {
    return (words_[page / 64].load(std::memory_order_acquire) >> (page % 64) & 1) != 0;
  }
  [[nodiscard]] std::size_t pages() const { return pages_; }

  /// The bitmap as KVM_GET_DIRTY_LOG lays it out (bit n of word n/64), cleared in the same step.
  [[nodiscard]] std::vector<std::uint64_t> take();
  /// Forgets all marks: for who copies every page anyway.
  void clear();

 private:
  std::size_t pages_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> words_;
};

}  // namespace guestproof
