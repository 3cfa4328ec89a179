#include "guestproof/base/fd.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

namespace guestproof {
namespace {

void close_raw(int raw) {
  // Linux releases the descriptor even when close() reports EINTR, so there is nothing to retry.
  if (raw >= 0) ::close(raw);
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) close_raw(std::exchange(raw_, std::exchange(other.raw_, -1)));
  return *this;
}

Fd::~Fd() { close_raw(raw_); }

Result<Fd> Fd::duplicate() const {
  const int copy = ::fcntl(raw_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return fail(SystemError::kOpen, static_cast<std::uint64_t>(errno));
  return Fd(copy);
}

Result<EventFd> EventFd::create(std::uint32_t initial) {
  Fd fd(::eventfd(initial, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!fd.valid()) return fail(SystemError::kEventFd, static_cast<std::uint64_t>(errno));
  return EventFd(std::move(fd));
}

void EventFd::notify() const {
  const std::uint64_t one = 1;
  while (::write(fd_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

std::optional<std::uint64_t> EventFd::take() const {
  std::uint64_t count = 0;
  ssize_t got = 0;
  do {
    got = ::read(fd_.get(), &count, sizeof count);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof count) return std::nullopt;
  return count;
}

}  // namespace guestproof
