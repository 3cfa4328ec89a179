#include "guestproof/platform/acpi_registers.h"

#include "guestproof/base/bytes.h"
#include "guestproof/platform/registers.h"

namespace guestproof::platform {
namespace {

constexpr std::uint8_t kSleepEnable = 0x20;

constexpr std::uint8_t sleep_type(std::uint8_t value) { return value >> 2 & 7; }

}  // namespace

Result<void> AcpiRegisters::read(std::uint64_t offset, std::span<std::byte> data) {
  const auto ok = check_register(offset, data.size(), 1, kAcpiRegisters);
  if (ok)
    data[0] = std::byte{0};
  else
    answer_nothing(data);
  return ok;
}

Result<void> AcpiRegisters::write(std::uint64_t offset, std::span<const std::byte> data) {
  if (const auto ok = check_register(offset, data.size(), 1, kAcpiRegisters); !ok) return ok;
  const auto value = std::to_integer<std::uint8_t>(data[0]);
  if (offset == kAcpiResetRegister) {
    if (value != kAcpiResetValue) return fail(PlatformError::kResetValue, value, kAcpiResetValue);
    machine_->request(MachineRequest::kReset);
  }
  if (offset == kAcpiSleepControl && (value & kSleepEnable) != 0) {
    if (sleep_type(value) != kAcpiSleepTypeOff)
      return fail(PlatformError::kSleepType, sleep_type(value), kAcpiSleepTypeOff);
    machine_->request(MachineRequest::kPowerOff);
  }
  return {};  // a driver clears the wake status, which is clear, before it sleeps
}

void AcpiRegisters::press_power_button() {
  events_->set(true);
  events_->set(false);
}

}  // namespace guestproof::platform
