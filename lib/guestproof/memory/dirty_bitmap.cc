#include "guestproof/memory/dirty_bitmap.h"

namespace guestproof {

DirtyBitmap::DirtyBitmap(std::size_t bytes)
    : pages_(bytes / kPageSize + (bytes % kPageSize != 0)),
      words_(std::make_unique<std::atomic<std::uint64_t>[]>((pages_ + 63) / 64)) {}

std::vector<std::uint64_t> DirtyBitmap::take() {
  std::vector<std::uint64_t> taken((pages_ + 63) / 64);
  for (std::size_t i = 0; i < taken.size(); ++i)
    taken[i] = words_[i].exchange(0, std::memory_order_acq_rel);
  return taken;
}

void DirtyBitmap::clear() {
  for (std::size_t i = 0; i < (pages_ + 63) / 64; ++i)
    words_[i].exchange(0, std::memory_order_acq_rel);
}

}  // namespace guestproof
