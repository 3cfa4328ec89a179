#include "guestproof/loader/memory_map.h"

#include <algorithm>

#include "guestproof/base/checked.h"

namespace guestproof::loader {
namespace {

constexpr std::uint64_t kPage = 4096;

std::uint64_t end_of(const GuestRange& range) { return range.base.raw() + range.size; }

Result<void> check(const GuestRange& range) {
  if (range.size == 0) return fail(BootError::kEmptyRange, range.base.raw());
  if (!range_within(range.base.raw(), range.size, kPhysicalEnd))
    return fail(BootError::kRangeEnd, range.base.raw(), range.size);
  return {};
}

/// Checked one by one in the order given, then by address; ranges of one kind lie apart.
Result<void> sort(std::vector<MemoryMapEntry>& entries, BootError overlap) {
  for (const auto& entry : entries)
    if (const auto ok = check(entry.range); !ok) return ok;
  std::ranges::sort(entries, {}, [](const MemoryMapEntry& entry) { return entry.range.base; });
  for (std::size_t i = 1; i < entries.size(); ++i)
    if (end_of(entries[i - 1].range) > entries[i].range.base.raw())
      return fail(overlap, entries[i].range.base.raw(), entries[i - 1].range.base.raw());
  return {};
}

Result<std::vector<MemoryMapEntry>> sorted_ram(std::span<const GuestRange> ram) {
  std::vector<MemoryMapEntry> entries;
  for (const auto& range : ram) entries.push_back({range, MemoryType::kRam});
  if (const auto ok = sort(entries, BootError::kRamOverlap); !ok)
    return std::unexpected(ok.error());
  return entries;
}

/// Behind all others; joined to the last where that is of the same type and touches.
void append(std::vector<MemoryMapEntry>& map, std::uint64_t begin, std::uint64_t end,
            MemoryType type) {
  if (begin >= end) return;
  if (!map.empty() && map.back().type == type && end_of(map.back().range) == begin)
    map.back().range.size += end - begin;
  else
    map.push_back({{GuestAddress(begin), end - begin}, type});
}

}  // namespace

Result<std::vector<MemoryMapEntry>> make_memory_map(std::span<const GuestRange> ram,
                                                    std::span<const MemoryMapEntry> reserved) {
  const auto free = sorted_ram(ram);
  if (!free) return std::unexpected(free.error());
  std::vector<MemoryMapEntry> kept(reserved.begin(), reserved.end());
  if (const auto ok = sort(kept, BootError::kReservedOverlap); !ok)
    return std::unexpected(ok.error());

  std::vector<MemoryMapEntry> map;
  auto next = kept.begin();
  std::uint64_t done = 0;  // everything below is in the map
  for (const auto& [range, type] : *free) {
    done = std::max(done, range.base.raw());
    for (; next != kept.end() && next->range.base.raw() < end_of(range); ++next) {
      append(map, done, next->range.base.raw(), type);
      append(map, next->range.base.raw(), end_of(next->range), next->type);
      done = std::max(done, end_of(next->range));
    }
    append(map, done, end_of(range), type);
    done = std::max(done, end_of(range));
  }
  for (; next != kept.end(); ++next)
    append(map, next->range.base.raw(), end_of(next->range), next->type);
  if (map.size() > kMaxMapEntries) return fail(BootError::kMapEntries, map.size(), kMaxMapEntries);
  return map;
}

Result<GuestRange> place_initrd(const InitrdRequest& request) {
  if (request.size == 0) return fail(BootError::kInitrdEmpty, request.size);
  for (const auto& range : request.taken)
    if (const auto ok = check(range); !ok) return std::unexpected(ok.error());
  const auto sorted = sorted_ram(request.ram);
  if (!sorted) return std::unexpected(sorted.error());
  std::vector<MemoryMapEntry> ram;
  for (const auto& entry : *sorted)
    append(ram, entry.range.base.raw(), end_of(entry.range), entry.type);

  const auto limit = std::min(request.last_address, kPhysicalEnd - 1) + 1;
  while (!ram.empty()) {
    const auto start = std::max(ram.back().range.base.raw(), x86::kKernelStart.raw());
    auto end = std::min(end_of(ram.back().range), limit);
    ram.pop_back();
    while (end > start && end - start >= request.size) {
      const auto base = (end - request.size) & ~(kPage - 1);
      if (base < start) break;
      const GuestRange place{GuestAddress(base), request.size};
      const auto blocked = std::ranges::find_if(
          request.taken, [&](const GuestRange& range) { return overlap(range, place); });
      if (blocked == request.taken.end()) return place;
      end = blocked->base.raw();
    }
  }
  return fail(BootError::kInitrdRoom, request.size, request.last_address);
}

}  // namespace guestproof::loader
