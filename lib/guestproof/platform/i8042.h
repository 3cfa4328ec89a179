// The keyboard controller of a PC, without a keyboard and without a mouse: a way to reset the
// machine, and answers that let a driver conclude at once that nothing is attached.
//
// Port 0x60 is data and port 0x64 command and status; 0x61 to 0x63 are in the range and are no
// registers. Tests of the two interfaces answer "clock line stuck low", as without a device; a byte
// for a device is answered by a time-out (status bit 6, byte 0xFE). The answers wait in the one
// byte of the output buffer, where a newer one replaces an older, and are to be polled: nothing
// here interrupts. The machine is reset by a pulse of the output port's bit 0 (commands 0xF0 to
// 0xFE that are even, 0xFE is what is used) and by a byte written into that port with bit 0 clear.
//
// Registers have 1 byte; any other access is refused, reads get all ones. Not here: gate A20, which
// is always open, and passwords.
//
// Thread-safety: none; the owner serialises accesses.
// Specification: IBM Personal System/2 Hardware Interface Technical Reference (1990), "Keyboard and
// Auxiliary Device Controller".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "guestproof/bus/bus.h"
#include "guestproof/platform/error.h"
#include "guestproof/platform/machine_control.h"

namespace guestproof::platform {

/// The ports that it is on.
inline constexpr std::uint16_t kI8042Port = 0x60;
inline constexpr std::uint64_t kI8042Ports = 5;

class I8042 final : public BusDevice {
 public:
  /// `machine` must outlive the controller.
  explicit I8042(MachineControl& machine) : machine_(&machine) {}

  // The guest's side. Errors: kWidth, kOffset; kCommand, kNoDevice.

  [[nodiscard]] Result<void> read(std::uint64_t offset, std::span<std::byte> data) override;
  [[nodiscard]] Result<void> write(std::uint64_t offset, std::span<const std::byte> data) override;

  /// As firmware leaves it.
  void reset() { state_ = {}; }

  // Saved state: the header of state.h with magic "GPKB", then:
  //
  //   offset size field
  //   8      1    command_byte
  //   9      1    output, the byte of the output buffer, also when it was read
  //   10     1    status: 1 the buffer is full, 8 the last write was a command, 0x40 time-out
  //   11     1    expected, the command whose byte is written next; 0: none

  struct State {
    std::uint8_t command_byte = 0x74;  // translation; both interfaces off; self-test passed
    std::uint8_t output = 0;
    std::uint8_t status = 0;
    std::uint8_t expected = 0;
  };
  [[nodiscard]] std::vector<std::byte> encode() const;
  /// Errors: PlatformStateError, for the field that it is named after.
  [[nodiscard]] static Result<State> decode(std::span<const std::byte> bytes);
  /// REQUIRES: decoded.
  void restore(const State& state) { state_ = state; }

 private:
  [[nodiscard]] std::uint8_t read_data();
  [[nodiscard]] std::uint8_t read_status() const;
  [[nodiscard]] Result<void> write_data(std::uint8_t value);
  [[nodiscard]] Result<void> write_command(std::uint8_t command);
  void answer(std::uint8_t byte, std::uint8_t status = 0);

  MachineControl* machine_;
  State state_;
};

}  // namespace guestproof::platform
