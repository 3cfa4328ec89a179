#include "guestproof/bus/bus.h"

#include "guestproof/base/bytes.h"

namespace guestproof {

Result<Bus> Bus::Builder::build() const {
  const auto end = last_address(space_);
  Map map;
  map.reserve(ranges_.size());
  for (const auto& [base, size, device] : ranges_) {
    if (size == 0) return fail(BusBuildError::kEmpty, base);
    if (base > end || size - 1 > end - base) return fail(BusBuildError::kEnd, base, end);
    if (const auto* other = map.insert(base, base + (size - 1), device))
      return fail(BusBuildError::kOverlap, base, other->base);
  }
  return Bus(std::move(map));
}

Result<Bus::Target> Bus::locate(std::uint64_t address, std::size_t width) const {
  if (width == 0 || width > kMaxBusAccess) return fail(BusError::kWidth, width, kMaxBusAccess);
  const auto* range = map_.find(address);
  if (range == nullptr) return fail(BusError::kUnmapped, address, width);
  if (width - 1 > range->last - address) return fail(BusError::kRangeEnd, address, range->last);
  return Target{range->value, address - range->base};
}

Result<void> Bus::read(std::uint64_t address, std::span<std::byte> data) const {
  const auto target = locate(address, data.size());
  if (target) return target->device->read(target->offset, data);
  answer_nothing(data);
  return std::unexpected(target.error());
}

Result<void> Bus::write(std::uint64_t address, std::span<const std::byte> data) const {
  const auto target = locate(address, data.size());
  if (!target) return std::unexpected(target.error());
  return target->device->write(target->offset, data);
}

}  // namespace guestproof
