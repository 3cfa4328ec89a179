#include "guestproof/pci/config_space.h"

#include <algorithm>
#include <bit>

#include "guestproof/base/checked.h"
#include "guestproof/base/invariant.h"
#include "guestproof/pci/msix.h"

namespace guestproof::pci {
namespace {

constexpr std::size_t kMaxAccess = 4;

Result<void> check_access(std::uint64_t offset, std::size_t width) {
  if (width != 1 && width != 2 && width != 4) return fail(PciError::kWidth, width, kMaxAccess);
  if (offset % 4 + width > 4) return fail(PciError::kStraddle, offset, width);
  if (offset >= kConfigBytes) return fail(PciError::kOffset, offset, kConfigBytes);
  return {};
}

constexpr bool two_registers(BarKind kind) { return kind == BarKind::kMemory64; }

struct SizeLimits {
  std::uint64_t least;
  std::uint64_t most;
};
constexpr SizeLimits limits_of(BarKind kind) {
  switch (kind) {
    case BarKind::kIo:
      return {kMinIoBar, kMaxIoBar};
    case BarKind::kMemory32:
      return {kMinMemoryBar, kMaxMemory32Bar};
    case BarKind::kMemory64:
      return {kMinMemoryBar, kMaxMemory64Bar};
    case BarKind::kNone:
      break;
  }
  return {1, 0};
}

constexpr std::uint32_t type_bits(const BarSpec& spec) {
  if (spec.kind == BarKind::kIo) return kBarIo;
  return (spec.kind == BarKind::kMemory64 ? kBarMemory64 : 0) |
         (spec.prefetchable ? kBarPrefetchable : 0);
}

}  // namespace

template <class T>
void ConfigSpace::set_number(std::size_t offset, T value) {
  store(std::span(bytes_).subspan(offset, sizeof(T)), value);
}

Result<void> ConfigSpace::read(std::uint64_t offset, std::span<std::byte> data) const {
  if (const auto ok = check_access(offset, data.size()); !ok) {
    answer_nothing(data);
    if (ok.error() == PciError::kOffset) std::ranges::fill(data, std::byte{0});
    return ok;
  }
  std::ranges::copy(std::span(bytes_).subspan(offset, data.size()), data.begin());
  return {};
}

Result<void> ConfigSpace::write(std::uint64_t offset, std::span<const std::byte> data) {
  if (const auto ok = check_access(offset, data.size()); !ok) return ok;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto at = offset + i;
    const auto kept = bytes_[at] & ~writable_[at] & ~(clearable_[at] & data[i]);
    bytes_[at] = kept | (data[i] & writable_[at]);
  }
  return {};
}

BarRange ConfigSpace::bar_range(unsigned index) const {
  const auto& spec = bars_[index];
  GUESTPROOF_INVARIANT(spec.kind != BarKind::kNone);
  const auto offset = kBar0 + 4 * std::size_t{index};
  std::uint64_t base = number<std::uint32_t>(offset) & ~type_bits(spec);
  if (two_registers(spec.kind)) base |= std::uint64_t{number<std::uint32_t>(offset + 4)} << 32;
  return {spec.kind == BarKind::kIo, base, spec.size};
}

Result<BarRange> ConfigSpace::decoded(unsigned index) const {
  if (index >= kBars || bars_[index].kind == BarKind::kNone) return fail(PciError::kNoBar, index);
  const auto enable = bars_[index].kind == BarKind::kIo ? kCommandIo : kCommandMemory;
  const auto enabled = static_cast<std::uint16_t>(command() & (kCommandIo | kCommandMemory));
  if ((enabled & enable) == 0) return fail(PciError::kDecodeOff, enabled, index);
  return bar_range(index);
}

void ConfigSpace::set_interrupt_status(bool pending) {
  GUESTPROOF_INVARIANT(!pending || interrupt_pin() != 0);
  const auto others = static_cast<std::uint16_t>(status() & ~kStatusInterrupt);
  set_number(kStatus, static_cast<std::uint16_t>(others | (pending ? kStatusInterrupt : 0)));
}

void ConfigSpace::report(std::uint16_t errors) {
  GUESTPROOF_INVARIANT((errors & ~kStatusErrors) == 0);
  set_number(kStatus, static_cast<std::uint16_t>(status() | errors));
}

Result<ConfigSpace> ConfigSpace::with(std::span<const std::byte, kConfigBytes> bytes) const {
  auto copy = *this;
  for (std::size_t at = 0; at < kConfigBytes; ++at) {
    const auto free = writable_[at] | clearable_[at] | own_[at];
    if (((bytes[at] ^ bytes_[at]) & ~free) != std::byte{0})
      return fail(PciStateError::kReadOnly, at, std::to_integer<std::uint64_t>(bytes_[at]));
    copy.bytes_[at] = bytes[at];
  }
  return copy;
}

ConfigSpace::Builder::Builder(const Identity& identity) {
  auto& space = space_;
  space.set_number(kVendorId, identity.vendor);
  space.set_number(kDeviceId, identity.device);
  space.set_number(kRevisionId, identity.revision);
  store(std::span(space.bytes_).subspan(kClassCode, 3), identity.class_code);
  space.set_number(kSubsystemVendorId, identity.subsystem_vendor);
  space.set_number(kSubsystemId, identity.subsystem);

  constexpr std::uint16_t kCommandBits = kCommandIo | kCommandMemory | kCommandMaster |
                                         kCommandParity | kCommandSystemError |
                                         kCommandInterruptDisable;
  store(std::span(space.writable_).subspan(kCommand, 2), kCommandBits);
  store(std::span(space.clearable_).subspan(kStatus, 2), kStatusErrors);
  store(std::span(space.writable_).subspan(kInterruptLine, 1), 0xff);
}

void ConfigSpace::Builder::set_multi_function() {
  space_.set_number(kHeaderType, kHeaderMultiFunction);
}

Result<void> ConfigSpace::Builder::set_interrupt_pin(std::uint8_t pin) {
  if (pin == 0 || pin > 4) return fail(PciBuildError::kPin, pin, 4);
  space_.set_number(kInterruptPin, pin);
  store(std::span(space_.own_).subspan(kStatus, 2), kStatusInterrupt);
  return {};
}

bool ConfigSpace::Builder::taken(unsigned bar) const {
  return space_.bars_[bar].kind != BarKind::kNone ||
         (bar != 0 && two_registers(space_.bars_[bar - 1].kind));
}

Result<void> ConfigSpace::Builder::add_bar(unsigned index, const BarSpec& spec) {
  const unsigned registers = two_registers(spec.kind) ? 2 : 1;
  if (index >= kBars || registers > kBars - index)
    return fail(PciBuildError::kBarIndex, index, kBars);
  for (auto each = index; each < index + registers; ++each)
    if (taken(each)) return fail(PciBuildError::kBarTaken, each);
  const auto limits = limits_of(spec.kind);
  if (!std::has_single_bit(spec.size) || spec.size < limits.least || spec.size > limits.most)
    return fail(PciBuildError::kBarSize, spec.size, limits.most);

  const auto offset = kBar0 + 4 * std::size_t{index};
  store(std::span(space_.writable_).subspan(offset, 4 * std::size_t{registers}), ~(spec.size - 1));
  space_.set_number(offset, type_bits(spec));
  space_.bars_[index] = spec;
  return {};
}

Result<std::uint8_t> ConfigSpace::Builder::add_capability(std::uint8_t id,
                                                          std::span<const std::byte> body,
                                                          std::span<const std::byte> writable) {
  constexpr auto kMostBody = kConfigBytes - kFirstCapability - kCapabilityHeaderBytes;
  if (body.size() > kMostBody) return fail(PciBuildError::kCapabilityBody, body.size(), kMostBody);
  if (!writable.empty() && writable.size() != body.size())
    return fail(PciBuildError::kCapabilityMask, writable.size(), body.size());
  const auto size = kCapabilityHeaderBytes + body.size();
  if (!range_within(next_, size, kConfigBytes))
    return fail(PciBuildError::kCapabilityRoom, size, kConfigBytes - next_);

  const auto at = static_cast<std::uint8_t>(next_);
  space_.set_number(at, id);
  std::ranges::copy(body, space_.bytes_.begin() + at + kCapabilityHeaderBytes);
  std::ranges::copy(writable, space_.writable_.begin() + at + kCapabilityHeaderBytes);
  space_.set_number(link_, at);
  space_.set_number(kStatus, static_cast<std::uint16_t>(space_.status() | kStatusCapabilities));
  link_ = at + 1U;
  next_ = (next_ + size + 3) / 4 * 4;
  return at;
}

Result<void> ConfigSpace::Builder::check_structure(unsigned bar, std::uint32_t offset,
                                                   std::uint64_t bytes) const {
  constexpr std::uint64_t kAlign = 8;
  if (bar >= kBars || limits_of(space_.bars_[bar].kind).most <= kMaxIoBar)
    return fail(PciBuildError::kMsixBar, bar);
  if (!is_aligned<std::uint64_t>(offset, kAlign))
    return fail(PciBuildError::kMsixAlign, offset, kAlign);
  if (!range_within<std::uint64_t>(offset, bytes, space_.bars_[bar].size))
    return fail(PciBuildError::kMsixRange, offset + bytes, space_.bars_[bar].size);
  return {};
}

Result<std::uint8_t> ConfigSpace::Builder::add_msix(const MsixPlace& place) {
  if (space_.msix_) return fail(PciBuildError::kMsixTwice, space_.msix_capability_);
  if (place.vectors == 0 || place.vectors > kMaxMsixVectors)
    return fail(PciBuildError::kMsixVectors, place.vectors, kMaxMsixVectors);
  const auto table = msix_table_bytes(place.vectors), pba = msix_pba_bytes(place.vectors);
  if (const auto ok = check_structure(place.table_bar, place.table_offset, table); !ok)
    return std::unexpected(ok.error());
  if (const auto ok = check_structure(place.pba_bar, place.pba_offset, pba); !ok)
    return std::unexpected(ok.error());
  if (place.table_bar == place.pba_bar && place.table_offset < place.pba_offset + pba &&
      place.pba_offset < place.table_offset + table)
    return fail(PciBuildError::kMsixOverlap, place.table_offset, place.pba_offset);

  std::array<std::byte, 10> body{}, writable{};
  store(std::span(body).subspan(0, 2), place.vectors - 1U);
  store(std::span(body).subspan(2, 4), place.table_offset | place.table_bar);
  store(std::span(body).subspan(6, 4), place.pba_offset | place.pba_bar);
  store(std::span(writable).subspan(0, 2), kMsixEnable | kMsixFunctionMask);
  const auto at = add_capability(kCapabilityMsix, body, writable);
  if (!at) return at;
  space_.msix_ = place;
  space_.msix_capability_ = *at;
  return at;
}

Result<void> ConfigSpace::Builder::set_window(std::uint8_t offset) {
  if (space_.window_) return fail(PciBuildError::kWindowTwice, offset, *space_.window_);
  if (offset % 4 != 0 || offset < kFirstCapability + 4 || offset >= next_)
    return fail(PciBuildError::kWindow, offset, kFirstCapability + 4);
  space_.window_ = offset;
  return {};
}

ConfigSpace ConfigSpace::Builder::build() const {
  auto space = space_;
  space.initial_ = space.bytes_;
  return space;
}

}  // namespace guestproof::pci
