// What is between a board's chips and the rest of the machine.
//
// Thread-safety: as each says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>

#include "guestproof/bus/bus.h"
#include "guestproof/platform/machine_control.h"
#include "vmm/ending.h"

namespace guestproof::vmm {

/// A chip that any vCPU may access.
class Locked final : public BusDevice {
 public:
  /// Both outlive it.
  Locked(BusDevice& device, std::mutex& lock) : device_(device), lock_(lock) {}
  [[nodiscard]] Result<void> read(std::uint64_t offset, std::span<std::byte> data) override {
    const std::scoped_lock locked(lock_);
    return device_.read(offset, data);
  }
  [[nodiscard]] Result<void> write(std::uint64_t offset, std::span<const std::byte> data) override {
    const std::scoped_lock locked(lock_);
    return device_.write(offset, data);
  }

 private:
  BusDevice& device_;
  std::mutex& lock_;
};

/// What the guest asks of the machine ends it. Any thread.
class Control final : public platform::MachineControl {
 public:
  explicit Control(Ending& ending) : ending_(ending) {}
  void request(platform::MachineRequest what) override { ending_.set({exit_code(what), ""}); }

 private:
  static constexpr ExitCode exit_code(platform::MachineRequest request) {
    switch (request) {
      case platform::MachineRequest::kPowerOff:
        return ExitCode::kPowerOff;
      case platform::MachineRequest::kPanic:
        return ExitCode::kPanic;
      case platform::MachineRequest::kReset:
        break;
    }
    return ExitCode::kReset;
  }

  Ending& ending_;
};

}  // namespace guestproof::vmm
