#include "guestproof/pci/bar_map.h"

#include <algorithm>

#include "guestproof/base/checked.h"

namespace guestproof::pci {
namespace {

constexpr std::uint64_t kPorts = 0x10000;

bool whole_in(const AddressWindow& window, const BarRange& range) {
  return range.base >= window.base &&
         range_within(range.base - window.base, range.size, window.size);
}

bool overlap(const AddressWindow& a, const AddressWindow& b) {
  return a.size != 0 && b.size != 0 && a.base <= b.base + (b.size - 1) &&
         b.base <= a.base + (a.size - 1);
}

}  // namespace

Result<BarMap> BarMap::create(const BarWindows& windows) {
  for (const auto& window : windows.memory)
    if (window.size != 0 && !checked_add(window.base, window.size - 1))
      return fail(PciBuildError::kAddressWindow, window.base, UINT64_MAX);
  if (!range_within(windows.io.base, windows.io.size, kPorts))
    return fail(PciBuildError::kAddressWindow, windows.io.base, kPorts);
  if (overlap(windows.memory[0], windows.memory[1]))
    return fail(PciBuildError::kAddressWindow, windows.memory[0].base, windows.memory[1].base);
  return BarMap(windows);
}

void BarMap::reserve(std::size_t bars) {
  for (auto& places : places_) places.reserve(bars);
}

void BarMap::clear() {
  for (auto& places : places_) places.clear();
}

bool BarMap::in_a_window(const BarRange& range) const {
  if (range.io) return whole_in(windows_.io, range);
  return std::ranges::any_of(windows_.memory,
                             [&](const auto& window) { return whole_in(window, range); });
}

Result<void> BarMap::place(const Place& place) {
  const auto& range = place.range;
  if (!in_a_window(range)) return fail(PciError::kBarOutside, range.base, range.size);
  const auto* other = places_[range.io ? 1 : 0].insert(range.base, range.last(), place);
  if (other != nullptr) return fail(PciError::kBarOverlap, range.base, other->base);
  return {};
}

const BarMap::Place* BarMap::find(bool io, std::uint64_t address) const {
  const auto* found = places_[io ? 1 : 0].find(address);
  return found == nullptr ? nullptr : &found->value;
}

}  // namespace guestproof::pci
