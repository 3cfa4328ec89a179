#include "guestproof/testing/harness/world.h"

#include <array>

namespace guestproof::testing {
namespace {

constexpr std::array kRegions{
    WatchedMemory::RegionSpec{GuestAddress(0x0), 0x8000, false},
    WatchedMemory::RegionSpec{GuestAddress(0x8000), 0x4000, false},
    WatchedMemory::RegionSpec{GuestAddress(0x10000), 0x4000, false},
    WatchedMemory::RegionSpec{GuestAddress(0x20000), 0x1000, true},
    WatchedMemory::RegionSpec{GuestAddress(0xffffffffffffe000), 0x1000, false},
};

}  // namespace

SpaceRange fixed_space(Space space) {
  switch (space) {
    case Space::kIndirect:
      return {0x3000, 0x1000};
    case Space::kHeader:
      return {0x4000, 0x1000};
    case Space::kData:
      return {0x6000, 0x4000};
    case Space::kMid:
      return {0x8000, 0x4000};
    case Space::kHigh:
      return {0x10000, 0x4000};
    case Space::kRom:
      return {0x20000, 0x1000};
    case Space::kTop:
      return {0xffffffffffffe000, 0x1000};
    case Space::kHole:
      return {0xc000, 0x4000};
    default:
      return {0x0, 0x8000};
  }
}

GuestAddress place(const SpaceRange& range, Edge edge, std::uint32_t offset) {
  switch (edge) {
    case Edge::kEnd:
      return GuestAddress(range.base + range.size - offset % 64);
    case Edge::kBefore:
      return GuestAddress(range.base - offset % 64);
    case Edge::kPast:
      return GuestAddress(range.base + range.size + offset % 64);
    case Edge::kInside:
      break;
  }
  return GuestAddress(range.base + offset % range.size);
}

World::World() : World(kRegions) {}

World::World(std::span<const WatchedMemory::RegionSpec> regions)
    : device_(regions), model_(regions) {}

void World::write(GuestAddress address, std::span<const std::byte> bytes) {
  for (const auto* memory : {&device_, &model_}) {
    // A guest's own write outside memory goes nowhere.
    static_cast<void>(write_bytes(memory->guest(), address, bytes));
  }
}

void World::write_number(GuestAddress address, std::uint64_t number, std::size_t bytes) {
  const le64 raw(number);
  write(address, std::as_bytes(std::span(&raw, 1)).first(bytes));
}

void World::fill(GuestAddress address, std::uint64_t length, std::byte value) {
  for (const auto* memory : {&device_, &model_})
    static_cast<void>(for_each_slice(
        memory->guest(), address, length, Access::kWrite,
        [&](const WatchedMemory::Slice& slice) { slice.fill(0, slice.size(), value); }));
}

std::uint64_t World::read_number(GuestAddress address, std::size_t bytes) const {
  le64 raw;
  static_cast<void>(read_bytes(device_.guest(), address,
                               std::as_writable_bytes(std::span(&raw, 1)).first(bytes)));
  return raw;
}

void World::race(const Race& race) {
  device_.add_race(race);
  model_.add_race(race);
}

void World::clear_logs() {
  device_.clear_log();
  model_.clear_log();
}

void World::reset() {
  device_.reset();
  model_.reset();
}

}  // namespace guestproof::testing
