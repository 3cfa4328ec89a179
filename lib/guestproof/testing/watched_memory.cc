#include "guestproof/testing/watched_memory.h"

#include <algorithm>
#include <utility>

namespace guestproof::testing {
namespace {

/// Joins an access to the one before it when it goes on where that ended: long copies arrive in
/// many small pieces.
void record(std::vector<MemoryRange>& log, std::uint64_t address, std::uint64_t length) {
  if (length == 0) return;
  if (!log.empty() && log.back().address.raw() + log.back().length == address) {
    log.back().length += length;
    return;
  }
  log.push_back({GuestAddress(address), length});
}

}  // namespace

WatchedMemory::WatchedMemory(std::span<const RegionSpec> regions)
    : state_(std::make_unique<State>()) {
  state_->specs.assign(regions.begin(), regions.end());
  for (const auto& spec : regions) {
    GUESTPROOF_INVARIANT(spec.size != 0 && spec.size % kBlock == 0);
    GUESTPROOF_INVARIANT(region_of(spec.base) == nullptr);
    Region region;
    region.base = spec.base.raw();
    region.size = spec.size;
    region.read_only = spec.read_only;
    region.bytes = std::make_unique<std::byte[]>(spec.size);
    region.counts.resize(spec.size);
    region.touched.resize(spec.size / kBlock);
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
  if (length == 0) return Slice{};
  auto* region = region_of(address);
  if (region == nullptr) return fail(MemoryError::kUnmapped, address.raw(), length);
  if (access == Access::kWrite && region->read_only)
    return fail(MemoryError::kReadOnly, address.raw());
  const auto offset = address.raw() - region->base;
  return Slice(this, region, offset, std::min<std::uint64_t>(length, region->size - offset), true);
}

WatchedMemory::GuestView WatchedMemory::guest() const { return GuestView(*this); }

Result<WatchedMemory::Slice> WatchedMemory::GuestView::find(GuestAddress address,
                                                            std::uint64_t length, Access) const {
  auto slice = memory_->find(address, length, Access::kRead);
  if (slice) slice->watched_ = false;
  return slice;
}

std::uint8_t WatchedMemory::fetch_count(GuestAddress address) const {
  const auto* region = region_of(address);
  return region == nullptr ? 0 : region->counts[address.raw() - region->base];
}

void WatchedMemory::clear_log() const {
  for (const auto& fetch : state_->fetches) {
    // Fetches are joined across regions that touch, so they are cleared region by region.
    for (auto& region : state_->regions) {
      const auto begin = std::max(fetch.address.raw(), region.base);
      const auto end = std::min(fetch.address.raw() + fetch.length, region.base + region.size);
      if (begin < end) std::memset(region.counts.data() + (begin - region.base), 0, end - begin);
    }
  }
  state_->fetches.clear();
  state_->writes.clear();
}

void WatchedMemory::reset() const {
  clear_log();
  state_->races.clear();
  for (auto& region : state_->regions)
    for (std::size_t block = 0; block < region.touched.size(); ++block)
      if (region.touched[block] != 0) {
        std::memset(region.bytes.get() + block * kBlock, 0, kBlock);
        region.touched[block] = 0;
      }
}

std::optional<GuestAddress> WatchedMemory::first_difference(const WatchedMemory& other) const {
  for (std::size_t i = 0; i < state_->regions.size(); ++i) {
    const auto& mine = state_->regions[i];
    const auto& theirs = other.state_->regions[i];
    for (std::size_t block = 0; block < mine.touched.size(); ++block) {
      if ((mine.touched[block] | theirs.touched[block]) == 0) continue;
      const auto* a = mine.bytes.get() + block * kBlock;
      const auto* b = theirs.bytes.get() + block * kBlock;
      if (std::memcmp(a, b, kBlock) == 0) continue;
      const auto offset = std::mismatch(a, a + kBlock, b).first - mine.bytes.get();
      return GuestAddress(mine.base + static_cast<std::uint64_t>(offset));
    }
  }
  return std::nullopt;
}

void WatchedMemory::limit_steps(std::uint64_t limit, void (*exceeded)()) const {
  state_->steps_left = limit;
  state_->exceeded = exceeded;
}

void WatchedMemory::count_step() const {
  if (state_->exceeded == nullptr || state_->steps_left-- != 0) return;
  // Once: what cleans up after the interruption may still need memory.
  std::exchange(state_->exceeded, nullptr)();
}

std::optional<GuestAddress> WatchedMemory::first_excess_fetch(const WatchedMemory& other) const {
  for (const auto& fetch : state_->fetches)
    for (std::size_t i = 0; i < state_->regions.size(); ++i) {
      const auto& mine = state_->regions[i];
      const auto begin = std::max(fetch.address.raw(), mine.base);
      const auto end = std::min(fetch.address.raw() + fetch.length, mine.base + mine.size);
      for (auto at = begin; at < end; ++at)
        if (mine.counts[at - mine.base] > other.state_->regions[i].counts[at - mine.base]) return GuestAddress(at);
    }
  return std::nullopt;
}

void WatchedMemory::touch(Region& region, std::size_t offset, std::size_t length) {
  for (auto block = offset / kBlock; block <= (offset + length - 1) / kBlock; ++block)
    region.touched[block] = 1;
}

void WatchedMemory::on_fetch(Region& region, std::size_t offset, std::size_t length) const {
  count_step();
  for (auto& armed : state_->races) {
    const auto at = armed.race.address.raw() - region.base -
                    offset;  // wraps to a huge distance before the fetch
    if (at >= length || armed.seen == armed.race.nth || ++armed.seen != armed.race.nth) continue;
    region.bytes[offset + at] = armed.race.value;
    touch(region, offset + at, 1);
  }
  auto* counts = region.counts.data() + offset;
  for (std::size_t i = 0; i < length; ++i)
    counts[i] = static_cast<std::uint8_t>(counts[i] + (counts[i] != 255));
  record(state_->fetches, region.base + offset, length);
}

void WatchedMemory::on_write(Region& region, std::size_t offset, std::size_t length) const {
  count_step();
  touch(region, offset, length);
  record(state_->writes, region.base + offset, length);
}

std::byte* WatchedMemory::Slice::fetched(std::size_t offset, std::size_t length) const {
  GUESTPROOF_INVARIANT(range_within(offset, length, size_));
  if (length == 0) return nullptr;
  if (watched_) memory_->on_fetch(*region_, offset_ + offset, length);
  return region_->bytes.get() + offset_ + offset;
}

std::byte* WatchedMemory::Slice::written(std::size_t offset, std::size_t length) const {
  GUESTPROOF_INVARIANT(range_within(offset, length, size_));
  if (length == 0) return nullptr;
  if (watched_)
    memory_->on_write(*region_, offset_ + offset, length);
  else
    touch(*region_, offset_ + offset, length);
  return region_->bytes.get() + offset_ + offset;
}

}  // namespace guestproof::testing
