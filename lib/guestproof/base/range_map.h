// Ranges of addresses that do not meet, and what each is for: a sorted list that is searched by
// halves.
//
// Not here: what to do about a range that meets another; insert() names it and changes nothing.
//
// Thread-safety: none; a value. Any number of threads may look at one that nobody changes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

namespace guestproof {

template <class T>
class RangeMap {
 public:
  struct Entry {
    std::uint64_t base = 0;
    std::uint64_t last = 0;
    T value;
  };

  /// Room for so many ranges, so that insert() allocates nothing.
  void reserve(std::size_t ranges) { entries_.reserve(ranges); }
  void clear() { entries_.clear(); }

  /// Null, or the range that is in the way: the highest of those that meet the new one, which is
  /// then not inserted. REQUIRES: base <= last.
  [[nodiscard]] const Entry* insert(std::uint64_t base, std::uint64_t last, const T& value) {
    const auto next = behind(last);  // the one before it starts at or before our last
    if (next != entries_.begin() && std::prev(next)->last >= base) return &*std::prev(next);
    entries_.insert(next, Entry{base, last, value});
    return nullptr;
  }
  /// The range that has the address. Null when none has.
  [[nodiscard]] const Entry* find(std::uint64_t address) const {
    const auto next = behind(address);
    if (next == entries_.begin() || std::prev(next)->last < address) return nullptr;
    return &*std::prev(next);
  }

 private:
  /// The first range whose base is above the address.
  [[nodiscard]] auto behind(std::uint64_t address) const {
    return std::ranges::upper_bound(entries_, address, {}, &Entry::base);
  }

  std::vector<Entry> entries_;  // by base
};

}  // namespace guestproof
