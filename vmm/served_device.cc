#include "vmm/served_device.h"

#include "vmm/log.h"

namespace guestproof::vmm {

Result<std::unique_ptr<ServedDevice>> ServedDevice::create(Device device,
                                                           const MappedMemory& memory,
                                                           std::mutex& lock, EventLoop& loop) {
  auto woken = EventFd::create();
  if (!woken) return std::unexpected(woken.error());
  std::unique_ptr<ServedDevice> served(
      new ServedDevice(std::move(device), memory, lock, loop, std::move(*woken)));
  if (const auto ok = served->watch(served->woken_.get(), &ServedDevice::work); !ok)
    return std::unexpected(ok.error());
  if (served->device_.begin) served->device_.begin();
  return served;
}

ServedDevice::~ServedDevice() {
  loop_.forget(watched_);
  loop_.forget(woken_.get());
}

Result<void> ServedDevice::watch(int fd, void (ServedDevice::*handler)()) {
  return loop_.watch(fd, [this, handler] { (this->*handler)(); });
}

void ServedDevice::work() {
  const std::scoped_lock locked(lock_);
  static_cast<void>(woken_.take());
  bool more = keep_on(lifecycle_.work());
  if (std::exchange(host_waits_, false)) {
    host_waits_ = keep_on(lifecycle_.host_ready());
    more |= host_waits_;
  }
  if (more) woken_.notify();
  watch_host();
}

void ServedDevice::host_ready() {
  const std::scoped_lock locked(lock_);
  host_waits_ = keep_on(lifecycle_.host_ready());
  if (host_waits_) woken_.notify();
  watch_host();
}

bool ServedDevice::keep_on(const Result<bool>& turn) {
  if (!turn) tell("it needs a reset: " + turn.error().message());
  return turn.value_or(false);
}

void ServedDevice::watch_host() {
  const int wanted = lifecycle_.serving() ? lifecycle_.host_fd() : -1;
  if (wanted == watched_) return;
  loop_.forget(watched_);
  watched_ = wanted;
  if (wanted < 0) return;
  const auto ok = watch(wanted, &ServedDevice::host_ready);
  if (ok) return;
  watched_ = -1;
  tell(ok.error().message());
}

void ServedDevice::refused(std::uint16_t queue, const Error& why) {
  tell("queue " + std::to_string(queue) + ": " + why.message());
}

void ServedDevice::tell(const std::string& what) {
  constexpr std::uint32_t kLines = 16;
  if (told_ >= kLines) return;
  log(device_.name + ": " + what);
  if (++told_ == kLines) log(device_.name + ": what it does from now on is not told.");
}

}  // namespace guestproof::vmm
