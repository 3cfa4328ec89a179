#include "guestproof/pci/function.h"

#include <algorithm>
#include <utility>

#include "guestproof/base/bytes.h"
#include "guestproof/base/invariant.h"

namespace guestproof::pci {
namespace {

constexpr std::uint32_t kMagic = 0x46505047;  // "GPPF"
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kMsixAt = kHeaderBytes + kConfigBytes;

bool has_bars(const ConfigSpace& config) {
  for (unsigned bar = 0; bar < kBars; ++bar)
    if (config.bar(bar).kind != BarKind::kNone) return true;
  return false;
}

bool is_bus_master(const ConfigSpace& config) { return (config.command() & kCommandMaster) != 0; }

}  // namespace

Function::Function(const ConfigSpace& config) : config_(config) {
  GUESTPROOF_INVARIANT(!has_bars(config) && !config.msix() && !config.window());
}

Function::Function(const ConfigSpace& config, FunctionOwner& owner, MsiSink& sink)
    : config_(config), owner_(&owner), sink_(&sink) {
  if (config.msix()) msix_ = Msix::create(config.msix()->vectors).value();
}

bool Function::in_window(std::uint64_t offset, std::size_t bytes) const {
  const auto window = config_.window();
  if (!window || offset < *window || offset - *window >= 4) return false;
  return (bytes == 1 || bytes == 2 || bytes == 4) && bytes <= 4 - (offset - *window);
}

MsixControl Function::msix_control(const ConfigSpace& config) {
  const auto word = config.msix_control();
  return {.enabled = (word & kMsixEnable) != 0,
          .masked = (word & kMsixFunctionMask) != 0,
          .bus_master = is_bus_master(config)};
}

template <class Change>
void Function::change(bool bus_master, Change&& change) {
  const bool was = std::exchange(bus_master_, bus_master);
  if (owner_ != nullptr && was && !bus_master) owner_->bus_master_changed(false);
  change();
  if (owner_ != nullptr && !was && bus_master) owner_->bus_master_changed(true);
}

Result<void> Function::read_config(std::uint64_t offset, std::span<std::byte> data) {
  if (in_window(offset, data.size()))
    return owner_->read_window(static_cast<unsigned>(offset - *config_.window()), data);
  return config_.read(offset, data);
}

Result<void> Function::write_config(std::uint64_t offset, std::span<const std::byte> data) {
  if (in_window(offset, data.size()))
    return owner_->write_window(static_cast<unsigned>(offset - *config_.window()), data);
  if (const auto ok = config_.write(offset, data); !ok) return ok;
  change(is_bus_master(config_), [&] {
    if (msix_) msix_->set_control(msix_control(config_), *sink_);
  });
  return {};
}

Result<Function::Place> Function::place_of(unsigned bar, std::uint64_t offset,
                                           std::size_t bytes) const {
  if (!msix_) return Place{Part::kOwner, offset};
  const auto& msix = *config_.msix();
  const auto last = offset + bytes - 1;
  const auto touches = [&](std::uint64_t begin, std::uint64_t size) {
    return last >= begin && offset < begin + size;
  };
  const auto inside = [&](std::uint64_t begin, std::uint64_t size) {
    return offset >= begin && last < begin + size;
  };
  if (bar == msix.table_bar && touches(msix.table_offset, msix_->table_bytes())) {
    if (inside(msix.table_offset, msix_->table_bytes()))
      return Place{Part::kTable, offset - msix.table_offset};
    return fail(PciError::kMsixPart, offset, bytes);
  }
  if (bar == msix.pba_bar && touches(msix.pba_offset, msix_->pba_bytes())) {
    if (inside(msix.pba_offset, msix_->pba_bytes()))
      return Place{Part::kPba, offset - msix.pba_offset};
    return fail(PciError::kMsixPart, offset, bytes);
  }
  return Place{Part::kOwner, offset};
}

Result<void> Function::read_bar(unsigned bar, std::uint64_t offset, std::span<std::byte> data) {
  const auto place = place_of(bar, offset, data.size());
  if (!place) {
    answer_nothing(data);
    return std::unexpected(place.error());
  }
  switch (place->part) {
    case Part::kTable:
      return msix_->read_table(place->offset, data);
    case Part::kPba:
      return msix_->read_pba(place->offset, data);
    case Part::kOwner:
      break;
  }
  return owner_->read_bar(bar, offset, data);
}

Result<void> Function::write_bar(unsigned bar, std::uint64_t offset,
                                 std::span<const std::byte> data) {
  const auto place = place_of(bar, offset, data.size());
  if (!place) return std::unexpected(place.error());
  switch (place->part) {
    case Part::kTable:
      return msix_->write_table(place->offset, data, *sink_);
    case Part::kPba:
      return msix_->write_pba(place->offset, data);
    case Part::kOwner:
      break;
  }
  return owner_->write_bar(bar, offset, data);
}

Result<MsixOutcome> Function::raise(std::uint16_t vector) {
  if (!msix_) return fail(PciError::kNoMsix, vector);
  return msix_->raise(vector, *sink_);
}

Result<void> Function::withdraw(std::uint16_t vector) {
  if (!msix_) return fail(PciError::kNoMsix, vector);
  return msix_->withdraw(vector);
}

bool Function::asserted() const {
  return (config_.status() & kStatusInterrupt) != 0 &&
         (config_.command() & kCommandInterruptDisable) == 0 &&
         !(msix_ && msix_->control().enabled);
}

void Function::reset() {
  change(false, [&] {
    config_.reset();
    if (msix_) msix_->reset();
  });
}

std::size_t Function::state_bytes() const { return kMsixAt + (msix_ ? msix_->state_bytes() : 0); }

std::vector<std::byte> Function::encode() const {
  std::vector<std::byte> bytes(state_bytes());
  const std::span out(bytes);
  store(out.subspan(0, 4), kMagic);
  store(out.subspan(4, 2), kVersion);
  store(out.subspan(8, 4), bytes.size());
  store(out.subspan(12, 4), bytes.size() - kMsixAt);
  std::ranges::copy(config_.bytes(), out.subspan(kHeaderBytes).begin());
  if (msix_) std::ranges::copy(msix_->encode(), out.subspan(kMsixAt).begin());
  return bytes;
}

Result<Function::State> Function::decode(std::span<const std::byte> bytes) const {
  const auto size = state_bytes();
  if (bytes.size() != size) return fail(PciStateError::kBytes, bytes.size(), size);
  const auto field = [&](std::size_t at, std::size_t width) {
    return load(bytes.subspan(at, width));
  };
  if (field(0, 4) != kMagic) return fail(PciStateError::kMagic, field(0, 4), kMagic);
  if (field(4, 2) != kVersion) return fail(PciStateError::kVersion, field(4, 2), kVersion);
  if (field(6, 2) != 0) return fail(PciStateError::kReserved, field(6, 2));
  if (field(8, 4) != size) return fail(PciStateError::kLength, field(8, 4), size);
  if (field(12, 4) != size - kMsixAt)
    return fail(PciStateError::kMsixLength, field(12, 4), size - kMsixAt);

  const auto config = config_.with(bytes.subspan(kHeaderBytes).first<kConfigBytes>());
  if (!config) return std::unexpected(config.error());
  if (!msix_) return State{*config, std::nullopt};
  auto msix = msix_->decode(bytes.subspan(kMsixAt));
  if (!msix) return std::unexpected(msix.error());
  if (const auto says = msix_control(*config); says != msix->control())
    return fail(PciStateError::kMsixControl, Msix::flags_of(msix->control()), Msix::flags_of(says));
  return State{*config, std::move(*msix)};
}

void Function::restore(State&& state) {
  change(is_bus_master(state.config), [&] {
    config_ = state.config;
    msix_ = std::move(state.msix);
  });
}

}  // namespace guestproof::pci
