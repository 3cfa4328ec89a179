// The pvpanic device: the port at which a guest's kernel says that it has panicked. Without it the
// reboot that follows looks like any other.
//
//   offset size register
//   0      1    events: a read gives those that are known here, a write reports those that are set
//
// kPvPanicPanicked asks for what MachineRequest::kPanic leads to. kPvPanicCrashLoaded is said by a
// guest that goes on into its crash kernel: it is taken, and ends nothing. Bits of a write that are
// no event of these are ignored, as the device's document has it, but a write without any event is
// refused. Nothing is kept between accesses, and there is no state to save.
//
// The register has 1 byte; any other access is refused, reads get all ones. Not here: the device on
// PCI, and the table that says where the port is (acpi/tables.h).
//
// Thread-safety: none; the owner serialises accesses.
// Specification: QEMU, docs/specs/pvpanic, "ISA Interface".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guestproof/bus/bus.h"
#include "guestproof/platform/error.h"
#include "guestproof/platform/machine_control.h"

namespace guestproof::platform {

inline constexpr std::uint64_t kPvPanicPorts = 1;
inline constexpr std::uint8_t kPvPanicPanicked = 0x01;
inline constexpr std::uint8_t kPvPanicCrashLoaded = 0x02;
inline constexpr std::uint8_t kPvPanicEvents = kPvPanicPanicked | kPvPanicCrashLoaded;

class PvPanic final : public BusDevice {
 public:
  /// `machine` must outlive the device.
  explicit PvPanic(MachineControl& machine) : machine_(&machine) {}

  // The guest's side. Errors: kWidth, kOffset; kPanicEvent.

  [[nodiscard]] Result<void> read(std::uint64_t offset, std::span<std::byte> data) override;
  [[nodiscard]] Result<void> write(std::uint64_t offset, std::span<const std::byte> data) override;

 private:
  MachineControl* machine_;
};

}  // namespace guestproof::platform
