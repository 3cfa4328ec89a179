#include "guestproof/testing/harness/kvm_ring_harness.h"

#include <algorithm>
#include <bit>
#include <tuple>
#include <vector>

namespace guestproof::testing {
namespace {

using kvm::CoalescedWrite;
using kvm::DirtyPage;
using kvm::PageError;

/// At an offset of the memory, as KVM writes it.
template <class T>
void put(World& world, std::uint64_t offset, const T& object) {
  world.write(GuestAddress(offset), std::as_bytes(std::span(&object, 1)));
}

bool same_write(const CoalescedWrite& write, const ModelCoalescedWrite& model) {
  const auto bytes = std::bit_cast<std::array<std::uint8_t, 8>>(write.bytes);
  return std::tie(write.address, write.length, write.pio, bytes) ==
         std::tie(model.address, model.length, model.pio, model.bytes);
}

bool same_page(const DirtyPage& page, const ModelDirtyPage& model) {
  return std::tie(page.slot, page.page) == std::tie(model.slot, model.page);
}

/// Both took something and it is the same, or both took nothing.
template <class Taken, class Model>
void compare_taken(const std::optional<Taken>& taken, const std::optional<Model>& model,
                   bool (*same)(const Taken&, const Model&)) {
  if (taken.has_value() != model.has_value())
    violated(kModelAgreement, taken ? "an entry is taken that is none for the model"
                                    : "an entry is left that the model takes");
  if (taken && !same(*taken, *model))
    violated(kModelAgreement, "an entry is taken with other contents than the model's");
}

}  // namespace

KvmCoalescedRingHarness::KvmCoalescedRingHarness() {
  taken_ = depth_.add("ring:taken");
  ports_ = depth_.add("ring:taken_port");
  empty_ = depth_.add("ring:empty");
  full_ = depth_.add("ring:full");
  depth_.add_errors<PageError>(
      {PageError::kRunSize, PageError::kIoDirection, PageError::kIoSize, PageError::kIoCount,
       PageError::kIoOffset, PageError::kMmioDirection, PageError::kDataCount,
       PageError::kInstructionLength, PageError::kHypervType, PageError::kXenType,
       PageError::kDirtyFlags, PageError::kDirtyRingSize});
}

Result<void> KvmCoalescedRingHarness::map_reader(const WatchedMemory::Slice& mapping) {
  ring_.reset();
  const auto ring = WatchedCoalescedRing::over(mapping);
  if (!ring) return std::unexpected(ring.error());
  ring_.emplace(*ring);
  return {};
}

ModelError KvmCoalescedRingHarness::map_model(std::uint64_t size) {
  model_.reset();
  const auto refusal = CoalescedRingModel::refusal(size);
  if (!refusal.none()) return refusal;
  model_.emplace(world().model(), size);
  if (ring_ && ring_->capacity() != model_->entries())
    violated(kModelAgreement, "the ring has " + std::to_string(ring_->capacity()) +
                                  " entries, for the model " + std::to_string(model_->entries()));
  return {};
}

SpaceRange KvmCoalescedRingHarness::area(Space space) const {
  switch (space) {
    case Space::kHeader:  // the indices
      return {0, 8};
    case Space::kDescriptorTable: {  // the entry that is taken next
      const auto first = world().read_number(GuestAddress(0), 4);
      const auto entries = ring_ ? ring_->capacity() : 1;
      return {8 + 24 * (first < entries ? first : 0), 24};
    }
    default:
      return {0, std::max<std::uint64_t>(size(), 1)};
  }
}

void KvmCoalescedRingHarness::request(const Record& record) {
  const auto entries = ring_->capacity();
  const auto first = world().read_number(GuestAddress(0), 4);
  const auto last = static_cast<std::uint32_t>(world().read_number(GuestAddress(4), 4) % entries);
  const auto next = (last + 1) % entries;
  if (next == first) return depth_.count(full_);
  kvm_coalesced_mmio entry{};
  entry.phys_addr = address_of(record, 0xfee0'0000);
  entry.len = record.length;
  if ((record.flags & kRequestRaw) == 0) entry.len = 1 + record.length % 8;
  if (record.extra != 0) {
    entry.pio = 1;
    entry.phys_addr = record.extra;
  }
  std::memcpy(entry.data, &record.value, sizeof entry.data);
  put(world(), 8 + 24 * std::uint64_t{last}, entry);
  put(world(), 4, next);
}

bool KvmCoalescedRingHarness::take_once() {
  auto taken = Result<std::optional<CoalescedWrite>>();
  CoalescedRingModel::Taken expected;
  step([&] { taken = take(*ring_); }, [&] { expected = model_->take(); });
  compare_errors(kModelAgreement, "the ring", error_of(taken), expected.error);
  if (!taken) {
    count(taken.error());
    return false;
  }
  compare_taken(*taken, expected.write, same_write);
  depth_.count(*taken ? ((*taken)->pio ? ports_ : taken_) : empty_);
  return taken->has_value();
}

void KvmCoalescedRingHarness::kick(std::uint32_t budget) {
  // A program can move KVM's index once per race only, so this ends; but not always soon.
  const auto most = budget != 0 ? budget : ring_->capacity();
  for (std::uint32_t i = 0; i < most && take_once(); ++i) {
  }
}

void KvmCoalescedRingHarness::act(const Record& record) {
  if (record.op() != Opcode::kAvail) return;
  world().write_number(GuestAddress(4), world().read_number(GuestAddress(4), 4) + record.next, 4);
}

KvmDirtyRingHarness::KvmDirtyRingHarness() {
  taken_ = depth_.add("ring:taken");
  drained_ = depth_.add("ring:drained");
  empty_ = depth_.add("ring:empty");
  full_ = depth_.add("ring:full");
  taken_back_ = depth_.add("ring:taken_back");
  depth_.add_errors<PageError>(
      {PageError::kRunSize, PageError::kIoDirection, PageError::kIoSize, PageError::kIoCount,
       PageError::kIoOffset, PageError::kMmioLength, PageError::kMmioDirection,
       PageError::kDataCount, PageError::kInstructionLength, PageError::kHypervType,
       PageError::kXenType, PageError::kRingIndex, PageError::kRingLength});
}

Result<void> KvmDirtyRingHarness::map_reader(const WatchedMemory::Slice& mapping) {
  ring_.reset();
  produced_ = 0;
  const auto ring = WatchedDirtyRing::over(mapping);
  if (!ring) return std::unexpected(ring.error());
  ring_.emplace(*ring);
  return {};
}

ModelError KvmDirtyRingHarness::map_model(std::uint64_t size) {
  model_.reset();
  const auto refusal = DirtyRingModel::refusal(size);
  if (refusal.none()) model_.emplace(world().model(), size);
  return refusal;
}

SpaceRange KvmDirtyRingHarness::area(Space space) const {
  switch (space) {
    case Space::kHeader:  // the entry that is taken next
      return {model_ ? kEntry * model_->position() : 0, kEntry};
    default:
      return {0, std::max<std::uint64_t>(size(), 1)};
  }
}

void KvmDirtyRingHarness::request(const Record& record) {
  const auto at = kEntry * (produced_ % ring_->capacity());
  const bool raw = (record.flags & kRequestRaw) != 0;
  if (!raw && world().read_number(GuestAddress(at), 4) != 0) return depth_.count(full_);
  put(world(), at,
      kvm_dirty_gfn{
          .flags = raw ? std::uint32_t{record.extra} : std::uint32_t{KVM_DIRTY_GFN_F_DIRTY},
          .slot = record.index,
          .offset = record.value});
  ++produced_;
}

bool KvmDirtyRingHarness::take_once() {
  auto taken = Result<std::optional<DirtyPage>>();
  DirtyRingModel::Taken expected;
  step([&] { taken = take(*ring_); }, [&] { expected = model_->take(); });
  compare_errors(kModelAgreement, "the ring", error_of(taken), expected.error);
  if (!taken) {
    count(taken.error());
    return false;
  }
  compare_taken(*taken, expected.page, same_page);
  depth_.count(*taken ? taken_ : empty_);
  return taken->has_value();
}

void KvmDirtyRingHarness::drain() {
  std::vector<DirtyPage> pages;
  auto drained = Result<std::size_t>();
  DirtyRingModel::Drained expected;
  step([&] { drained = ring_->drain([&](const DirtyPage& page) { pages.push_back(page); }); },
       [&] { expected = model_->drain(); });
  compare_errors(kModelAgreement, "draining", error_of(drained), expected.error);
  const auto said = drained.value_or(pages.size());
  if (said != expected.pages.size() || !std::ranges::equal(pages, expected.pages, same_page))
    violated(kModelAgreement, "other pages are drained than the model's");
  if (!drained) return count(drained.error());
  depth_.count(drained_);
}

void KvmDirtyRingHarness::kick(std::uint32_t budget) {
  if (budget == 0) return drain();
  for (std::uint32_t i = 0; i < budget && take_once(); ++i) {
  }
}

void KvmDirtyRingHarness::take_back() {
  depth_.count(taken_back_);
  for (std::uint64_t at = 0; at < size(); at += kEntry)
    if (world().read_number(GuestAddress(at), 4) == KVM_DIRTY_GFN_F_RESET)
      world().write_number(GuestAddress(at), 0, 4);
}

void KvmDirtyRingHarness::act(const Record& record) {
  if (record.op() == Opcode::kComplete) take_back();
}

}  // namespace guestproof::testing
