#include "vmm/files.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

namespace guestproof::vmm {
namespace {

std::unexpected<Complaint> failed(std::string_view option, const std::string& path,
                                  std::string_view what) {
  return cannot(fmt::format("{}: {} '{}': {}.", option, what, path, std::strerror(errno)));
}

}  // namespace

Outcome<Fd> open_file(std::string_view option, const std::string& path, int flags) {
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600));
  if (!fd.valid()) return failed(option, path, "cannot open");
  // Reading and writing are another matter: io_uring gives up where it would have to wait.
  if (::fcntl(fd.get(), F_SETFL, flags & ~O_NONBLOCK) != 0)
    return failed(option, path, "cannot use");
  return fd;
}

Outcome<Fd> open_input(std::string_view option, const std::string& path) {
  struct ::stat facts{};
  const bool fifo = ::stat(path.c_str(), &facts) == 0 && S_ISFIFO(facts.st_mode);
  // A FIFO is at its end while it has no writer; where we may be one, we are one that stays.
  const bool writer = fifo && ::access(path.c_str(), W_OK) == 0;
  return open_file(option, path, writer ? O_RDWR : O_RDONLY);
}

Outcome<std::vector<std::byte>> read_file(std::string_view option, const std::string& path,
                                          std::size_t most) {
  auto fd = open_file(option, path, O_RDONLY);
  if (!fd) return std::unexpected(fd.error());
  struct ::stat facts{};
  if (::fstat(fd->get(), &facts) != 0) return failed(option, path, "cannot look at");
  if (!S_ISREG(facts.st_mode))
    return cannot(fmt::format("{}: '{}' is no regular file.", option, path));
  const auto size = static_cast<std::uint64_t>(facts.st_size);
  if (size == 0) return cannot(fmt::format("{}: '{}' is empty.", option, path));
  if (size > most)
    return cannot(
        fmt::format("{}: '{}' has {} bytes, and the most is {}.", option, path, size, most));
  std::vector<std::byte> bytes(size);
  for (std::size_t done = 0; done != bytes.size();) {
    const auto count = ::read(fd->get(), bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed(option, path, "cannot read");
    if (count == 0)
      return cannot(fmt::format("{}: '{}' became shorter while it was read.", option, path));
    done += static_cast<std::size_t>(count);
  }
  return bytes;
}

Outcome<std::string> read_text_file(std::string_view option, const std::string& path) {
  const auto bytes = read_file(option, path, kMaxTextFile);
  if (!bytes) return std::unexpected(bytes.error());
  return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

}  // namespace guestproof::vmm
