// Any program of a guest and a host leaves the balloon and its model in agreement; and the page
// numbers of a request come out as the set that they are, however they are ordered, repeated and
// cut.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "any_program.h"
#include "guestproof/testing/driver.h"
#include "guestproof/testing/harness/balloon_harness.h"
#include "guestproof/virtio/queue/split_queue.h"

namespace guestproof::testing {

namespace {

RC_GTEST_PROP(Balloon, DeviceAndModelAgree, ()) { agrees<BalloonHarness>(); }

RC_GTEST_PROP(Balloon, PageNumbersAreASet, ()) {
  constexpr GuestAddress kRings{0}, kArray{0x2000};
  constexpr std::uint32_t kPages = 16;
  constexpr std::array kRegions{WatchedMemory::RegionSpec{GuestAddress(0), kPages * 0x1000}};
  const auto numbers = *rc::gen::nonEmpty(
      rc::gen::container<std::vector<std::uint32_t>>(rc::gen::inRange(0U, 2 * kPages)));
  const auto bytes = static_cast<std::uint32_t>(4 * numbers.size());
  const auto cut = *rc::gen::inRange(0U, bytes + 1);

  const WatchedMemory memory{kRegions};
  const auto guest = memory.guest();
  for (std::size_t i = 0; i < numbers.size(); ++i)
    RC_ASSERT(write_object(guest, GuestAddress(kArray.raw() + 4 * i), le32(numbers[i])));
  virtio::SplitQueue<WatchedMemory> queue;
  const auto layout = QueueLayout::at(kRings, 8);
  RC_ASSERT(queue.activate(memory, layout.config(), {}));
  Driver driver(guest, layout);
  driver.add_chain({{kArray, cut}, {GuestAddress(kArray.raw() + cut), bytes - cut}});
  const auto chain = std::move(queue.pop().value().value());

  std::vector<le32> read;
  RC_ASSERT(virtio::balloon::read_page_numbers(chain, read));
  std::set<std::uint32_t> visited;
  const auto done = virtio::balloon::visit_runs(
      memory, read, [&](const virtio::balloon::PageRange& run) -> Result<void> {
        for (std::uint64_t at = 0; at < run.length; at += 0x1000)
          RC_ASSERT(
              visited.insert(static_cast<std::uint32_t>((run.address.raw() + at) / 0x1000)).second);
        // A run ends where the next page is not asked for, or not there.
        RC_ASSERT(!visited.contains(static_cast<std::uint32_t>(run.address.raw() / 0x1000 - 1)));
        return {};
      });
  const std::set<std::uint32_t> asked(numbers.begin(), numbers.end());
  const auto there = asked.lower_bound(kPages);
  RC_ASSERT(visited == std::set<std::uint32_t>(asked.begin(), there));
  RC_ASSERT(done.has_value() == (there == asked.end()));
  if (!done)
    RC_ASSERT(done.error() == Error(virtio::balloon::BalloonError::kNotMemory, *there,
                                    static_cast<std::uint64_t>(std::distance(there, asked.end()))));
}

}  // namespace
}  // namespace guestproof::testing
