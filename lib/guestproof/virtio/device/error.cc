#include "guestproof/virtio/device/error.h"

#include <array>

namespace guestproof::virtio {
namespace {

constexpr std::array kDeviceEntries{
    ErrorEntry{DeviceError::kStatusUnknown, "status_unknown",
               "the driver sets unknown status bits: {value:x}, known are {limit:x}"},
    ErrorEntry{DeviceError::kStatusCleared, "status_cleared",
               "the driver writes status {value:x}, which clears bits of {limit:x}"},
    ErrorEntry{DeviceError::kStatusOrder, "status_order",
               "the driver writes status {value:x} without the step before, {limit:x}"},
    ErrorEntry{DeviceError::kStatusFailed, "status_failed",
               "the driver writes status {value:x} after it has set FAILED"},
    ErrorEntry{DeviceError::kFeatureWord, "feature_word",
               "the driver writes feature word {value}; there are {limit}"},
    ErrorEntry{DeviceError::kFeaturesClosed, "features_closed",
               "the driver writes features at status {value:x}"},
    ErrorEntry{DeviceError::kFeaturesNotOffered, "features_not_offered",
               "the driver accepts features {value:x} that are not among the offered {limit:x}"},
    ErrorEntry{DeviceError::kVersion1, "version_1",
               "the driver's features {value:x} lack VIRTIO_F_VERSION_1"},
    ErrorEntry{DeviceError::kFeatureNeeds, "feature_needs",
               "feature {value} was accepted without feature {limit}, which it needs"},
    ErrorEntry{DeviceError::kQueueIndex, "queue_index",
               "queue {value} of a device with {limit} queues"},
    ErrorEntry{DeviceError::kQueueSize, "queue_size",
               "queue size {value} is above the largest, {limit}"},
    ErrorEntry{DeviceError::kQueueLocked, "queue_locked",
               "queue {value} cannot be configured at status {limit:x}"},
    ErrorEntry{DeviceError::kQueueStopped, "queue_stopped",
               "queue {value} was stopped and waits for a reset"},
    ErrorEntry{DeviceError::kRingResetNotNegotiated, "ring_reset_not_negotiated",
               "queue {value} cannot be reset by itself: VIRTIO_F_RING_RESET was not negotiated"},
    ErrorEntry{DeviceError::kNotRunning, "not_running",
               "queue {value} is notified or reset at status {limit:x}"},
    ErrorEntry{DeviceError::kQueueNotReady, "queue_not_ready",
               "queue {value} is notified and is not enabled"},
    ErrorEntry{DeviceError::kConfigRange, "config_range",
               "byte {value} of a configuration space of {limit} bytes"},
    ErrorEntry{DeviceError::kConfigReadOnly, "config_read_only",
               "byte {value} of the configuration space is read-only"},
    ErrorEntry{DeviceError::kConfigEarly, "config_early",
               "the configuration space is written at status {value:x}"},
    ErrorEntry{DeviceError::kConfigValue, "config_value",
               "{value} is written to a configuration field that takes at most {limit}"},
    ErrorEntry{DeviceError::kRegister, "register",
               "no register at {value:x} that can be accessed so"},
    ErrorEntry{DeviceError::kRegisterValue, "register_value",
               "{value:x} is written to a register that takes {limit:x}"},
    ErrorEntry{DeviceError::kAccessWidth, "access_width",
               "an access of {value} bytes to a register of {limit}"},
};
static_assert(error_entries_are_dense(kDeviceEntries));
constexpr ErrorDomain kDeviceDomain{"device", kDeviceEntries};

constexpr std::array kStateEntries{
    ErrorEntry{DeviceStateError::kBytes, "bytes",
               "device state of {value} bytes, at least {limit} are needed"},
    ErrorEntry{DeviceStateError::kMagic, "magic",
               "device state field magic is {value:x}, not {limit:x}"},
    ErrorEntry{DeviceStateError::kVersion, "version",
               "device state field version is {value}; this library reads {limit}"},
    ErrorEntry{DeviceStateError::kLength, "length",
               "device state field length is {value}, not {limit}"},
    ErrorEntry{DeviceStateError::kReserved, "reserved",
               "device state field reserved is {value:x}, not 0"},
    ErrorEntry{DeviceStateError::kDeviceId, "device_id",
               "device state of device ID {value}, this device has {limit}"},
    ErrorEntry{DeviceStateError::kStatus, "status",
               "device state field status is {value:x}, which no driver can reach"},
    ErrorEntry{DeviceStateError::kFeatures, "features",
               "device state field features is {value:x}, the device offers {limit:x}"},
    ErrorEntry{DeviceStateError::kQueueCount, "queue_count",
               "device state of {value} queues, the device has {limit}"},
    ErrorEntry{DeviceStateError::kQueueFlags, "queue_flags",
               "device state of queue {limit} has flags {value:x}, which contradict the rest"},
    ErrorEntry{DeviceStateError::kQueue, "queue",
               "device state of queue {value} has ring features that were not negotiated"},
    ErrorEntry{DeviceStateError::kQueueBroken, "queue_broken",
               "device state of queue {value} is of a broken one that is not in use, or that the "
               "status {limit:x} does not go with"},
    ErrorEntry{DeviceStateError::kInterruptStatus, "interrupt_status",
               "device state field interrupt_status is {value:x}; the known causes are {limit:x}"},
    ErrorEntry{DeviceStateError::kVector, "vector",
               "device state names MSI-X vector {value} of {limit}"},
    ErrorEntry{DeviceStateError::kDevice, "device",
               "device state has {value} in byte {limit} of the device's own part"},
};
static_assert(error_entries_are_dense(kStateEntries));
constexpr ErrorDomain kStateDomain{"device_state", kStateEntries};

}  // namespace

const ErrorDomain& error_domain(DeviceError) { return kDeviceDomain; }
const ErrorDomain& error_domain(DeviceStateError) { return kStateDomain; }

}  // namespace guestproof::virtio
