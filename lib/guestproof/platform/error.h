// What can be wrong with a guest's access to a device of the board, and with the saved state of
// one.
#pragma once

#include "guestproof/base/error.h"

namespace guestproof::platform {

/// An access that was answered without effect. Nothing is broken by it.
enum class PlatformError : std::uint16_t {
  kWidth,
  kOffset,
  kReadOnly,
  kWriteOnly,
  kCommand,
  kNoDevice,
  kResetValue,
  kSleepType,
  kPanicEvent,
};
const ErrorDomain& error_domain(PlatformError);

/// A field of saved state that cannot be.
enum class PlatformStateError : std::uint16_t {
  kBytes,
  kMagic,
  kVersion,
  kLength,
  kReserved,
  kInterruptEnable,
  kFifoControl,
  kModemControl,
  kLineErrors,
  kModemChanges,
  kTransmitterEmpty,
  kReceived,
  kCommandByte,
  kStatus,
  kExpected,
  kMask,
  kRaised,
};
const ErrorDomain& error_domain(PlatformStateError);

}  // namespace guestproof::platform
