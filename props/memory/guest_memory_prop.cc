// Guest memory against a map from address to byte: any regions, any ranges, up to the end of the
// address space.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "guestproof/memory/guest_memory.h"
#include "guestproof/testing/watched_memory.h"

namespace guestproof {
namespace {

using testing::WatchedMemory;
using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kPage = 4096;

/// Up to four regions among the first four pages or the last four of the address space: many touch,
/// some leave holes, some end where addresses do.
std::vector<WatchedMemory::RegionSpec> any_regions() {
  const auto low = *rc::gen::arbitrary<bool>();
  const std::uint64_t base = low ? 0 : UINT64_MAX - 4 * kPage + 1;
  std::vector<WatchedMemory::RegionSpec> regions;
  for (std::uint64_t page = 0; page < 4;) {
    page += *rc::gen::weightedElement<std::uint64_t>({{3, 0}, {1, 1}});
    if (page == 4) break;
    const auto pages = *rc::gen::inRange<std::uint64_t>(1, std::min<std::uint64_t>(3, 5 - page));
    regions.push_back({GuestAddress(base + page * kPage), pages * kPage,
                       *rc::gen::weightedElement<bool>({{4, false}, {1, true}})});
    page += pages;
  }
  RC_PRE(!regions.empty());
  return regions;
}

/// The oracle: which bytes there are, what they hold, and which the device may write.
struct FlatMemory {
  struct Byte {
    std::byte value{};
    bool read_only = false;
  };

  explicit FlatMemory(const std::vector<WatchedMemory::RegionSpec>& regions) {
    for (const auto& region : regions)
      for (std::uint64_t i = 0; i < region.size; ++i)
        bytes.emplace_hint(bytes.end(), region.base.raw() + i,
                           Byte{std::byte{0}, region.read_only});
  }

  /// How many of the `length` bytes from `address` on can be accessed before the first that cannot.
  [[nodiscard]] std::uint64_t reach(std::uint64_t address, std::uint64_t length,
                                    Access access) const {
    for (std::uint64_t i = 0; i < length; ++i) {
      if (i != 0 && address + i == 0) return i;  // past the end of the address space
      const auto byte = bytes.find(address + i);
      if (byte == bytes.end() || (access == Access::kWrite && byte->second.read_only)) return i;
    }
    return length;
  }

  std::map<std::uint64_t, Byte> bytes;
};

/// Near a border of a page: where regions begin, touch and end.
std::uint64_t any_address(const std::vector<WatchedMemory::RegionSpec>& regions) {
  const auto region = *rc::gen::elementOf(regions);
  const auto page = *rc::gen::inRange<std::uint64_t>(0, region.size / kPage + 1);
  return region.base.raw() + page * kPage + *rc::gen::inRange<std::uint64_t>(0, 600) - 300;
}

/// Mostly a little, now and then across a page or more.
std::uint64_t any_length() {
  return *rc::gen::weightedOneOf<std::uint64_t>(
      {{8, rc::gen::inRange<std::uint64_t>(0, 600)},
       {1, rc::gen::inRange<std::uint64_t>(0, 2 * kPage + 600)}});
}

RC_GTEST_PROP(GuestMemory, ReadsAndWritesLikeAMapOfBytes, ()) {
  const auto regions = any_regions();
  const WatchedMemory memory(regions);
  FlatMemory flat(regions);
  for (int steps = *rc::gen::inRange(1, 10); steps > 0; --steps) {
    const auto address = any_address(regions);
    const auto length = any_length();
    const auto value = static_cast<std::byte>(*rc::gen::arbitrary<std::uint8_t>());

    const auto writable = flat.reach(address, length, Access::kWrite);
    RC_ASSERT(check_range(memory, GuestAddress(address), length, Access::kWrite).has_value() ==
              (writable == length));
    RC_ASSERT(write_bytes(memory, GuestAddress(address), Bytes(length, value)).has_value() ==
              (writable == length));
    for (std::uint64_t i = 0; i < writable; ++i) flat.bytes[address + i].value = value;

    const auto from = any_address(regions);
    const auto readable = flat.reach(from, length, Access::kRead);
    Bytes out(length, std::byte{0x5a});
    RC_ASSERT(read_bytes(memory, GuestAddress(from), out).has_value() == (readable == length));
    for (std::uint64_t i = 0; i < length; ++i)
      RC_ASSERT(out[i] == (i < readable ? flat.bytes[from + i].value : std::byte{0x5a}));
  }
}

RC_GTEST_PROP(GuestMemory, FindsSlicesThatAreAsLongAsTheyCanBe, ()) {
  const auto regions = any_regions();
  const WatchedMemory memory(regions);
  const FlatMemory flat(regions);
  const auto address = any_address(regions);
  const auto length =
      *rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(1, 4 * kPage), rc::gen::just(UINT64_MAX));

  const auto slice = memory.find(GuestAddress(address), length, Access::kRead);

  const bool mapped = flat.bytes.contains(address);
  RC_ASSERT(slice.has_value() == mapped);
  const auto region =
      std::ranges::find_if(regions, [&](const auto& r) { return address - r.base.raw() < r.size; });
  if (mapped)
    RC_ASSERT(slice->size() == std::min(length, region->size - (address - region->base.raw())));
}

}  // namespace
}  // namespace guestproof
