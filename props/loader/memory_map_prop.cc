// A memory map says of every byte what was said of it: RAM where there is RAM that nobody reserved,
// and nothing else. An initrd lies in RAM, apart from all that is taken, and nowhere higher.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <optional>

#include "guestproof/loader/memory_map.h"

namespace guestproof::loader {
namespace {

constexpr std::uint64_t kPage = 4096, kFirst = 0x100, kPages = 0x200;

/// Which of the pages from kFirst on belong to somebody.
using Pages = std::vector<bool>;

Pages some_pages() {
  Pages pages(kPages);
  for (auto runs = *rc::gen::inRange(0, 6); runs != 0; --runs) {
    const auto begin = *rc::gen::inRange<std::size_t>(0, kPages);
    const auto end = *rc::gen::inRange<std::size_t>(begin, kPages);
    std::fill(pages.begin() + static_cast<std::ptrdiff_t>(begin),
              pages.begin() + static_cast<std::ptrdiff_t>(end), true);
  }
  return pages;
}

/// Cut anywhere, not in order.
std::vector<GuestRange> ranges_of(const Pages& pages) {
  std::vector<GuestRange> ranges;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    if (!pages[i]) continue;
    if (i != 0 && pages[i - 1] && *rc::gen::inRange(0, 16) != 0)
      ranges.back().size += kPage;
    else
      ranges.push_back({GuestAddress((kFirst + i) * kPage), kPage});
  }
  std::rotate(ranges.begin(), ranges.begin() + static_cast<std::ptrdiff_t>(ranges.size() / 2),
              ranges.end());
  return ranges;
}

std::optional<MemoryType> type_at(std::span<const MemoryMapEntry> map, std::uint64_t address) {
  std::optional<MemoryType> found;
  for (const auto& [range, type] : map)
    if (const auto offset = GuestAddress(address).offset_from(range.base);
        offset && *offset < range.size) {
      RC_ASSERT(!found);
      found = type;
    }
  return found;
}

RC_GTEST_PROP(MemoryMapProp, SaysOfEveryPageWhatItIs, ()) {
  const auto ram = some_pages(), kept = some_pages();
  std::vector<MemoryMapEntry> reserved;
  for (const auto& range : ranges_of(kept)) reserved.push_back({range, MemoryType::kReserved});

  const auto map = make_memory_map(ranges_of(ram), reserved);

  RC_ASSERT(map.has_value());
  for (std::size_t i = 0; i < kPages; ++i) {
    const auto expected = kept[i]  ? std::optional(MemoryType::kReserved)
                          : ram[i] ? std::optional(MemoryType::kRam)
                                   : std::nullopt;
    RC_ASSERT(type_at(*map, (kFirst + i) * kPage) == expected);
    RC_ASSERT(type_at(*map, (kFirst + i) * kPage + kPage - 1) == expected);
  }
  for (std::size_t i = 1; i < map->size(); ++i) {
    const auto& [ahead, ahead_type] = (*map)[i - 1];
    const auto& [range, type] = (*map)[i];
    RC_ASSERT(ahead.base < range.base);
    RC_ASSERT(ahead_type != type || ahead.base.raw() + ahead.size != range.base.raw());
  }
}

RC_GTEST_PROP(InitrdProp, LiesInTheHighestPlaceThatIsFree, ()) {
  const auto ram = some_pages(), taken = some_pages();
  const auto pages = *rc::gen::inRange<std::size_t>(1, 0x40);
  const auto last = *rc::gen::inRange<std::size_t>(0, kPages + 16);
  const auto ram_ranges = ranges_of(ram), taken_ranges = ranges_of(taken);

  const auto place =
      place_initrd({pages * kPage, ram_ranges, taken_ranges, (kFirst + last) * kPage + kPage - 1});

  std::optional<std::uint64_t> expected;
  for (std::size_t at = 0; at + pages <= kPages && at + pages - 1 <= last; ++at) {
    bool free = true;
    for (auto i = at; i < at + pages; ++i) free = free && ram[i] && !taken[i];
    if (free) expected = (kFirst + at) * kPage;
  }
  RC_ASSERT(place.has_value() == expected.has_value());
  if (place) RC_ASSERT(*place == (GuestRange{GuestAddress(*expected), pages * kPage}));
  if (!place) RC_ASSERT(place.error() == BootError::kInitrdRoom);
}

}  // namespace
}  // namespace guestproof::loader
