// The board's clock, with the host's time; its alarms are timers of the event loop.
//
// Thread-safety: accesses by any vCPU's thread; the rest by the event loop's.
#pragma once

#include <memory>
#include <mutex>

#include "guestproof/platform/pl031.h"
#include "vmm/timer.h"

namespace guestproof::vmm::aarch64 {

class Rtc final : public BusDevice, private platform::WallClock {
 public:
  /// All outlive it. Errors: SystemError::kWatch.
  [[nodiscard]] static Result<std::unique_ptr<Rtc>> create(InterruptLine& line, EventLoop& loop);

  // BusDevice
  [[nodiscard]] Result<void> read(std::uint64_t offset, std::span<std::byte> data) override;
  [[nodiscard]] Result<void> write(std::uint64_t offset, std::span<const std::byte> data) override;

 private:
  explicit Rtc(InterruptLine& line) : chip_(*this, line) {}

  // platform::WallClock
  [[nodiscard]] std::uint64_t seconds() override;

  void expired();
  /// Under the lock.
  void set_timer();

  std::mutex lock_;
  platform::Pl031 chip_;
  std::unique_ptr<Timer> timer_;
};

}  // namespace guestproof::vmm::aarch64
