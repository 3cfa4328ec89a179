#include "vmm/event_loop.h"

#include <errno.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace guestproof::vmm {
namespace {

Error failed() { return {SystemError::kWatch, static_cast<std::uint64_t>(errno)}; }

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return std::unexpected(failed());
  auto stopped = EventFd::create();
  if (!stopped) return std::unexpected(stopped.error());
  std::unique_ptr<EventLoop> loop(new EventLoop(std::move(epoll), std::move(*stopped)));
  auto* self = loop.get();
  if (const auto ok = loop->watch(loop->stopped_.get(), [self] { self->running_ = false; }); !ok)
    return std::unexpected(ok.error());
  return loop;
}

Result<void> EventLoop::watch(int fd, Handler handler) {
  ::epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return std::unexpected(failed());
  handlers_[fd] = std::make_shared<Handler>(std::move(handler));
  return {};
}

void EventLoop::forget(int fd) {
  if (handlers_.erase(fd) == 0) return;
  static_cast<void>(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr));
}

Result<void> EventLoop::run() {
  std::array<::epoll_event, 16> events;
  while (running_) {
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
    if (count < 0 && errno != EINTR) return std::unexpected(failed());
    for (const auto& event :
         std::span(events).first(static_cast<std::size_t>(std::max(count, 0)))) {
      const auto found = handlers_.find(event.data.fd);
      if (found == handlers_.end()) continue;
      const auto handler = found->second;
      (*handler)();
    }
  }
  return {};
}

}  // namespace guestproof::vmm
