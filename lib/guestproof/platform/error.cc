#include "guestproof/platform/error.h"

namespace guestproof::platform {
namespace {

constexpr std::array kEntries{
    ErrorEntry{PlatformError::kWidth, "width",
               "an access of {value} bytes to a register of {limit}"},
    ErrorEntry{PlatformError::kOffset, "offset",
               "there is no register at offset {value:x} of {limit:x}"},
    ErrorEntry{PlatformError::kReadOnly, "read_only",
               "the register at offset {value:x} is read-only"},
    ErrorEntry{PlatformError::kWriteOnly, "write_only",
               "the register at offset {value:x} is write-only"},
    ErrorEntry{PlatformError::kCommand, "command",
               "the keyboard controller does not know command {value:x}"},
    ErrorEntry{PlatformError::kNoDevice, "no_device",
               "byte {value:x} is for a keyboard or a mouse; there is neither"},
    ErrorEntry{PlatformError::kResetValue, "reset_value",
               "{value:x} written into the reset register resets nothing; {limit:x} does"},
    ErrorEntry{PlatformError::kSleepType, "sleep_type",
               "there is no sleeping state of type {value}; type {limit} powers off"},
    ErrorEntry{PlatformError::kPanicEvent, "panic_event",
               "{value:x} reports no event of those that a panic has, {limit:x}"},
};
static_assert(error_entries_are_dense(kEntries));
constexpr ErrorDomain kDomain{"platform", kEntries};

constexpr std::array kStateEntries{
    ErrorEntry{PlatformStateError::kBytes, "bytes",
               "a device's state of {value} bytes, {limit} are needed"},
    ErrorEntry{PlatformStateError::kMagic, "magic",
               "a device's state field magic is {value:x}, not {limit:x}"},
    ErrorEntry{PlatformStateError::kVersion, "version",
               "a device's state field version is {value}; this library reads {limit}"},
    ErrorEntry{PlatformStateError::kLength, "length",
               "a device's state field length is {value}, not {limit}"},
    ErrorEntry{PlatformStateError::kReserved, "reserved",
               "a device's state has {value:x} at offset {limit}, where 0 belongs"},
    ErrorEntry{PlatformStateError::kInterruptEnable, "interrupt_enable",
               "16550 state field ier is {value:x}, with bits besides {limit:x}"},
    ErrorEntry{PlatformStateError::kFifoControl, "fifo_control",
               "16550 state field fcr is {value:x}; it has bits of {limit:x}, and none without the "
               "first"},
    ErrorEntry{PlatformStateError::kModemControl, "modem_control",
               "16550 state field mcr is {value:x}, with bits besides {limit:x}"},
    ErrorEntry{PlatformStateError::kLineErrors, "line_errors",
               "16550 state field lsr_errors is {value:x}, with bits besides {limit:x}"},
    ErrorEntry{PlatformStateError::kModemChanges, "modem_changes",
               "16550 state field msr_changes is {value:x}, with bits besides {limit:x}"},
    ErrorEntry{PlatformStateError::kTransmitterEmpty, "transmitter_empty",
               "16550 state field thr_empty is {value}, not 0 or {limit}"},
    ErrorEntry{PlatformStateError::kReceived, "received",
               "16550 state field received is {value}; the receiver holds {limit}"},
    ErrorEntry{PlatformStateError::kCommandByte, "command_byte",
               "i8042 state field command_byte is {value:x}, with bits besides {limit:x}"},
    ErrorEntry{PlatformStateError::kStatus, "status",
               "i8042 state field status is {value:x}; it has bits of {limit:x}, and a time-out "
               "only with a byte"},
    ErrorEntry{PlatformStateError::kExpected, "expected",
               "i8042 state field expected is {value:x}, which is no command that takes a byte"},
    ErrorEntry{PlatformStateError::kMask, "mask",
               "PL031 state field mask is {value}, not 0 or {limit}"},
    ErrorEntry{PlatformStateError::kRaised, "raised",
               "PL031 state field raised is {value}, not 0 or {limit}"},
};
static_assert(error_entries_are_dense(kStateEntries));
constexpr ErrorDomain kStateDomain{"platform_state", kStateEntries};

}  // namespace

const ErrorDomain& error_domain(PlatformError) { return kDomain; }
const ErrorDomain& error_domain(PlatformStateError) { return kStateDomain; }

}  // namespace guestproof::platform
