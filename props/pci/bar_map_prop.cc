// Placed BARs against a list that is looked through: none meets another, each is in a window, and
// every address has the one that it should have.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

#include "guestproof/pci/bar_map.h"

namespace guestproof::pci {
namespace {

constexpr BarWindows kWindows{.memory = {{{0x1000, 0xf000}, {0x2'0000, 0x1'0000}}},
                              .io = {0x400, 0x800}};

bool in_a_window(const BarRange& range) {
  const auto inside = [&](const AddressWindow& window) {
    return range.base >= window.base && range.base + range.size <= window.base + window.size;
  };
  return range.io ? inside(kWindows.io) : inside(kWindows.memory[0]) || inside(kWindows.memory[1]);
}

bool meet(const BarRange& a, const BarRange& b) {
  return a.io == b.io && a.base < b.base + b.size && b.base < a.base + a.size;
}

BarRange any_range() {
  const bool io = *rc::gen::arbitrary<bool>();
  const auto size = std::uint64_t{16} << *rc::gen::inRange(0, io ? 5 : 12);
  const auto slots = (io ? 0x1000 : 0x4'0000) / size;
  return {io, *rc::gen::inRange<std::uint64_t>(0, slots) * size, size};
}

RC_GTEST_PROP(BarMap, PlacesWhatAListPlacesAndFindsIt, ()) {
  auto map = BarMap::create(kWindows).value();
  std::vector<BarMap::Place> list;
  const auto bars = *rc::gen::inRange<std::uint8_t>(0, 40);
  for (std::uint8_t bar = 0; bar < bars; ++bar) {
    const auto range = any_range();
    const bool free =
        std::ranges::none_of(list, [&](const auto& other) { return meet(other.range, range); });

    const auto placed = map.place({range, {}, bar});

    RC_ASSERT(placed.has_value() == (in_a_window(range) && free));
    if (placed) list.push_back({range, {}, bar});
  }
  for (const auto& [range, slot, bar] : list)
    for (const auto address : {range.base - 1, range.base, range.last(), range.last() + 1}) {
      const auto* found = map.find(range.io, address);
      const auto has = [&](const auto& place) { return meet(place.range, {range.io, address, 1}); };
      const auto expected = std::ranges::find_if(list, has);
      RC_ASSERT((found == nullptr) == (expected == list.end()));
      if (found != nullptr) RC_ASSERT(found->bar == expected->bar);
    }
}

}  // namespace
}  // namespace guestproof::pci
