#include "guestproof/ring0/mirror.h"

#include <algorithm>

#include "guestproof/kvm/ioctls.h"

namespace guestproof::ring0 {
namespace {

/// What is mapped at once, as far as the mapping has it: what one table of the lowest level has.
constexpr std::uint64_t kPiece = 512 * kPageSize;
/// Linux gives user space the lower half.
constexpr std::uint64_t kLowerHalf = 1ULL << 63;

struct Piece {
  std::uint64_t begin;
  std::uint64_t end;
};

/// The piece of [begin, end) around the address.
Piece piece_around(std::uint64_t address, std::uint64_t begin, std::uint64_t end) {
  const auto from = address / kPiece * kPiece;
  return {std::max(from, begin), std::min(from + kPiece, end)};
}

}  // namespace

Result<Resolution> Mirror::resolve(std::uint64_t address, Access access) {
  const std::scoped_lock lock(mutex_);
  if (address - kWindow < kWindowSize) return resolve_window(address - kWindow, access);
  if (address < kLowerHalf) return resolve_process(address, access);
  return Resolution::kNothing;
}

Result<Resolution> Mirror::resolve_window(std::uint64_t physical, Access access) {
  const auto range = std::ranges::find_if(
      ranges_, [&](const auto& each) { return physical - each.base < each.size; });
  if (range == ranges_.end()) return Resolution::kNothing;
  if (access.execute) return Resolution::kForbidden;
  const auto piece = piece_around(physical, range->base, range->base + range->size);
  const auto mapped = tables_.map(kWindow + piece.begin, piece.begin, piece.end - piece.begin,
                                  {.write = true, .user = place_.user, .device = range->device});
  if (!mapped) return std::unexpected(mapped.error());
  return Resolution::kMapped;
}

Result<Resolution> Mirror::resolve_process(std::uint64_t address, Access access) {
  const auto mapping = map_.find(address);
  if (!mapping) return std::unexpected(mapping.error());
  if (!*mapping) return Resolution::kNothing;
  const auto& found = **mapping;
  if (!found.read || (access.write && !found.write) || (access.execute && !found.execute))
    return Resolution::kForbidden;
  const Rights rights{.write = found.write, .execute = found.execute, .user = place_.user};
  // Another vCPU has been here meanwhile.
  if (tables_.leads(address, rights)) return Resolution::kMapped;
  const auto piece = piece_around(address, found.begin, found.end);
  const auto physical = add_slot(piece.begin, piece.end - piece.begin);
  if (!physical) return std::unexpected(physical.error());
  const auto mapped = tables_.map(piece.begin, *physical, piece.end - piece.begin, rights);
  if (!mapped) return std::unexpected(mapped.error());
  return Resolution::kMapped;
}

Result<std::uint64_t> Mirror::add_slot(std::uint64_t address, std::uint64_t size) {
  if (place_.first_slot == place_.slots) return fail(Ring0Error::kSlots, address, place_.slots);
  if (place_.physical_end - place_.physical < size)
    return fail(Ring0Error::kGuestPhysical, address, place_.physical_end - 1);
  kvm_userspace_memory_region region{};
  region.slot = place_.first_slot;
  region.guest_phys_addr = place_.physical;
  region.memory_size = size;
  region.userspace_addr = address;
  // Not Vm::set_memory_region(): it keeps its books on the heap, which the guest may be in the
  // middle of.
  const auto set = kvm::set(place_.vm.fd(), kvm::Ioctl::kSetUserMemoryRegion, region);
  if (!set) return std::unexpected(set.error());
  ++place_.first_slot;
  return std::exchange(place_.physical, place_.physical + size);
}

}  // namespace guestproof::ring0
