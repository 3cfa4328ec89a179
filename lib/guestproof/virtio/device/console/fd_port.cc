#include "guestproof/virtio/device/console/fd_port.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

namespace guestproof::virtio::console {

FdPort::End::~End() {
  if (fd_.valid()) ::fcntl(fd_.get(), F_SETFL, flags_);
}

Result<void> FdPort::End::open(Fd fd) {
  if (!fd.valid()) return {};
  flags_ = ::fcntl(fd.get(), F_GETFL);
  if (flags_ < 0 || ::fcntl(fd.get(), F_SETFL, flags_ | O_NONBLOCK) < 0)
    return fail(SystemError::kOpen, static_cast<std::uint64_t>(errno));
  fd_ = std::move(fd);
  return {};
}

Result<std::unique_ptr<FdPort>> FdPort::create(Fd input, Fd output, WhenFull when_full) {
  std::unique_ptr<FdPort> port(new FdPort(when_full));
  if (const auto ok = port->input_.open(std::move(input)); !ok) return std::unexpected(ok.error());
  if (const auto ok = port->output_.open(std::move(output)); !ok)
    return std::unexpected(ok.error());
  return port;
}

Result<std::size_t> FdPort::write(std::span<const std::byte> in) {
  if (output_.get() < 0) return in.size();
  for (;;) {
    const auto taken = ::write(output_.get(), in.data(), in.size());
    if (taken >= 0) return static_cast<std::size_t>(taken);
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return when_full_ == WhenFull::kDrop ? in.size() : 0;
    const auto why = static_cast<std::uint64_t>(errno);
    output_.finish();
    return fail(SystemError::kWrite, why);
  }
}

Result<std::size_t> FdPort::read(std::span<std::byte> out) {
  if (input_.get() < 0) return 0U;
  for (;;) {
    const auto given = ::read(input_.get(), out.data(), out.size());
    if (given > 0) return static_cast<std::size_t>(given);
    if (given < 0 && errno == EINTR) continue;
    if (given < 0 && errno == EAGAIN) return 0U;
    const auto why = static_cast<std::uint64_t>(errno);
    input_.finish();
    if (given == 0) return 0U;
    return fail(SystemError::kRead, why);
  }
}

}  // namespace guestproof::virtio::console
