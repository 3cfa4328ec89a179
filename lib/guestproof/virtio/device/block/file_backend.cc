#include "guestproof/virtio/device/block/file_backend.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <optional>

#include "guestproof/virtio/device/block/error.h"
#include "guestproof/virtio/device/block/wire.h"

namespace guestproof::virtio::block {
namespace {

/// Network file systems call a megabyte a block, because that is how much they transfer at once:
/// no driver should round up to it.
constexpr std::uint64_t kLargestBlock = 65536;

/// What `call` returns once no signal interrupts it; −1 leaves errno.
template <class Call>
auto uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

std::unexpected<Error> failed(SystemError what) {
  return fail(what, static_cast<std::uint64_t>(errno));
}

::off_t as_offset(std::uint64_t offset) { return static_cast<::off_t>(offset); }

/// True when done, false when the file system or the device cannot do it.
Result<bool> done_if_supported(int result) {
  if (result == 0) return true;
  if (errno == EOPNOTSUPP) return false;
  return failed(SystemError::kAllocate);
}

/// fallocate(2), which block devices know as well.
Result<bool> allocate(const Fd& file, int mode, std::uint64_t offset, std::uint64_t length) {
  return done_if_supported(uninterrupted([&] {
    return ::fallocate(file.get(), mode | FALLOC_FL_KEEP_SIZE, as_offset(offset),
                       as_offset(length));
  }));
}

/// BLKDISCARD or BLKSECDISCARD.
Result<bool> discard_blocks(const Fd& device, unsigned long request, std::uint64_t offset,
                            std::uint64_t length) {
  std::array range{offset, length};
  return done_if_supported(
      uninterrupted([&] { return ::ioctl(device.get(), request, range.data()); }));
}

/// What the device answers to one of the requests for a number; nothing when it does not.
template <class T>
std::optional<T> ask(const Fd& device, unsigned long request) {
  T answer{};
  if (::ioctl(device.get(), request, &answer) != 0) return std::nullopt;
  return answer;
}

/// What a block device does not say is as of a disk with sectors of 512 bytes.
Topology topology_of_device(const Fd& device) {
  Topology topology;
  topology.logical_block_bytes =
      static_cast<std::uint32_t>(ask<int>(device, BLKSSZGET).value_or(512));
  topology.physical_block_bytes =
      ask<unsigned>(device, BLKPBSZGET).value_or(topology.logical_block_bytes);
  // −1: the partition and the disk below do not fit together at all.
  const auto alignment = ask<int>(device, BLKALIGNOFF).value_or(0);
  topology.alignment_bytes = static_cast<std::uint32_t>(std::max(alignment, 0));
  topology.minimum_io_bytes = ask<unsigned>(device, BLKIOMIN).value_or(0);
  topology.optimal_io_bytes = ask<unsigned>(device, BLKIOOPT).value_or(0);
  return topology;
}

/// Bytes of a file can be addressed one by one; what costs little is a block of its file system.
Topology topology_of_file(const struct ::stat& status) {
  Topology topology;
  const auto block = static_cast<std::uint64_t>(status.st_blksize);
  if (!std::has_single_bit(block) || block < kSectorBytes || block > kLargestBlock) return topology;
  topology.physical_block_bytes = static_cast<std::uint32_t>(block);
  topology.minimum_io_bytes = topology.physical_block_bytes;
  return topology;
}

}  // namespace

Result<FileBackend> FileBackend::create(Fd file) {
  struct ::stat status{};
  const int flags = ::fcntl(file.get(), F_GETFL);
  if (flags < 0 || ::fstat(file.get(), &status) != 0) return failed(SystemError::kStat);
  if ((flags & O_APPEND) != 0) return fail(BlockConfigError::kAppendMode);
  Facts facts;
  if (S_ISREG(status.st_mode)) {
    facts.size = static_cast<std::uint64_t>(status.st_size);
    facts.topology = topology_of_file(status);
  } else if (S_ISBLK(status.st_mode)) {
    auto asked = facts_of_device(file);
    if (!asked) return std::unexpected(asked.error());
    facts = *asked;
  } else {
    return fail(BlockConfigError::kFileType, status.st_mode);
  }
  facts.read_only = facts.read_only || (flags & O_ACCMODE) == O_RDONLY;
  return FileBackend(std::move(file), facts);
}

auto FileBackend::facts_of_device(const Fd& device) -> Result<Facts> {
  const auto size = ask<std::uint64_t>(device, BLKGETSIZE64);
  if (!size) return failed(SystemError::kStat);
  return Facts{.size = *size,
               .read_only = ask<int>(device, BLKROGET).value_or(0) != 0,
               .block_device = true,
               .topology = topology_of_device(device)};
}

Result<std::size_t> FileBackend::read_at(std::span<const ::iovec> into, std::uint64_t offset) {
  const auto got = uninterrupted([&] {
    return ::preadv(file_.get(), into.data(), static_cast<int>(into.size()), as_offset(offset));
  });
  if (got < 0) return failed(SystemError::kRead);
  return static_cast<std::size_t>(got);
}

Result<std::size_t> FileBackend::write_at(std::span<const ::iovec> from, std::uint64_t offset) {
  const auto put = uninterrupted([&] {
    return ::pwritev(file_.get(), from.data(), static_cast<int>(from.size()), as_offset(offset));
  });
  if (put < 0) return failed(SystemError::kWrite);
  return static_cast<std::size_t>(put);
}

Result<void> FileBackend::flush() {
  if (uninterrupted([&] { return ::fdatasync(file_.get()); }) != 0)
    return failed(SystemError::kSync);
  return {};
}

Result<void> FileBackend::discard(std::uint64_t offset, std::uint64_t length) {
  const auto done = facts_.block_device ? discard_blocks(file_, BLKDISCARD, offset, length)
                                        : allocate(file_, FALLOC_FL_PUNCH_HOLE, offset, length);
  if (!done) return std::unexpected(done.error());
  return {};
}

Result<void> FileBackend::write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) {
  const auto done =
      allocate(file_, may_unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE, offset, length);
  if (!done) return std::unexpected(done.error());
  return *done ? Result<void>() : overwrite(offset, length);
}

Result<void> FileBackend::secure_erase(std::uint64_t offset, std::uint64_t length) {
  if (facts_.block_device) {
    const auto erased = discard_blocks(file_, BLKSECDISCARD, offset, length);
    if (!erased) return std::unexpected(erased.error());
    if (*erased) return {};
  }
  if (const auto done = overwrite(offset, length); !done) return done;
  return flush();
}

Result<void> FileBackend::overwrite(std::uint64_t offset, std::uint64_t length) {
  static constexpr std::array<std::byte, 65536> kZeroes{};
  for (std::uint64_t done = 0; done != length;) {
    // SAFETY: write_at() only reads through the iovec.
    const ::iovec part{const_cast<std::byte*>(kZeroes.data()),
                       std::min<std::uint64_t>(length - done, kZeroes.size())};
    const auto put = write_at(std::span(&part, 1), offset + done);
    if (!put) return std::unexpected(put.error());
    if (*put == 0) return fail(BlockError::kNoProgress, done, length);
    done += *put;
  }
  return {};
}

}  // namespace guestproof::virtio::block
