#include "guestproof/pci/msix.h"

#include <algorithm>

#include "guestproof/base/bytes.h"
#include "guestproof/base/checked.h"

namespace guestproof::pci {
namespace {

constexpr std::uint32_t kMagic = 0x584d5047;  // "GPMX"
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 16;

constexpr std::uint16_t kFlagEnabled = 1;
constexpr std::uint16_t kFlagMasked = 2;
constexpr std::uint16_t kFlagBusMaster = 4;
constexpr std::uint16_t kFlagsKnown = 7;

constexpr std::uint32_t kAddressBits = 0xffff'fffc;
constexpr std::uint32_t kVectorMask = 1;

/// An aligned doubleword or quadword inside the structure.
Result<void> check_access(std::uint64_t offset, std::size_t width, std::uint64_t size,
                          MsixError past) {
  if ((width != 4 && width != 8) || offset % width != 0)
    return fail(MsixError::kAccess, offset, width);
  if (!range_within<std::uint64_t>(offset, width, size)) return fail(past, offset, size);
  return {};
}

}  // namespace

Result<Msix> Msix::create(std::uint16_t vectors) {
  if (vectors == 0 || vectors > kMaxMsixVectors)
    return fail(MsixError::kVectors, vectors, kMaxMsixVectors);
  return Msix(vectors);
}

void Msix::reset() { *this = Msix(vectors()); }

std::uint32_t Msix::register_at(std::uint64_t offset) const {
  const auto& entry = table_[offset / kMsixEntryBytes];
  switch (offset % kMsixEntryBytes) {
    case 0:
      return static_cast<std::uint32_t>(entry.address);
    case 4:
      return static_cast<std::uint32_t>(entry.address >> 32);
    case 8:
      return entry.data;
    default:
      return entry.vector_control;
  }
}

void Msix::set_register(std::uint64_t offset, std::uint32_t value) {
  auto& entry = table_[offset / kMsixEntryBytes];
  switch (offset % kMsixEntryBytes) {
    case 0:
      entry.address = entry.address >> 32 << 32 | (value & kAddressBits);
      break;
    case 4:
      entry.address = std::uint64_t{value} << 32 | static_cast<std::uint32_t>(entry.address);
      break;
    case 8:
      entry.data = value;
      break;
    default:
      entry.vector_control = value & kVectorMask;
  }
}

Result<void> Msix::read_table(std::uint64_t offset, std::span<std::byte> data) const {
  if (const auto ok = check_access(offset, data.size(), table_bytes(), MsixError::kTableEnd); !ok) {
    answer_nothing(data);
    return ok;
  }
  for (std::size_t at = 0; at < data.size(); at += 4)
    store(data.subspan(at, 4), register_at(offset + at));
  return {};
}

Result<void> Msix::write_table(std::uint64_t offset, std::span<const std::byte> data,
                               MsiSink& sink) {
  if (const auto ok = check_access(offset, data.size(), table_bytes(), MsixError::kTableEnd); !ok)
    return ok;
  for (std::size_t at = 0; at < data.size(); at += 4)
    set_register(offset + at, static_cast<std::uint32_t>(load(data.subspan(at, 4))));
  deliver_if_free(offset / kMsixEntryBytes, sink);
  return {};
}

Result<void> Msix::read_pba(std::uint64_t offset, std::span<std::byte> data) const {
  if (const auto ok = check_access(offset, data.size(), pba_bytes(), MsixError::kPbaEnd); !ok) {
    answer_nothing(data);
    return ok;
  }
  store(data, pending_[offset / 8] >> 8 * (offset % 8));
  return {};
}

Result<void> Msix::write_pba(std::uint64_t offset, std::span<const std::byte> data) {
  if (const auto ok = check_access(offset, data.size(), pba_bytes(), MsixError::kPbaEnd); !ok)
    return ok;
  return fail(MsixError::kPbaReadOnly, offset);
}

bool Msix::held(std::size_t vector) const {
  return !control_.enabled || control_.masked || !control_.bus_master ||
         (table_[vector].vector_control & kVectorMask) != 0;
}

void Msix::deliver_if_free(std::size_t vector, MsiSink& sink) {
  if (!pending(vector) || held(vector)) return;
  pending_[vector / 64] &= ~(std::uint64_t{1} << vector % 64);
  sink.deliver({table_[vector].address, table_[vector].data});
}

void Msix::set_control(const MsixControl& control, MsiSink& sink) {
  if (control == control_) return;
  control_ = control;
  for (std::size_t vector = 0; vector < table_.size(); ++vector) deliver_if_free(vector, sink);
}

Result<MsixOutcome> Msix::raise(std::uint16_t vector, MsiSink& sink) {
  if (vector >= vectors()) return fail(MsixError::kVector, vector, vectors());
  if (!control_.enabled) return fail(MsixError::kDisabled, vector);
  pending_[vector / 64] |= std::uint64_t{1} << vector % 64;
  deliver_if_free(vector, sink);
  return pending(vector) ? MsixOutcome::kPending : MsixOutcome::kDelivered;
}

Result<void> Msix::withdraw(std::uint16_t vector) {
  if (vector >= vectors()) return fail(MsixError::kVector, vector, vectors());
  pending_[vector / 64] &= ~(std::uint64_t{1} << vector % 64);
  return {};
}

std::uint16_t Msix::flags_of(const MsixControl& control) {
  std::uint16_t flags = 0;
  if (control.enabled) flags |= kFlagEnabled;
  if (control.masked) flags |= kFlagMasked;
  if (control.bus_master) flags |= kFlagBusMaster;
  return flags;
}

std::size_t Msix::state_bytes() const { return kHeaderBytes + table_bytes() + pba_bytes(); }

std::vector<std::byte> Msix::encode() const {
  std::vector<std::byte> bytes(state_bytes());
  const std::span out(bytes);
  store(out.subspan(0, 4), kMagic);
  store(out.subspan(4, 2), kVersion);
  store(out.subspan(6, 2), vectors());
  store(out.subspan(8, 4), bytes.size());
  store(out.subspan(12, 2), flags_of(control_));
  for (std::uint64_t at = 0; at < table_bytes(); at += 4)
    store(out.subspan(kHeaderBytes + at, 4), register_at(at));
  for (std::size_t i = 0; i < pending_.size(); ++i)
    store(out.subspan(kHeaderBytes + table_bytes() + 8 * i, 8), pending_[i]);
  return bytes;
}

Result<void> Msix::take_table(std::span<const std::byte> bytes) {
  for (std::uint64_t at = 0; at < bytes.size(); at += 4) {
    const auto value = static_cast<std::uint32_t>(load(bytes.subspan(at, 4)));
    set_register(at, value);
    if (register_at(at) == value) continue;
    const auto error =
        at % kMsixEntryBytes == 0 ? PciStateError::kMsixAddress : PciStateError::kMsixVectorControl;
    return fail(error, value, at / kMsixEntryBytes);
  }
  return {};
}

Result<void> Msix::take_pending(std::span<const std::byte> bytes) {
  for (std::size_t i = 0; i < pending_.size(); ++i) pending_[i] = load(bytes.subspan(8 * i, 8));
  for (std::size_t vector = 0; vector < 64 * pending_.size(); ++vector) {
    if (!pending(vector)) continue;
    if (vector >= table_.size()) return fail(PciStateError::kMsixPending, vector, table_.size());
    if (!held(vector)) return fail(PciStateError::kMsixDeliverable, vector);
  }
  return {};
}

Result<Msix> Msix::decode(std::span<const std::byte> bytes) const {
  if (bytes.size() != state_bytes())
    return fail(PciStateError::kBytes, bytes.size(), state_bytes());
  const auto field = [&](std::size_t at, std::size_t size) {
    return load(bytes.subspan(at, size));
  };
  if (field(0, 4) != kMagic) return fail(PciStateError::kMagic, field(0, 4), kMagic);
  if (field(4, 2) != kVersion) return fail(PciStateError::kVersion, field(4, 2), kVersion);
  if (field(6, 2) != vectors()) return fail(PciStateError::kMsixVectors, field(6, 2), vectors());
  if (field(8, 4) != state_bytes()) return fail(PciStateError::kLength, field(8, 4), state_bytes());
  const auto flags = field(12, 2);
  if ((flags & ~std::uint64_t{kFlagsKnown}) != 0)
    return fail(PciStateError::kMsixFlags, flags, kFlagsKnown);
  if (field(14, 2) != 0) return fail(PciStateError::kReserved, field(14, 2));

  Msix restored(vectors());
  restored.control_ = {.enabled = (flags & kFlagEnabled) != 0,
                       .masked = (flags & kFlagMasked) != 0,
                       .bus_master = (flags & kFlagBusMaster) != 0};
  if (const auto ok = restored.take_table(bytes.subspan(kHeaderBytes, table_bytes())); !ok)
    return std::unexpected(ok.error());
  if (const auto ok = restored.take_pending(bytes.subspan(kHeaderBytes + table_bytes())); !ok)
    return std::unexpected(ok.error());
  return restored;
}

}  // namespace guestproof::pci
