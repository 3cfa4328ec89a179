// The rings that KVM shares: whatever the numbers in them are, nothing outside is touched, and what
// a well-behaved KVM puts in comes out in order, however reading and writing alternate.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <deque>
#include <vector>

#include "guestproof/kvm/coalesced_ring.h"
#include "guestproof/kvm/dirty_ring.h"

namespace guestproof::kvm {
namespace {

/// A block of exactly this size: AddressSanitizer sees a byte too far.
class Block {
 public:
  explicit Block(std::size_t size) : words_((size + 7) / 8), size_(size) {}
  [[nodiscard]] MappedSlice slice() { return {bytes(), size_, nullptr, 0}; }
  [[nodiscard]] std::byte* bytes() { return reinterpret_cast<std::byte*>(words_.data()); }
  template <class T>
  [[nodiscard]] T& at(std::size_t offset) {
    return *reinterpret_cast<T*>(bytes() + offset);
  }

 private:
  std::vector<std::uint64_t> words_;
  std::size_t size_;
};

RC_GTEST_PROP(CoalescedRing, WhatIsQueuedComesOutInOrder, ()) {
  const auto entries = *rc::gen::inRange<std::uint32_t>(2, 12);
  Block block(8 + entries * sizeof(kvm_coalesced_mmio));
  auto ring = CoalescedRing::over(block.slice()).value();
  RC_ASSERT(ring.capacity() == entries);
  auto& first = block.at<std::uint32_t>(0);
  auto& last = block.at<std::uint32_t>(4);
  first = last = *rc::gen::inRange<std::uint32_t>(0, entries);
  std::deque<CoalescedWrite> queued;
  for (const bool put : *rc::gen::arbitrary<std::vector<bool>>()) {
    if (put && (last + 1) % entries != first) {
      CoalescedWrite write{.address = *rc::gen::arbitrary<std::uint64_t>(),
                           .length = *rc::gen::inRange<std::uint32_t>(1, 9),
                           .pio = *rc::gen::arbitrary<bool>()};
      for (std::uint32_t i = 0; i < write.length; ++i)
        write.bytes[i] = std::byte{*rc::gen::arbitrary<std::uint8_t>()};
      auto& entry = block.at<kvm_coalesced_mmio>(8 + last * sizeof(kvm_coalesced_mmio));
      entry.phys_addr = write.address;
      entry.len = write.length;
      entry.pio = write.pio ? 1 : 0;
      std::memcpy(entry.data, write.bytes.data(), sizeof entry.data);
      last = (last + 1) % entries;
      queued.push_back(write);
      continue;
    }
    const auto taken = ring.take().value();
    RC_ASSERT(taken.has_value() == !queued.empty());
    if (!taken) continue;
    RC_ASSERT(*taken == queued.front());
    queued.pop_front();
  }
}

RC_GTEST_PROP(CoalescedRing, AnyIndicesAreRefusedOrInside,
              (std::uint32_t first, std::uint32_t last, std::uint32_t length)) {
  const auto entries = *rc::gen::inRange<std::uint32_t>(1, 12);
  Block block(8 + entries * sizeof(kvm_coalesced_mmio));
  auto ring = CoalescedRing::over(block.slice()).value();
  if (*rc::gen::arbitrary<bool>()) first %= entries + 1;
  if (*rc::gen::arbitrary<bool>()) last %= entries + 1;
  if (*rc::gen::arbitrary<bool>()) length %= 10;
  block.at<std::uint32_t>(0) = first;
  block.at<std::uint32_t>(4) = last;
  for (std::uint32_t i = 0; i < entries; ++i)
    block.at<kvm_coalesced_mmio>(8 + i * sizeof(kvm_coalesced_mmio)).len = length;
  const bool good = first < entries && last < entries && (first == last || length - 1 < 8);

  const auto taken = ring.take();

  RC_ASSERT(taken.has_value() == good);
  const bool took = good && first != last;
  RC_ASSERT(block.at<std::uint32_t>(0) == (took ? (first + 1) % entries : first));
}

RC_GTEST_PROP(DirtyRing, WhatIsPublishedComesOutInOrder, ()) {
  const auto entries = std::size_t{1} << *rc::gen::inRange(0, 5);
  Block block(entries * sizeof(kvm_dirty_gfn));
  auto ring = DirtyRing::over(block.slice()).value();
  std::deque<DirtyPage> published;
  std::size_t next = 0;
  for (const auto step : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 4))) {
    auto& entry = block.at<kvm_dirty_gfn>(next % entries * sizeof(kvm_dirty_gfn));
    if (step < 2 && entry.flags == 0) {
      entry.slot = *rc::gen::arbitrary<std::uint32_t>();
      entry.offset = *rc::gen::arbitrary<std::uint64_t>();
      entry.flags = KVM_DIRTY_GFN_F_DIRTY;
      published.push_back({entry.slot, entry.offset});
      ++next;
    } else if (step == 2) {
      std::deque<DirtyPage> drained;
      RC_ASSERT(ring.drain([&](const DirtyPage& page) { drained.push_back(page); }).value() ==
                published.size());
      RC_ASSERT(drained == published);
      published.clear();
    } else {  // KVM takes back what was given back
      for (std::size_t i = 0; i < entries; ++i) {
        auto& old = block.at<kvm_dirty_gfn>(i * sizeof(kvm_dirty_gfn));
        if (old.flags == KVM_DIRTY_GFN_F_RESET) old.flags = 0;
      }
    }
  }
}

RC_GTEST_PROP(DirtyRing, AnyFlagsEndADrain, ()) {
  const auto entries = std::size_t{1} << *rc::gen::inRange(0, 5);
  Block block(entries * sizeof(kvm_dirty_gfn));
  std::size_t good = 0;
  bool so_far = true;
  for (std::size_t i = 0; i < entries; ++i) {
    const auto flags = *rc::gen::weightedOneOf<std::uint32_t>(
        {{6, rc::gen::just<std::uint32_t>(KVM_DIRTY_GFN_F_DIRTY)},
         {1, rc::gen::inRange<std::uint32_t>(0, 8)},
         {1, rc::gen::arbitrary<std::uint32_t>()}});
    block.at<kvm_dirty_gfn>(i * sizeof(kvm_dirty_gfn)).flags = flags;
    so_far = so_far && flags == KVM_DIRTY_GFN_F_DIRTY;
    if (so_far) ++good;
  }
  auto ring = DirtyRing::over(block.slice()).value();
  std::size_t visited = 0;
  const auto drained = ring.drain([&](const DirtyPage&) { ++visited; });
  RC_ASSERT(visited == good);
  if (drained) RC_ASSERT(*drained == good);
}

}  // namespace
}  // namespace guestproof::kvm
