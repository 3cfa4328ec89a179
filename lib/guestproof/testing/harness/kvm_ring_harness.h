// The rings that KVM shares under test. Targets: kvm_coalesced_ring, kvm_dirty_ring.
//
// kvm_coalesced_ring: `queue` makes the page 1 + index modulo 4 pages long, `activate` exactly
// `index` bytes; it has one page unless the program says otherwise. A `request` is a write that KVM
// queues, unless the ring is full: `value` its bytes, `length` how many (1 to 8; raw: any), `extra`
// a port's number when it is not 0, `address` otherwise, as a number. `avail` moves KVM's index by
// `next`. `kick` takes `budget` writes, or until there is none.
//
// kvm_dirty_ring: `queue` makes it 2^(index modulo 11) entries long, `activate` exactly `index`
// bytes; it has 64 entries unless the program says otherwise. A `request` is a page that KVM
// publishes, unless the ring is full: `value` the page, `index` the slot (raw: `extra` the flags,
// full or not). `complete` is KVM taking entries back that were given back to it. `kick` takes
// `budget` pages, or drains the ring.
#pragma once

#include <optional>

#include "guestproof/kvm/coalesced_ring.h"
#include "guestproof/kvm/dirty_ring.h"
#include "guestproof/testing/harness/page_harness.h"
#include "guestproof/testing/model/kvm_ring_model.h"

namespace guestproof::testing {

using WatchedCoalescedRing = kvm::BasicCoalescedRing<WatchedMemory::Slice>;
using WatchedDirtyRing = kvm::BasicDirtyRing<WatchedMemory::Slice>;

class KvmCoalescedRingHarness : public PageHarness {
 public:
  KvmCoalescedRingHarness();

  [[nodiscard]] std::string_view name() const override { return "kvm_coalesced_ring"; }

 protected:
  /// What is under test; tests of the oracles put a faulty one here.
  [[nodiscard]] virtual Result<std::optional<kvm::CoalescedWrite>> take(
      WatchedCoalescedRing& ring) {
    return ring.take();
  }

 private:
  [[nodiscard]] std::uint64_t default_size() const override { return kPage; }
  [[nodiscard]] std::uint64_t size_of(std::uint16_t index) const override {
    return (1 + index % 4) * kPage;
  }
  [[nodiscard]] Result<void> map_reader(const WatchedMemory::Slice& mapping) override;
  [[nodiscard]] ModelError map_model(std::uint64_t size) override;
  [[nodiscard]] SpaceRange area(Space space) const override;
  void request(const Record& record) override;
  void kick(std::uint32_t budget) override;
  void act(const Record& record) override;

  /// False when nothing was taken.
  bool take_once();

  std::optional<WatchedCoalescedRing> ring_;
  std::optional<CoalescedRingModel> model_;
  Depth::Index taken_, ports_, empty_, full_;
};

class KvmDirtyRingHarness : public PageHarness {
 public:
  KvmDirtyRingHarness();

  [[nodiscard]] std::string_view name() const override { return "kvm_dirty_ring"; }

 protected:
  /// What is under test; tests of the oracles put a faulty one here.
  [[nodiscard]] virtual Result<std::optional<kvm::DirtyPage>> take(WatchedDirtyRing& ring) {
    return ring.take();
  }

 private:
  [[nodiscard]] std::uint64_t default_size() const override { return 64 * kEntry; }
  [[nodiscard]] std::uint64_t size_of(std::uint16_t index) const override {
    return kEntry << index % 11;
  }
  [[nodiscard]] Result<void> map_reader(const WatchedMemory::Slice& mapping) override;
  [[nodiscard]] ModelError map_model(std::uint64_t size) override;
  [[nodiscard]] SpaceRange area(Space space) const override;
  void request(const Record& record) override;
  void kick(std::uint32_t budget) override;
  void act(const Record& record) override;

  bool take_once();
  void drain();
  void take_back();

  static constexpr std::uint64_t kEntry = sizeof(kvm_dirty_gfn);

  std::optional<WatchedDirtyRing> ring_;
  std::optional<DirtyRingModel> model_;
  std::uint64_t produced_ = 0;  // entries that KVM has published
  Depth::Index taken_, drained_, empty_, full_, taken_back_;
};

}  // namespace guestproof::testing
