// What tests of the board's devices have around them.
#pragma once

#include <string>
#include <vector>

#include "access.h"
#include "guestproof/base/interrupt_line.h"
#include "guestproof/bus/bus.h"
#include "guestproof/platform/machine_control.h"
#include "print.h"

namespace guestproof::platform {

/// Notes the levels that it is set to, 'h' and 'l'.
class NotingLine : public InterruptLine {
 public:
  void set(bool asserted) override {
    high = asserted;
    levels.push_back(asserted ? 'h' : 'l');
  }
  /// What was noted since the last time.
  std::string take() { return std::exchange(levels, {}); }

  bool high = false;

 private:
  std::string levels;
};

class NotingMachine : public MachineControl {
 public:
  void request(MachineRequest what) override { requests.push_back(what); }
  std::vector<MachineRequest> requests;
};

/// A guest's accesses to a device's registers; `Width` bytes unless said otherwise.
template <std::size_t Width>
class Registers {
 public:
  explicit Registers(BusDevice& device) : device_(&device) {}

  Answer read(std::uint64_t offset, std::size_t width = Width) {
    return answer(width, [&](auto data) { return device_->read(offset, data); });
  }
  /// Of one that must be there.
  std::uint64_t operator[](std::uint64_t offset) {
    const auto got = read(offset);
    EXPECT_FALSE(got.error) << got.error->message();
    return got.value;
  }
  Result<void> write(std::uint64_t offset, std::uint64_t value, std::size_t width = Width) {
    return device_->write(offset, bytes_of(value, width));
  }

 private:
  BusDevice* device_;
};

/// The saved bytes with one of them changed.
inline std::vector<std::byte> patched(std::vector<std::byte> bytes, std::size_t at,
                                      unsigned value) {
  bytes.at(at) = static_cast<std::byte>(value);
  return bytes;
}

}  // namespace guestproof::platform
