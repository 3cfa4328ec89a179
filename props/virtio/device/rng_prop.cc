// Any program of a guest and a host leaves the entropy device and its model in agreement; and what
// requests get is the source's bytes in their order, each once, however the requests are cut.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

#include "any_program.h"
#include "guestproof/testing/driver.h"
#include "guestproof/testing/harness/rng_harness.h"

namespace guestproof::testing {

namespace {

RC_GTEST_PROP(Rng, DeviceAndModelAgree, ()) { agrees<RngHarness>(); }

class Deaf final : public virtio::Host {
 public:
  void wake() override {}
  void refused(std::uint16_t, const Error&) override {}
};

RC_GTEST_PROP(Rng, EveryByteOfTheSourceIsGivenOnce, ()) {
  constexpr GuestAddress kData{0x1000};
  constexpr std::array kRegions{WatchedMemory::RegionSpec{GuestAddress(0), 0x8000}};
  const WatchedMemory memory{kRegions};
  const auto guest = memory.guest();
  const auto layout = QueueLayout::at(GuestAddress(0), 16);
  ScriptedEntropy source;
  virtio::rng::VirtioRng<WatchedMemory> device(source);
  Deaf host;
  virtio::DeviceLifecycle<WatchedMemory> lifecycle(device, memory, host);
  RC_ASSERT(lifecycle.set_status(3));
  RC_ASSERT(lifecycle.set_driver_features(1, 1));
  RC_ASSERT(lifecycle.set_status(11));
  RC_ASSERT(lifecycle.set_queue_size(0, layout.size));
  RC_ASSERT(lifecycle.set_descriptor_area(0, layout.descriptor_table));
  RC_ASSERT(lifecycle.set_driver_area(0, layout.available_ring));
  RC_ASSERT(lifecycle.set_device_area(0, layout.used_ring));
  RC_ASSERT(lifecycle.enable_queue(0));
  RC_ASSERT(lifecycle.set_status(15));

  // One after the other in memory, so that what was written is one run of it.
  const auto lengths = *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::inRange(1U, 700U));
  Driver driver(guest, layout);
  std::uint64_t total = 0;
  for (const auto length : lengths) {
    if (total + length > 0x6000) break;
    const auto cut = *rc::gen::inRange(0U, length + 1);
    driver.add_chain({{GuestAddress(kData.raw() + total), cut, true},
                      {GuestAddress(kData.raw() + total + cut), length - cut, true}});
    RC_ASSERT(lifecycle.kick(0));
    RC_ASSERT(!lifecycle.work().value());
    RC_ASSERT(driver.take_used().value().len == length);
    total += length;
  }

  std::vector<std::byte> bytes(total);
  RC_ASSERT(read_bytes(guest, kData, bytes));
  for (std::size_t i = 0; i < bytes.size(); ++i)
    RC_ASSERT(bytes[i] == static_cast<std::byte>(i & 0xff));
}

}  // namespace
}  // namespace guestproof::testing
