#include "vmm/aarch64/rtc.h"

#include <time.h>

namespace guestproof::vmm::aarch64 {

Result<std::unique_ptr<Rtc>> Rtc::create(InterruptLine& line, EventLoop& loop) {
  std::unique_ptr<Rtc> made(new Rtc(line));
  auto timer =
      Timer::create(loop, Timer::Clock::kRealtime, [self = made.get()] { self->expired(); });
  if (!timer) return std::unexpected(timer.error());
  made->timer_ = std::move(*timer);
  return made;
}

Result<void> Rtc::read(std::uint64_t offset, std::span<std::byte> data) {
  const std::scoped_lock locked(lock_);
  return chip_.read(offset, data);
}

Result<void> Rtc::write(std::uint64_t offset, std::span<const std::byte> data) {
  const std::scoped_lock locked(lock_);
  auto done = chip_.write(offset, data);
  set_timer();
  return done;
}

std::uint64_t Rtc::seconds() { return static_cast<std::uint64_t>(::time(nullptr)); }

void Rtc::expired() {
  const std::scoped_lock locked(lock_);
  chip_.tick();
  set_timer();
}

void Rtc::set_timer() {
  const auto left = chip_.until_alarm();
  if (!left) return timer_->set(std::chrono::seconds(0));
  timer_->set_at(std::chrono::sys_seconds(std::chrono::seconds(::time(nullptr) + *left)));
}

}  // namespace guestproof::vmm::aarch64
