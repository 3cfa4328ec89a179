#include "guestproof/testing/harness/loader_harness.h"

#include <array>
#include <string>

namespace guestproof::testing {
namespace {

constexpr std::uint64_t kFourGibibytes = std::uint64_t{1} << 32;
constexpr std::uint64_t kMoreEnd = 0x114000;
constexpr std::array kRegions{
    WatchedMemory::RegionSpec{GuestAddress(0xff000), 0x1000, false},
    WatchedMemory::RegionSpec{GuestAddress(0x100000), 0x8000, false},
    WatchedMemory::RegionSpec{GuestAddress(0x108000), 0x4000, false},
    WatchedMemory::RegionSpec{GuestAddress(0x10c000), 0x1000, true},
    WatchedMemory::RegionSpec{GuestAddress(0x110000), 0x4000, false},
    WatchedMemory::RegionSpec{GuestAddress(kFourGibibytes - 0x2000), 0x2000, false},
    WatchedMemory::RegionSpec{GuestAddress(kFourGibibytes), 0x1000, false}};

}  // namespace

LoaderHarness::LoaderHarness() : world_(kRegions) {
  loads_ = depth_.add("load:done");
  refusals_ = depth_.add("load:refused");
}

void LoaderHarness::add_memory_errors() {
  depth_.add_errors<MemoryError>({MemoryError::kAddressOverflow, MemoryError::kNotContiguous,
                                  MemoryError::kRegionEmpty, MemoryError::kRegionUnaligned,
                                  MemoryError::kRegionOverlap, MemoryError::kRegionPastEnd,
                                  MemoryError::kFileTooSmall, MemoryError::kNoRegions});
}

std::uint64_t LoaderHarness::number(const Record& record) {
  static constexpr std::array<std::uint64_t, 8> kPlaces{
      0, kStart, 0x108000, 0x10c000, kMoreEnd, kFourGibibytes, std::uint64_t{1} << 52, 0};
  return kPlaces[record.next % kPlaces.size()] + record.value;
}

void LoaderHarness::compare(std::string_view what, const ModelFacts& device,
                            const ModelFacts& model) const {
  for (std::size_t i = 0; i < std::max(device.size(), model.size()); ++i) {
    if (i >= device.size() || i >= model.size())
      violated(kModelAgreement, std::string(what) + ": " + std::to_string(device.size()) +
                                    " things were found, the model finds " +
                                    std::to_string(model.size()));
    if (device[i] != model[i])
      violated(kModelAgreement, std::string(what) + ": " + std::string(device[i].name) + " is " +
                                    hex(device[i].value) + ", for the model " +
                                    std::string(model[i].name) + " is " + hex(model[i].value));
  }
}

ModelFacts LoaderHarness::facts_of(const loader::LoadedKernel& kernel) {
  return {{"the protocol", static_cast<std::uint64_t>(kernel.protocol)},
          {"the entry", kernel.entry.raw()},
          {"the kernel's start", kernel.memory.base.raw()},
          {"the kernel's size", kernel.memory.size}};
}

void LoaderHarness::start_program() {
  world_.reset();
  // So that zeros which are not written show.
  world_.fill(GuestAddress(kStart), kStartBytes, std::byte{0xee});
  fresh_ = true;
  work_ = 0;
  choose(0);
}

bool LoaderHarness::may_go_on() const {
  return work_ + world_.device().work() * WatchedMemory::kBlock / 4 < kWorkLimit;
}

void LoaderHarness::finish_program() {
  if (fresh_) load(0);
}

void LoaderHarness::execute(const Record& record) {
  switch (record.op()) {
    case Opcode::kReset:
    case Opcode::kQueue:
      choose(record.index);  // reset has none
      fresh_ = true;
      break;
    case Opcode::kKick:
      load(record.queue);
      fresh_ = false;
      break;
    case Opcode::kRequest:
      request(record);
      fresh_ = true;
      if ((record.flags & kRequestKick) == 0) break;
      load(record.queue);
      fresh_ = false;
      break;
    default:
      act(record);
      fresh_ = true;
  }
}

void LoaderHarness::spins() { violated(kLiveness, "one load takes more steps than it has parts"); }

void LoaderHarness::refused(const Error& error) {
  depth_.count(refusals_);
  count(error);
}

void ImageHarness::choose(std::uint16_t index) {
  image_ = make(index);
  address_ = default_address();
}

void ImageHarness::request(const Record& record) {
  const auto at = field(record);
  if (at.offset > image_.size() || at.width > image_.size() - at.offset) return;
  put_number(image_, at.offset, at.width, number(record));
}

void ImageHarness::act(const Record& record) {
  switch (record.op()) {
    case Opcode::kPatch:
      patch_bytes(image_, record);
      break;
    case Opcode::kArea:
      address_ = record.value;
      if (record.kind % 3 == 1) address_ = default_address() + record.value * 4096;
      if (record.kind % 3 == 2) address_ = kMoreEnd + record.value;
      break;
    default:
      break;
  }
}

}  // namespace guestproof::testing
