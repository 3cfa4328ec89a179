#include "guestproof/virtio/device/console/port_poll.h"

#include <errno.h>
#include <sys/epoll.h>

namespace guestproof::virtio::console {

Result<PortPoll> PortPoll::create() {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return fail(SystemError::kWatch, static_cast<std::uint64_t>(errno));
  return PortPoll(std::move(epoll));
}

Result<void> PortPoll::wait_for(std::size_t id, Direction direction, int fd) {
  const auto slot = 2 * id + static_cast<std::size_t>(direction);
  if (slot >= waiting_.size()) waiting_.resize(slot + 1, -1);
  const int before = std::exchange(waiting_[slot], fd);
  if (before == fd) return {};
  if (before >= 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, before, nullptr);
  if (fd < 0) return {};
  ::epoll_event event{};
  event.events = direction == Direction::kInput ? EPOLLIN : EPOLLOUT;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
  waiting_[slot] = -1;
  if (errno == EPERM) return {};
  return fail(SystemError::kWatch, static_cast<std::uint64_t>(errno));
}

}  // namespace guestproof::virtio::console
