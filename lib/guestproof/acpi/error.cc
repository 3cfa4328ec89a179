#include "guestproof/acpi/error.h"

namespace guestproof::acpi {
namespace {

constexpr std::array kEntries{
    ErrorEntry{AcpiError::kBase, "base",
               "ACPI tables at {value:x}, which is not a multiple of {limit}"},
    ErrorEntry{AcpiError::kRoom, "room", "ACPI tables of {value} bytes; there is room for {limit}"},
    ErrorEntry{AcpiError::kProcessors, "processors",
               "{value} processors; possible are 1 to {limit}"},
    ErrorEntry{AcpiError::kApicId, "apic_id",
               "APIC identifier {value} is not above the one before it, {limit}"},
    ErrorEntry{AcpiError::kSerialPorts, "serial_ports",
               "{value} serial ports; a PC has up to {limit}"},
    ErrorEntry{AcpiError::kPort, "port", "ports from {value:x} on that end past {limit:x}"},
    ErrorEntry{AcpiError::kVirtioWindows, "virtio_windows",
               "{value} windows of virtio-mmio; there are names for {limit}"},
    ErrorEntry{AcpiError::kWindow, "window",
               "a window at {value:x} that is empty or ends past {limit:x}"},
    ErrorEntry{AcpiError::kEcam, "ecam",
               "configuration space of bus 0 at {value:x}, which is not a multiple of {limit:x}"},
};
static_assert(error_entries_are_dense(kEntries));
constexpr ErrorDomain kDomain{"acpi", kEntries};

}  // namespace

const ErrorDomain& error_domain(AcpiError) { return kDomain; }

}  // namespace guestproof::acpi
