#include "guestproof/testing/watched_memory.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace guestproof::testing {
namespace {

/// Joins an access to the one before it when it goes on where that ended: long copies arrive in
/// many small pieces.
void record(std::vector<MemoryRange>& log, std::uint64_t address, std::uint64_t length) {
  if (length == 0) return;
  const auto distance =
      log.empty() ? std::nullopt : GuestAddress(address).offset_from(log.back().address);
  if (distance && *distance == log.back().length)
    log.back().length += length;
  else
    log.push_back({GuestAddress(address), length});
}

struct Part {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

/// What of the `size` bytes at `base` lies in `range`; length 0 for nothing. No end is computed: it
/// may be 2^64.
Part part_within(const MemoryRange& range, std::uint64_t base, std::uint64_t size) {
  const auto start = range.address.raw();
  const auto skipped = start < base ? base - start : 0;  // of the range
  const auto offset = start < base ? 0 : start - base;
  if (skipped >= range.length || offset >= size) return {};
  return {offset, std::min(range.length - skipped, size - offset)};
}

bool lies_in(const ::iovec& part, const ::iovec& whole) {
  const auto offset = reinterpret_cast<std::uintptr_t>(part.iov_base) -
                      reinterpret_cast<std::uintptr_t>(whole.iov_base);
  return range_within<std::uint64_t>(offset, part.iov_len, whole.iov_len);
}

/// Calls `visit(position)` for the bits that are set in either, in order, until it returns false.
template <class Visit>
void for_each_bit(const std::vector<std::uint64_t>& words, const std::vector<std::uint64_t>& others,
                  Visit&& visit) {
  for (std::size_t i = 0; i < words.size(); ++i)
    for (auto word = words[i] | others[i]; word != 0; word &= word - 1)
      if (!visit(64 * i + static_cast<std::size_t>(std::countr_zero(word)))) return;
}

}  // namespace

MappedMemory WatchedMemory::map(std::span<const RegionSpec> regions) {
  MappedMemory::Builder builder;
  for (const auto& spec : regions)
    builder.anonymous(spec.base, spec.size,
                      spec.read_only ? Protection::kReadOnly : Protection::kReadWrite);
  auto memory = builder.track_dirty_pages().build();
  GUESTPROOF_INVARIANT(memory);
  return std::move(*memory);
}

WatchedMemory::WatchedMemory(std::span<const RegionSpec> regions)
    : state_(std::make_unique<State>(map(regions))) {
  state_->specs.assign(regions.begin(), regions.end());
  for (const auto& spec : regions) {
    const auto mapped = std::ranges::find(state_->memory.regions(), spec.base, &MappedRegion::base);
    Region region;
    region.base = spec.base.raw();
    region.size = spec.size;
    region.read_only = spec.read_only;
    region.host = mapped->host();
    region.dirty = mapped->dirty();
    region.counts.resize(spec.size);
    region.touched.resize((spec.size / kBlock + 63) / 64);
    state_->regions.push_back(std::move(region));
  }
}

WatchedMemory::Region* WatchedMemory::region_of(GuestAddress address) const {
  for (auto& region : state_->regions)
    if (address.raw() - region.base < region.size) return &region;
  return nullptr;
}

Result<WatchedMemory::Slice> WatchedMemory::find(GuestAddress address, std::uint64_t length,
                                                 Access access) const {
  const auto found = state_->memory.find(address, length, access);
  if (length == 0) {
    GUESTPROOF_INVARIANT(found && found->size() == 0);
    return Slice{};
  }
  auto* region = region_of(address);
  if (region == nullptr || (access == Access::kWrite && region->read_only)) {
    GUESTPROOF_INVARIANT(!found);
    return std::unexpected(found.error());
  }
  const auto offset = address.raw() - region->base;
  GUESTPROOF_INVARIANT(found && found->io_source().iov_base == region->host + offset);
  GUESTPROOF_INVARIANT(found->size() == std::min<std::uint64_t>(length, region->size - offset));
  return Slice(this, region, offset, *found, true);
}

WatchedMemory::GuestView WatchedMemory::guest() const { return GuestView(*this); }

Result<WatchedMemory::Slice> WatchedMemory::GuestView::find(GuestAddress address,
                                                            std::uint64_t length, Access) const {
  if (length == 0) return Slice{};
  auto* region = memory_->region_of(address);
  if (region == nullptr) return fail(MemoryError::kUnmapped, address.raw(), length);
  const auto offset = address.raw() - region->base;
  const MappedSlice unmarked(region->host + offset,
                             std::min<std::uint64_t>(length, region->size - offset), nullptr, 0);
  return Slice(memory_, region, offset, unmarked, false);
}

std::uint8_t WatchedMemory::fetch_count(GuestAddress address) const {
  const auto* region = region_of(address);
  return region == nullptr ? 0 : region->counts[address.raw() - region->base];
}

void WatchedMemory::clear_log() const {
  for (const auto& fetch : state_->fetches) {
    // Fetches are joined across regions that touch, so they are cleared region by region.
    for (auto& region : state_->regions) {
      const auto part = part_within(fetch, region.base, region.size);
      std::fill_n(region.counts.data() + part.offset, part.length, std::uint8_t{0});
    }
  }
  state_->fetches.clear();
  state_->writes.clear();
  state_->sources.clear();
  state_->targets.clear();
  for (const auto& region : state_->regions) region.dirty->clear();
}

std::optional<std::size_t> WatchedMemory::first_not_given(std::span<const ::iovec> parts,
                                                          Access access) const {
  const auto& given = access == Access::kRead ? state_->sources : state_->targets;
  auto found = given.begin();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto holds_part = [&](const ::iovec& range) { return lies_in(parts[i], range); };
    // Parts mostly come in the order in which they were given.
    const auto previous = found;
    found = std::find_if(previous, given.end(), holds_part);
    if (found != given.end()) continue;
    found = std::find_if(given.begin(), previous, holds_part);
    if (found == previous) return i;
  }
  return std::nullopt;
}

void WatchedMemory::written_by_host(std::span<const ::iovec> parts) const {
  for (const auto& part : parts) {
    const auto region = std::ranges::find_if(state_->regions, [&](const Region& candidate) {
      return lies_in(part, {candidate.host, candidate.size});
    });
    GUESTPROOF_INVARIANT(region != state_->regions.end());
    const auto offset =
        static_cast<std::size_t>(static_cast<const std::byte*>(part.iov_base) - region->host);
    touch(*region, offset, part.iov_len);
    record(state_->writes, region->base + offset, part.iov_len);
  }
}

std::optional<GuestAddress> WatchedMemory::first_unmarked(
    std::span<const MemoryRange> written) const {
  for (const auto& range : written)
    for (const auto& region : state_->regions) {
      const auto part = part_within(range, region.base, region.size);
      if (part.length == 0) continue;
      const auto last = (part.offset + part.length - 1) / DirtyBitmap::kPageSize;
      for (auto page = part.offset / DirtyBitmap::kPageSize; page <= last; ++page)
        if (!region.dirty->is_dirty(page))
          return GuestAddress(region.base + page * DirtyBitmap::kPageSize);
    }
  return std::nullopt;
}

std::optional<GuestAddress> WatchedMemory::first_marked_unwritten() const {
  for (const auto& region : state_->regions)
    for (std::size_t page = 0; page < region.dirty->pages(); ++page) {
      if (!region.dirty->is_dirty(page)) continue;
      const auto base = region.base + page * DirtyBitmap::kPageSize;
      const auto touches = [&](const MemoryRange& range) {
        return part_within(range, base, DirtyBitmap::kPageSize).length != 0;
      };
      if (std::ranges::none_of(state_->writes, touches)) return GuestAddress(base);
    }
  return std::nullopt;
}

void WatchedMemory::reset() const {
  clear_log();
  state_->races.clear();
  state_->exceeded = nullptr;
  state_->work = 0;
  for (auto& region : state_->regions) {
    for_each_bit(region.touched, region.touched, [&](std::size_t block) {
      std::memset(region.host + block * kBlock, 0, kBlock);
      return true;
    });
    std::ranges::fill(region.touched, 0);
  }
}

std::optional<GuestAddress> WatchedMemory::first_difference(const WatchedMemory& other) const {
  for (std::size_t i = 0; i < state_->regions.size(); ++i) {
    const auto& mine = state_->regions[i];
    const auto& theirs = other.state_->regions[i];
    const std::byte* differs = nullptr;
    const auto same = [&](std::size_t block) {
      const auto* a = mine.host + block * kBlock;
      const auto* b = theirs.host + block * kBlock;
      if (std::memcmp(a, b, kBlock) != 0) differs = std::mismatch(a, a + kBlock, b).first;
      return differs == nullptr;
    };
    for_each_bit(mine.touched, theirs.touched, same);
    if (differs != nullptr)
      return GuestAddress(mine.base + static_cast<std::uint64_t>(differs - mine.host));
  }
  return std::nullopt;
}

void WatchedMemory::limit_steps(std::uint64_t limit, void (*exceeded)()) const {
  state_->steps_left = limit;
  state_->exceeded = exceeded;
}

void WatchedMemory::count_step(std::size_t length) const {
  state_->work += 1 + length / 64;
  if (state_->exceeded == nullptr || state_->steps_left-- != 0) return;
  // Once: what cleans up after the interruption may still need memory.
  std::exchange(state_->exceeded, nullptr)();
}

std::optional<GuestAddress> WatchedMemory::first_excess_fetch(const WatchedMemory& other) const {
  for (const auto& fetch : state_->fetches)
    for (std::size_t i = 0; i < state_->regions.size(); ++i) {
      const auto& mine = state_->regions[i];
      const auto part = part_within(fetch, mine.base, mine.size);
      const auto* here = mine.counts.data() + part.offset;
      const auto* there = other.state_->regions[i].counts.data() + part.offset;
      if (std::memcmp(here, there, part.length) == 0) continue;
      for (std::size_t at = 0; at < part.length; ++at)
        if (here[at] > there[at]) return GuestAddress(mine.base + part.offset + at);
    }
  return std::nullopt;
}

void WatchedMemory::touch(Region& region, std::size_t offset, std::size_t length) {
  for (auto block = offset / kBlock; block <= (offset + length - 1) / kBlock; ++block)
    region.touched[block / 64] |= std::uint64_t{1} << (block % 64);
}

void WatchedMemory::on_fetch(Region& region, std::size_t offset, std::size_t length) const {
  count_step(length);
  for (auto& armed : state_->races) {
    const auto at = armed.race.address.raw() - region.base -
                    offset;  // wraps to a huge distance before the fetch
    if (at >= length || armed.seen == armed.race.nth || ++armed.seen != armed.race.nth) continue;
    region.host[offset + at] = armed.race.value;
    touch(region, offset + at, 1);
  }
  auto* counts = region.counts.data() + offset;
  for (std::size_t i = 0; i < length; ++i)
    counts[i] = static_cast<std::uint8_t>(counts[i] + (counts[i] != 255));
  record(state_->fetches, region.base + offset, length);
}

void WatchedMemory::on_write(Region& region, std::size_t offset, std::size_t length) const {
  count_step(length);
  touch(region, offset, length);
  record(state_->writes, region.base + offset, length);
}

void WatchedMemory::Slice::fetch(std::size_t offset, std::size_t length) const {
  GUESTPROOF_INVARIANT(range_within(offset, length, size()));
  if (watched_ && length != 0) memory_->on_fetch(*region_, offset_ + offset, length);
}

::iovec WatchedMemory::Slice::given(Access access, const ::iovec& part) const {
  if (watched_ && part.iov_len != 0)
    (access == Access::kRead ? memory_->state_->sources : memory_->state_->targets).push_back(part);
  return part;
}

void WatchedMemory::Slice::change(std::size_t offset, std::size_t length) const {
  GUESTPROOF_INVARIANT(range_within(offset, length, size()));
  if (length == 0) return;
  if (watched_)
    memory_->on_write(*region_, offset_ + offset, length);
  else
    touch(*region_, offset_ + offset, length);
}

}  // namespace guestproof::testing
