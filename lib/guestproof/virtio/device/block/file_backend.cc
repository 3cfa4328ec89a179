#include "guestproof/virtio/device/block/file_backend.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "guestproof/virtio/device/block/error.h"

namespace guestproof::virtio::block {
namespace {

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

/// fallocate(2): true when done, false when the file system cannot do it.
Result<bool> allocate(const Fd& file, int mode, std::uint64_t offset, std::uint64_t length) {
  const auto done = uninterrupted([&] {
    return ::fallocate(file.get(), mode | FALLOC_FL_KEEP_SIZE, as_offset(offset),
                       as_offset(length));
  });
  if (done == 0) return true;
  if (errno == EOPNOTSUPP) return false;
  return failed(SystemError::kAllocate);
}

}  // namespace

Result<FileBackend> FileBackend::create(Fd file) {
  struct ::stat status{};
  const int flags = ::fcntl(file.get(), F_GETFL);
  if (flags < 0 || ::fstat(file.get(), &status) != 0) return failed(SystemError::kStat);
  if (!S_ISREG(status.st_mode)) return fail(BlockConfigError::kNotRegularFile, status.st_mode);
  if ((flags & O_APPEND) != 0) return fail(BlockConfigError::kAppendMode);
  return FileBackend(std::move(file), static_cast<std::uint64_t>(status.st_size),
                     (flags & O_ACCMODE) == O_RDONLY);
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
  const auto done = allocate(file_, FALLOC_FL_PUNCH_HOLE, offset, length);
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
