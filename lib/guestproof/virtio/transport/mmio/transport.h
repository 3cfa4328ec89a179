// Virtio over MMIO (version 2; version 1, "legacy", is not here): the registers of one device.
//
//   MmioTransport transport(lifecycle, line);
//   transport.read(offset, bytes);                     // offset from the device's base address
//   auto refused = transport.write(offset, bytes);     // an error is for the log; the guest goes
//   on
//
// Every access gets an answer, whatever its offset and width:
// - Registers take aligned accesses of 4 bytes. Anything else below 0x100, a read of a write-only
//   register and a read of no register give zeros; writes of that kind have no effect.
// - The configuration space, from 0x100 on, takes any width at any offset. Bytes past the device's
//   fields read as zero; a write that touches one has no effect.
// - QueueSizeMax of a queue that there is not is 0; a shared memory region that there is not has
//   the length and base of all ones (§4.2.2).
// - The two halves of a queue area's address are put together as they come; a half with which the
//   address would not be aligned is refused, and the old one stays.
// - With VIRTIO_F_NOTIFICATION_DATA the queue of QueueNotify is in its lower 16 bits, and the rest
//   is not looked at (§4.2.3.3); without, all 32 bits are the queue.
//
// Thread-safety: that of Lifecycle. The interrupt line is set from whichever thread makes the
// device notify.
// Specification: virtio 1.3 §4.2.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "guestproof/base/interrupt_line.h"
#include "guestproof/virtio/device/lifecycle.h"

namespace guestproof::virtio {

/// Guest-physical memory that a device shares (§2.10).
struct SharedMemoryRegion {
  std::uint8_t id = 0;
  GuestAddress base;
  std::uint64_t length = 0;
};

inline constexpr std::size_t kMmioStateBytes = 32;

class MmioTransport final : private Interrupts {
 public:
  /// The registers, and as much configuration space as a page holds behind them: what the device's
  /// place in the address space has to be.
  static constexpr std::uint64_t kBytes = 0x1000;

  /// All outlive this. `vendor_id` is VendorID's value; the specification gives it no meaning.
  /// There is no register that keeps the device away from guest memory: it always may touch it.
  MmioTransport(Lifecycle& lifecycle, InterruptLine& line,
                std::span<const SharedMemoryRegion> shared = {}, std::uint32_t vendor_id = 0);
  ~MmioTransport() override { lifecycle_.connect(nullptr); }

  /// Fills `out`. Errors, for the log: DeviceError::kRegister, kAccessWidth, kConfigRange.
  Result<void> read(std::uint64_t offset, std::span<std::byte> out);
  /// Errors: those, and what Lifecycle refused; the access had no effect.
  Result<void> write(std::uint64_t offset, std::span<const std::byte> in);

  /// InterruptStatus: kInterrupt… in registers.h.
  [[nodiscard]] std::uint32_t interrupt_status() const { return interrupt_status_; }

  /// The registers that are the transport's own; save the life cycle beside it, and before: what it
  /// finishes then is notified of here.
  [[nodiscard]] std::array<std::byte, kMmioStateBytes> save() const;
  /// Errors: DeviceStateError; nothing is changed. The line is set as the state says.
  [[nodiscard]] Result<void> restore(std::span<const std::byte> bytes);

 private:
  void used_buffers(std::uint16_t queue) override;
  void configuration_changed() override;

  void raise(std::uint32_t cause);
  [[nodiscard]] Result<std::uint32_t> read_register(std::uint32_t offset) const;
  [[nodiscard]] std::uint32_t read_shared(std::uint32_t offset) const;
  Result<void> write_register(std::uint32_t offset, std::uint32_t value);
  Result<void> write_queue(std::uint32_t offset, std::uint32_t value);
  Result<void> set_status(std::uint32_t value);

  Lifecycle& lifecycle_;
  InterruptLine& line_;
  std::vector<SharedMemoryRegion> shared_;
  std::uint32_t vendor_id_;
  std::uint32_t device_features_sel_ = 0;
  std::uint32_t driver_features_sel_ = 0;
  std::uint32_t queue_sel_ = 0;
  std::uint32_t shm_sel_ = 0;
  std::uint32_t interrupt_status_ = 0;
};

}  // namespace guestproof::virtio
