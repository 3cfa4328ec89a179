// The transport that a whole device is reached through, and the model of it: what DeviceHarness
// has to know of MMIO and of PCI.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "guestproof/testing/harness/runner.h"
#include "guestproof/testing/model/lifecycle_model.h"
#include "guestproof/testing/scenario/record.h"
#include "guestproof/virtio/device/lifecycle.h"

namespace guestproof::testing {

class DeviceTransport {
 public:
  /// Where an access goes: one of the transport's spaces of addresses, and an address in it.
  struct Place {
    std::uint8_t space = 0;
    std::uint64_t at = 0;
  };
  struct Access {
    Place place;
    std::uint64_t value = 0;
    std::size_t width = 4;
  };
  using Script = std::vector<Access>;

  DeviceTransport() = default;
  DeviceTransport(const DeviceTransport&) = delete;
  DeviceTransport& operator=(const DeviceTransport&) = delete;
  virtual ~DeviceTransport() = default;

  /// Appends what a driver writes who brings the device up: its first words, then status, features
  /// and queues in the order of §3.1.1.
  void bring_up(std::uint64_t features, std::span<const ModelQueueSetup> queues, Script& out) const;
  /// An available buffer notification.
  [[nodiscard]] virtual Access notification(std::uint16_t queue) const = 0;
  /// What the fields `next` and `index` of an `access` record name, with the width that it has when
  /// the record says nothing of that.
  [[nodiscard]] virtual Access named(std::uint16_t next, std::uint16_t index) const = 0;

  // An access, on both sides. The model's errors are what the device's must be.

  [[nodiscard]] virtual Result<void> read(Place place, std::span<std::byte> data) = 0;
  [[nodiscard]] virtual Result<void> write(Place place, std::span<const std::byte> data) = 0;
  [[nodiscard]] virtual ModelError read_model(Place place, std::span<std::uint8_t> data) = 0;
  [[nodiscard]] virtual ModelError write_model(Place place, std::span<const std::uint8_t> data) = 0;

  // Saved state, the life cycle's aside.

  [[nodiscard]] virtual std::size_t state_bytes() const = 0;
  [[nodiscard]] virtual std::vector<std::byte> save() const = 0;
  [[nodiscard]] virtual std::vector<std::uint8_t> save_model() const = 0;
  [[nodiscard]] virtual Result<void> restore(std::span<const std::byte> bytes) = 0;
  [[nodiscard]] virtual ModelError restore_model(std::span<const std::uint8_t> bytes) = 0;

  /// Causes that the driver has not acknowledged.
  [[nodiscard]] virtual std::uint32_t interrupt_status() const = 0;
  /// What the two sides have outside registers must agree: interrupts above all. Throws
  /// ViolationFound. Gives how many interrupts there were since the last time.
  [[nodiscard]] virtual std::uint64_t compare() = 0;

 private:
  /// Before anything else.
  virtual void add_discovery(Script&) const {}
  virtual void add_status(Script& out, std::uint8_t status) const = 0;
  /// 32 feature bits.
  virtual void add_features(Script& out, std::uint32_t word, std::uint32_t bits) const = 0;
  /// Once features are negotiated.
  virtual void add_interrupts(Script&) const {}
  virtual void add_queue(Script& out, std::uint16_t index, const ModelQueueSetup& setup) const = 0;
};

/// Virtio over MMIO. `access`: `next` modulo 3 is 0 the offset `index`, 1 the register number
/// `index` of those that there are, 2 the byte `index` of the configuration space.
[[nodiscard]] std::unique_ptr<DeviceTransport> mmio_transport(virtio::Lifecycle& lifecycle,
                                                              LifecycleModel& model);

/// Virtio over PCI, as device 3 of a bus of its own, with MSI-X enabled and a vector for each
/// cause. `access`: `next` modulo 7 is 0 the offset `index` of the structures' BAR, 1 the field
/// number `index` of the common structure in its width, 2 the byte `index` of the configuration
/// space, 3 the place where queue `index` is notified (2 bytes), 4 the offset `index` of the
/// function's PCI configuration space, 5 the offset `index` of the BAR of MSI-X, 6 the byte `index`
/// modulo 20 of the capability for configuration access. BARs are accessed where they answer at
/// that moment.
[[nodiscard]] std::unique_ptr<DeviceTransport> pci_transport(virtio::Lifecycle& lifecycle,
                                                             LifecycleModel& model);

/// The device has something that is not what the model has. Throws ViolationFound.
void compare_numbers(std::string_view what, std::uint64_t device, std::uint64_t model);

}  // namespace guestproof::testing
