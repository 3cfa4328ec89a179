// What a driver can do wrong with a device as a whole, whichever transport it comes through, and
// what can be wrong with the saved state of a device.
#pragma once

#include "guestproof/base/error.h"

namespace guestproof::virtio {

/// A register access that is refused: the guest sees what the specification says it reads, the
/// access has no other effect, and the VMM hears why.
enum class DeviceError : std::uint16_t {
  kStatusUnknown,
  kStatusCleared,
  kStatusOrder,
  kStatusFailed,
  kFeatureWord,
  kFeaturesClosed,
  kFeaturesNotOffered,
  kVersion1,
  kFeatureNeeds,
  kQueueIndex,
  kQueueSize,
  kQueueLocked,
  kQueueStopped,
  kRingResetNotNegotiated,
  kNotRunning,
  kQueueNotReady,
  kConfigRange,
  kConfigReadOnly,
  kConfigEarly,
  kConfigValue,
  kRegister,
  kRegisterValue,
  kAccessWidth,
};
const ErrorDomain& error_domain(DeviceError);

/// Saved state that is not restored.
enum class DeviceStateError : std::uint16_t {
  kBytes,
  kMagic,
  kVersion,
  kLength,
  kReserved,
  kDeviceId,
  kStatus,
  kFeatures,
  kQueueCount,
  kQueueFlags,
  kQueue,
  kQueueBroken,
  kInterruptStatus,
  kVector,
  kDevice,
};
const ErrorDomain& error_domain(DeviceStateError);

}  // namespace guestproof::virtio
