#include "guestproof/testing/harness/disk_backend.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <string>

#include "guestproof/testing/harness/harness.h"

namespace guestproof::testing {
namespace {

void check_place(std::uint64_t offset, std::uint64_t length) {
  if (!range_within<std::uint64_t>(offset, length, ModelDisk::kBytes))
    violated(kConfinement, "the device wants " + std::to_string(length) + " bytes at " +
                               std::to_string(offset) + " of a back end that has " +
                               std::to_string(ModelDisk::kBytes));
  if ((offset + length) % ModelDisk::kSector != 0)
    violated(kConfinement, "the device wants bytes up to " + std::to_string(offset + length) +
                               ", in the middle of a sector");
}

void check_range(std::uint64_t offset, std::uint64_t length) {
  check_place(offset, length);
  if (length == 0 || length % ModelDisk::kSector != 0)
    violated(kConfinement, "the device wants to change " + std::to_string(length) +
                               " bytes, which is no number of sectors");
}

void check_parts(std::span<const ::iovec> parts, std::uint64_t offset) {
  if (parts.empty() || parts.size() > IOV_MAX)
    violated(kConfinement, "a transfer of " + std::to_string(parts.size()) + " parts");
  std::uint64_t sum = 0;
  for (const auto& part : parts) {
    if (part.iov_len == 0) violated(kConfinement, "a transfer with an empty part");
    sum += part.iov_len;
  }
  check_place(offset, sum);
}

Result<void> done_or(bool done, const Error& error) {
  if (done) return {};
  return std::unexpected(error);
}

}  // namespace

template <class Move>
Result<std::size_t> DiskBackend::transfer(std::span<const ::iovec> parts, std::uint64_t offset,
                                          const Error& error, Move move) {
  check_parts(parts, offset);
  std::size_t moved = 0;
  for (const auto& part : parts) {
    const std::span bytes(static_cast<std::byte*>(part.iov_base),
                          std::min(part.iov_len, transfer_limit - moved));
    const auto step = move(offset + moved, bytes);
    moved += step.bytes;
    // What was moved is told first; the next transfer starts at the fault.
    if (moved == 0 && step.stop == ModelDisk::Stop::kError) return std::unexpected(error);
    if (step.bytes < part.iov_len) break;
  }
  idle_ = moved == 0 ? idle_ + 1 : 0;
  if (idle_ > kPatience) violated(kLiveness, "the device repeats a transfer that moves nothing");
  return moved;
}

void DiskBackend::check_memory(std::span<const ::iovec> parts, Access access) const {
  const auto foreign = memory_->first_not_given(parts, access);
  if (!foreign) return;
  const std::string given = access == Access::kRead ? "io_source()" : "io_target()";
  violated(kConfinement, "part " + std::to_string(*foreign) + " of a transfer, " +
                             std::to_string(parts[*foreign].iov_len) +
                             " bytes of the host, lies in nothing that " + given +
                             " gave the device in this step");
}

Result<std::size_t> DiskBackend::read_at(std::span<const ::iovec> into, std::uint64_t offset) {
  if (checks_memory)
    check_memory(into, Access::kWrite);
  else
    memory_->written_by_host(into);
  return transfer(
      into, offset, Error(SystemError::kRead, EIO),
      [&](std::uint64_t at, std::span<std::byte> bytes) { return disk.read(at, bytes); });
}

Result<std::size_t> DiskBackend::write_at(std::span<const ::iovec> from, std::uint64_t offset) {
  if (checks_memory) check_memory(from, Access::kRead);
  return transfer(
      from, offset, Error(SystemError::kWrite, ENOSPC),
      [&](std::uint64_t at, std::span<std::byte> bytes) { return disk.write(at, bytes); });
}

Result<void> DiskBackend::flush() { return done_or(disk.flush(), {SystemError::kSync, EIO}); }

Result<void> DiskBackend::discard(std::uint64_t offset, std::uint64_t length) {
  check_range(offset, length);
  return done_or(disk.discard(offset, length), {SystemError::kAllocate, EIO});
}

Result<void> DiskBackend::write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) {
  check_range(offset, length);
  return done_or(disk.write_zeroes(offset, length, may_unmap), {SystemError::kAllocate, ENOSPC});
}

Result<void> DiskBackend::secure_erase(std::uint64_t offset, std::uint64_t length) {
  check_range(offset, length);
  return done_or(disk.secure_erase(offset, length), {SystemError::kAllocate, EIO});
}

void DiskBackend::set_fault(DiskFault fault, std::uint64_t value, ModelDisk& model) {
  const auto byte = value % (ModelDisk::kBytes + 1);
  auto& faults = disk.faults;
  switch (fault) {
    case DiskFault::kNone:
      faults = {};
      transfer_limit = SIZE_MAX;
      break;
    case DiskFault::kReadError:
      faults.read_error = byte;
      break;
    case DiskFault::kWriteError:
      faults.write_error = byte;
      break;
    case DiskFault::kEnd:
      faults.end = byte;
      break;
    case DiskFault::kShortTransfers:
      transfer_limit =
          value % 1024 == 0 ? SIZE_MAX : std::max<std::size_t>(value % 1024, kShortestTransfer);
      break;
    case DiskFault::kFlushError:
      faults.flush_error = true;
      break;
    default:  // kRangeError
      faults.range_error = byte;
  }
  model.faults = faults;
}

SlowDisk::SlowDisk(DiskBackend& disk, const WatchedMemory& memory)
    : DeferredBackend(disk, kDepth), fast_(disk), memory_(&memory) {
  disk.checks_memory = false;
}

std::optional<SlowDisk::OperationResult> SlowDisk::submit(const Operation& operation) {
  check_memory(operation);
  return slow ? DeferredBackend::submit(operation) : fast_.submit(operation);
}

std::size_t SlowDisk::reap(std::span<Completion> into) {
  if (const auto index = std::exchange(chosen_, std::nullopt)) finish(*index);
  return DeferredBackend::reap(into);
}

void SlowDisk::check_memory(const Operation& operation) {
  using Kind = Operation::Kind;
  if (operation.kind != Kind::kRead && operation.kind != Kind::kWrite) return;
  const auto access = operation.kind == Kind::kRead ? Access::kWrite : Access::kRead;
  auto& given = given_[operation.token];
  if (!memory_->first_not_given(operation.parts, access)) {
    given.assign(operation.parts.begin(), operation.parts.end());
    return;
  }
  const auto was_given = [&](const ::iovec& part) {
    return std::ranges::any_of(given, [&](const ::iovec& range) {
      const auto offset = reinterpret_cast<std::uintptr_t>(part.iov_base) -
                          reinterpret_cast<std::uintptr_t>(range.iov_base);
      return range_within<std::uint64_t>(offset, part.iov_len, range.iov_len);
    });
  };
  if (!std::ranges::all_of(operation.parts, was_given))
    violated(kConfinement, "a transfer of bytes of the host that the device was not given");
}

}  // namespace guestproof::testing
