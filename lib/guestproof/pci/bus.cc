#include "guestproof/pci/bus.h"

#include <algorithm>
#include <utility>

#include "guestproof/base/bytes.h"
#include "guestproof/base/invariant.h"

namespace guestproof::pci {
namespace {

constexpr std::uint32_t kMagic = 0x42505047;  // "GPPB"
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kMemberHeaderBytes = 8;

constexpr Slot slot_at(std::uint64_t ecam_offset) {
  return {static_cast<std::uint8_t>(ecam_offset >> 15 & 31),
          static_cast<std::uint8_t>(ecam_offset >> 12 & 7)};
}

/// The registers that say which BARs answer.
struct Decoding {
  std::uint16_t enables;
  std::array<std::byte, std::size_t{4} * kBars> bars;

  explicit Decoding(const ConfigSpace& config)
      : enables(config.command() & (kCommandIo | kCommandMemory)) {
    std::ranges::copy(config.bytes().subspan<kBar0, sizeof bars>(), bars.begin());
  }
  friend bool operator==(const Decoding&, const Decoding&) = default;
};

}  // namespace

Bus::Bus(const BarMap& map, BarObserver& observer, IntxSink& lines, const Identity& bridge)
    : map_(map),
      observer_(&observer),
      lines_(&lines),
      bridge_(std::make_unique<Function>(ConfigSpace::Builder(bridge).build())) {
  members_.push_back(without_places({}, *bridge_));
}

Bus::Member Bus::without_places(Slot slot, Function& function) {
  Member member{slot, &function, {}, {}};
  member.places.fill(fail(PciError::kNoBar));
  return member;
}

Result<Bus> Bus::create(const BarWindows& windows, BarObserver& observer, IntxSink& lines,
                        const Identity& bridge) {
  const auto map = BarMap::create(windows);
  if (!map) return std::unexpected(map.error());
  auto bus = Bus(*map, observer, lines, bridge);
  bus.place_bars();
  return bus;
}

const Bus::Member* Bus::member(Slot slot) const {
  const auto at = std::ranges::lower_bound(members_, slot, {}, &Member::slot);
  return at != members_.end() && at->slot == slot ? &*at : nullptr;
}

Function* Bus::find(Slot slot) const {
  const auto* there = member(slot);
  return there != nullptr ? there->function : nullptr;
}

Result<void> Bus::add(Slot slot, Function& function) {
  if (slot.device >= kDevices || slot.function >= kFunctions)
    return fail(PciBuildError::kSlot, slot.routing_id());
  if (find(slot) != nullptr) return fail(PciBuildError::kSlotTaken, slot.routing_id());
  const auto* first = find({slot.device, 0});
  if (slot.function != 0 && (first == nullptr || !first->config().multi_function()))
    return fail(PciBuildError::kSingleFunction, slot.routing_id());
  members_.insert(std::ranges::upper_bound(members_, slot, {}, &Member::slot),
                  without_places(slot, function));
  map_.reserve(members_.size() * kBars);
  refresh_bars();
  refresh_lines();
  return {};
}

Result<Function*> Bus::target(std::uint64_t offset) const {
  auto* function = offset < kEcamBytes ? find(slot_at(offset)) : nullptr;
  if (function == nullptr) return fail(PciError::kAbsent, offset / kExtendedConfigBytes);
  return function;
}

template <class Call>
Result<void> Bus::access(const Function& function, Call&& call) {
  const bool before = function.asserted();
  const auto done = call();
  if (function.asserted() != before) refresh_lines();
  return done;
}

Result<void> Bus::read_ecam(std::uint64_t offset, std::span<std::byte> data) {
  const auto function = target(offset);
  if (!function) {
    answer_nothing(data);
    return std::unexpected(function.error());
  }
  return access(**function,
                [&] { return (*function)->read_config(offset % kExtendedConfigBytes, data); });
}

Result<void> Bus::write_ecam(std::uint64_t offset, std::span<const std::byte> data) {
  const auto function = target(offset);
  if (!function) return std::unexpected(function.error());
  const auto before = Decoding((*function)->config());
  const auto done = access(
      **function, [&] { return (*function)->write_config(offset % kExtendedConfigBytes, data); });
  if (!done || before == Decoding((*function)->config())) return done;
  refresh_bars();
  for (const auto& place : member(slot_at(offset))->places)
    if (!place &&
        (place.error() == PciError::kBarOutside || place.error() == PciError::kBarOverlap))
      return std::unexpected(place.error());
  return {};
}

Result<std::uint64_t> Bus::port_target(std::uint16_t port, std::size_t width) const {
  const auto at = static_cast<std::uint16_t>(port - kConfigDataPort);
  if (port < kConfigDataPort || width == 0 || at + width > 4)
    return fail(PciError::kPort, port, width);
  if ((config_address_ & kConfigAddressEnable) == 0)
    return fail(PciError::kAddressDisabled, config_address_);
  // Bits 23 to 8 are bus, device and function; 7 to 2 the register.
  const auto routing_id = std::uint64_t{config_address_ >> 8 & 0xffff};
  return routing_id << 12 | (config_address_ & 0xfc) | at;
}

Result<void> Bus::read_port(std::uint16_t port, std::span<std::byte> data) {
  if (port == kConfigAddressPort && data.size() == 4) {
    store(data, config_address_);
    return {};
  }
  const auto offset = port_target(port, data.size());
  if (offset) return read_ecam(*offset, data);
  answer_nothing(data);
  return std::unexpected(offset.error());
}

Result<void> Bus::write_port(std::uint16_t port, std::span<const std::byte> data) {
  if (port == kConfigAddressPort && data.size() == 4) {
    config_address_ = static_cast<std::uint32_t>(load(data)) & kConfigAddressBits;
    return {};
  }
  const auto offset = port_target(port, data.size());
  if (!offset) return std::unexpected(offset.error());
  return write_ecam(*offset, data);
}

Result<BarMap::Place> Bus::locate(bool io, std::uint64_t address, std::size_t width) const {
  if (width == 0 || width > kMaxBarAccess) return fail(PciError::kWidth, width, kMaxBarAccess);
  const auto* place = map_.find(io, address);
  if (place == nullptr) return fail(PciError::kUnmapped, address);
  if (width - 1 > place->range.last() - address)
    return fail(PciError::kBarEnd, address, place->range.size);
  return *place;
}

Result<void> Bus::read(bool io, std::uint64_t address, std::span<std::byte> data) {
  const auto place = locate(io, address, data.size());
  if (!place) {
    answer_nothing(data);
    return std::unexpected(place.error());
  }
  auto& function = *find(place->slot);
  return access(function,
                [&] { return function.read_bar(place->bar, address - place->range.base, data); });
}

Result<void> Bus::write(bool io, std::uint64_t address, std::span<const std::byte> data) {
  const auto place = locate(io, address, data.size());
  if (!place) return std::unexpected(place.error());
  auto& function = *find(place->slot);
  return access(function,
                [&] { return function.write_bar(place->bar, address - place->range.base, data); });
}

Result<BarRange> Bus::placement(Slot slot, unsigned bar) const {
  const auto* there = member(slot);
  if (there == nullptr) return fail(PciError::kAbsent, slot.routing_id());
  if (bar >= kBars) return fail(PciError::kNoBar, bar);
  return there->places[bar];
}

void Bus::place_bars() {
  map_.clear();
  for (auto& each : members_) {
    each.before = each.places;
    for (unsigned bar = 0; bar < kBars; ++bar) {
      auto& place = each.places[bar] = each.function->config().decoded(bar);
      if (!place) continue;
      const auto placed = map_.place({*place, each.slot, static_cast<std::uint8_t>(bar)});
      if (!placed) place = std::unexpected(placed.error());
    }
  }
}

void Bus::refresh_bars() {
  place_bars();
  for (const auto& each : members_)
    for (unsigned bar = 0; bar < kBars; ++bar)
      if (const auto& was = each.before[bar]; was && was != each.places[bar])
        observer_->unmapped(each.slot, bar, *was);
  for (const auto& each : members_)
    for (unsigned bar = 0; bar < kBars; ++bar)
      if (const auto& now = each.places[bar]; now && now != each.before[bar])
        observer_->mapped(each.slot, bar, *now);
}

void Bus::refresh_lines() {
  std::bitset<kIntxLines> levels;
  for (const auto& member : members_)
    if (member.function->asserted())
      levels.set(intx_line(member.slot.device, member.function->config().interrupt_pin()));
  const auto changed = levels ^ std::exchange(levels_, levels);
  for (unsigned line = 0; line < kIntxLines; ++line)
    if (changed[line]) lines_->set_level(line, levels_[line]);
}

void Bus::set_interrupt(Slot slot, bool pending) {
  auto* function = find(slot);
  GUESTPROOF_INVARIANT(function != nullptr);
  function->set_interrupt(pending);
  refresh_lines();
}

void Bus::reset() {
  for (const auto& member : members_) member.function->reset();
  config_address_ = 0;
  refresh_bars();
  refresh_lines();
}

std::vector<std::byte> Bus::encode() const {
  std::vector<std::byte> bytes(kHeaderBytes);
  for (const auto& [slot, function, places, before] : members_) {
    const auto state = function->encode();
    std::array<std::byte, kMemberHeaderBytes> header{};
    store(std::span(header).subspan(0, 2), slot.routing_id());
    store(std::span(header).subspan(4, 4), state.size());
    bytes.insert(bytes.end(), header.begin(), header.end());
    bytes.insert(bytes.end(), state.begin(), state.end());
  }
  const std::span out(bytes);
  store(out.subspan(0, 4), kMagic);
  store(out.subspan(4, 2), kVersion);
  store(out.subspan(6, 2), members_.size());
  store(out.subspan(8, 4), bytes.size());
  store(out.subspan(12, 4), config_address_);
  return bytes;
}

Result<std::vector<Function::State>> Bus::decode(std::span<const std::byte> bytes) const {
  auto size = kHeaderBytes;
  for (const auto& member : members_) size += kMemberHeaderBytes + member.function->state_bytes();
  if (bytes.size() != size) return fail(PciStateError::kBytes, bytes.size(), size);
  const auto field = [&](std::size_t at, std::size_t width) {
    return load(bytes.subspan(at, width));
  };
  if (field(0, 4) != kMagic) return fail(PciStateError::kMagic, field(0, 4), kMagic);
  if (field(4, 2) != kVersion) return fail(PciStateError::kVersion, field(4, 2), kVersion);
  if (field(6, 2) != members_.size())
    return fail(PciStateError::kFunctions, field(6, 2), members_.size());
  if (field(8, 4) != size) return fail(PciStateError::kLength, field(8, 4), size);
  if ((field(12, 4) & ~std::uint64_t{kConfigAddressBits}) != 0)
    return fail(PciStateError::kConfigAddress, field(12, 4), kConfigAddressBits);

  std::vector<Function::State> states;
  auto at = kHeaderBytes;
  for (const auto& [slot, function, places, before] : members_) {
    const auto length = function->state_bytes();
    if (field(at, 2) != slot.routing_id())
      return fail(PciStateError::kSlot, field(at, 2), slot.routing_id());
    if (field(at + 2, 2) != 0) return fail(PciStateError::kReserved, field(at + 2, 2));
    if (field(at + 4, 4) != length) return fail(PciStateError::kLength, field(at + 4, 4), length);
    auto state = function->decode(bytes.subspan(at + kMemberHeaderBytes, length));
    if (!state) return std::unexpected(state.error());
    states.push_back(std::move(*state));
    at += kMemberHeaderBytes + length;
  }
  return states;
}

Result<void> Bus::restore(std::span<const std::byte> bytes) {
  auto states = decode(bytes);
  if (!states) return std::unexpected(states.error());
  for (std::size_t i = 0; i < members_.size(); ++i)
    members_[i].function->restore(std::move((*states)[i]));
  config_address_ = static_cast<std::uint32_t>(load(bytes.subspan(12, 4)));
  refresh_bars();
  refresh_lines();
  return {};
}

}  // namespace guestproof::pci
