// Who watches a program on a whole device in order to repeat it on another implementation: hears of
// every register access, of what the host does, and of the moments at which the guest can compare.
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guestproof/base/error.h"
#include "guestproof/testing/scenario/record.h"
#include "guestproof/virtio/device/lifecycle.h"

namespace guestproof::testing {

class DeviceObserver {
 public:
  DeviceObserver() = default;
  DeviceObserver(const DeviceObserver&) = delete;
  DeviceObserver& operator=(const DeviceObserver&) = delete;
  virtual ~DeviceObserver() = default;

  /// Before the device sees it; what the guest wrote before is in memory. On PCI `offset` is an
  /// address.
  virtual void writing_register(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  /// These are the bytes that the driver got.
  virtual void register_read(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  /// The device has done what there was to do, or (`busy`) waits for its back end.
  virtual void settled(const virtio::Lifecycle& device, std::uint32_t interrupt_status,
                       bool busy) = 0;
  /// A `backend` record that is not about the driver's features, before it has an effect.
  virtual void host_event(std::uint8_t kind, const Record& record) = 0;
  /// A network's back end was given a frame by the device, the header included; or one arrives
  /// there, before it has an effect.
  virtual void frame_sent(std::uint16_t pair, std::span<const std::byte> bytes) = 0;
  virtual void frame_arrives(std::uint16_t pair, std::span<const std::byte> bytes) = 0;
  /// The device refused a register access or a request, or broke.
  virtual void refused(const Error& why) = 0;
};

}  // namespace guestproof::testing
