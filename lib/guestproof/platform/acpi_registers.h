// The registers of ACPI's hardware-reduced model, and the power button.
//
//   offset size register
//   0      1    reset register: kAcpiResetValue resets the machine
//   1      1    sleep control: bits 2 to 4 the type, bit 5 enters it; kAcpiSleepTypeOff powers off
//   2      1    sleep status: no state is slept in, so nothing wakes: 0
//
// There is no fixed power button in this model: a press is an edge on the line of the Generic Event
// Device, whose method notifies the power button device; ACPI drivers of stock kernels take it from
// there. Nothing is kept between accesses: sleep control reads 0, and there is no state to save.
//
// Registers have 1 byte; any other access is refused, reads get all ones. Not here: the tables that
// say where the registers are (acpi/tables.h), and the fixed hardware of full ACPI.
//
// Thread-safety: none; the owner serialises accesses and presses.
// Specification: ACPI 6.5 §4.8.3.6, §4.8.3.7, §5.6.9.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guestproof/base/interrupt_line.h"
#include "guestproof/bus/bus.h"
#include "guestproof/platform/error.h"
#include "guestproof/platform/machine_control.h"

namespace guestproof::platform {

inline constexpr std::uint64_t kAcpiResetRegister = 0;
inline constexpr std::uint64_t kAcpiSleepControl = 1;
inline constexpr std::uint64_t kAcpiSleepStatus = 2;
inline constexpr std::uint64_t kAcpiRegisters = 3;
inline constexpr std::uint8_t kAcpiResetValue = 0x01;
/// What \_S5 says.
inline constexpr std::uint8_t kAcpiSleepTypeOff = 5;

class AcpiRegisters final : public BusDevice {
 public:
  /// `machine` and `events` must outlive the registers; `events` is an edge-triggered input.
  AcpiRegisters(MachineControl& machine, InterruptLine& events)
      : machine_(&machine), events_(&events) {}

  // The guest's side. Errors: kWidth, kOffset; kResetValue, kSleepType.

  [[nodiscard]] Result<void> read(std::uint64_t offset, std::span<std::byte> data) override;
  [[nodiscard]] Result<void> write(std::uint64_t offset, std::span<const std::byte> data) override;

  /// The host's side: the guest is asked to power off.
  void press_power_button();

 private:
  MachineControl* machine_;
  InterruptLine* events_;
};

}  // namespace guestproof::platform
