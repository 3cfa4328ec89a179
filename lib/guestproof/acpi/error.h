// What ACPI tables cannot be built of.
#pragma once

#include "guestproof/base/error.h"

namespace guestproof::acpi {

enum class AcpiError : std::uint16_t {
  kBase,
  kRoom,
  kProcessors,
  kApicId,
  kSerialPorts,
  kPort,
  kVirtioWindows,
  kWindow,
  kEcam,
};
const ErrorDomain& error_domain(AcpiError);

}  // namespace guestproof::acpi
