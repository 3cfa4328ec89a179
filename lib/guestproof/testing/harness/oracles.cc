#include "guestproof/testing/harness/oracles.h"

#include <algorithm>

namespace guestproof::testing {
namespace {

/// A joined run of writes may cross several permitted ranges: from one to where it ends.
bool covered(const MemoryRange& range, std::span<const MemoryRange> permitted) {
  for (std::uint64_t done = 0; done < range.length;) {
    std::uint64_t step = 0;
    for (const auto& allowed : permitted) {
      const auto into = range.address.raw() + done - allowed.address.raw();
      if (into < allowed.length) step = std::max(step, allowed.length - into);
    }
    if (step == 0) return false;
    done += step;
  }
  return true;
}

}  // namespace

void check_fetches(const World& world) {
  if (const auto twice = world.device().first_excess_fetch(world.model()))
    violated(kFetchOnce, "the byte at " + hex(twice->raw()) + " was fetched " +
                             std::to_string(world.device().fetch_count(*twice)) +
                             " times for one decision, the model fetches it " +
                             std::to_string(world.model().fetch_count(*twice)) + " times");
}

void check_confinement(const World& world, std::span<const MemoryRange> permitted,
                       std::string_view places) {
  for (const auto& range : world.device().writes())
    if (!covered(range, permitted))
      violated(kConfinement, "the device wrote " + std::to_string(range.length) + " bytes at " +
                                 hex(range.address.raw()) + ", not all of them in " +
                                 std::string(places));
}

void check_bytes(const World& world) {
  if (const auto at = world.device().first_difference(world.model()))
    violated(kModelAgreement, "the byte at " + hex(at->raw()) + " is " +
                                  hex(world.read_number(*at, 1)) + ", the model says otherwise");
}

void check_dirty_pages(const World& world) {
  const auto& device = world.device();
  // What the model wrote, not what the device could have: a transfer that failed leaves its target
  // as it was.
  if (const auto page = device.first_unmarked(world.model().writes()))
    violated(kModelAgreement, "the page at " + hex(page->raw()) +
                                  " was written and is not marked dirty, a migration loses it");
  if (const auto page = device.first_marked_unwritten())
    violated(kModelAgreement, "the page at " + hex(page->raw()) +
                                  " is marked dirty, the device wrote nothing there");
}

}  // namespace guestproof::testing
