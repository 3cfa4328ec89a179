#include "guestproof/virtio/device/balloon/discard_backend.h"

#include <errno.h>
#include <sys/mman.h>

#include <algorithm>

namespace guestproof::virtio::balloon {

Result<void> DiscardBackend::discard(const PageRange& range) {
  const auto page = host_page_size();
  for (const auto& region : memory_.regions()) {
    if (region.protection() == Protection::kReadOnly) continue;
    const auto base = region.base().raw();
    const auto last = range.address.raw() + (range.length - 1);
    if (range.length == 0 || last < base || range.address.raw() > base + (region.size() - 1))
      continue;
    // In bytes of the region, whose ends are on pages of the host.
    const auto from = std::max(range.address.raw(), base) - base;
    const auto to = std::min(last - base, region.size() - 1) + 1;
    const auto first = (from + page - 1) / page * page;
    const auto end = to / page * page;
    if (first >= end) continue;
    // Pages of a file stay in it unless they are removed from it.
    const int advice = region.fd() >= 0 ? MADV_REMOVE : MADV_DONTNEED;
    if (::madvise(region.host() + first, end - first, advice) != 0)
      return fail(SystemError::kDiscard, static_cast<std::uint64_t>(errno));
    if (region.dirty() != nullptr) region.dirty()->mark(first, end - first);
  }
  return {};
}

}  // namespace guestproof::virtio::balloon
