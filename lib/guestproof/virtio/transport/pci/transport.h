// Virtio over PCI, modern (a device without the legacy interface): one function of a bus.
//
//   auto transport = PciTransport::create(lifecycle, msi, pin);
//   bus.add({.device = 3}, transport->function());
//
// Capabilities, in this order: MSI-X with a vector for each queue and one for the configuration,
// common, ISR, device (when there is a configuration space), notify, PCI configuration access.
//
// Every access gets an answer, whatever its offset and width:
// - The common structure takes each field at its own width; the 64-bit ones whole and by halves
//   (§4.1.3.1). Any other access reads as zeros and writes nothing.
// - The ISR status takes reads of 1 byte at offset 0, which clear it; the device structure any
//   width at any offset, bytes past the device's fields being zero.
// - A notification is a write of 2 or 4 bytes at a queue's place (queue_notify_off times the
//   multiplier); its value is not looked at: the place says it all.
// - What the driver selects and is not there (a queue, a word of features) has zeros.
// - queue_enable takes 1, and queue_reset takes 1 and is done when the write is; the queue's vector
//   is VIRTIO_MSI_NO_VECTOR again, and its message is not sent any more unless another shares it.
// - Status 0 takes back all vectors, all messages that are pending, and ISR status.
// - An MSI-X vector that is not in the table becomes VIRTIO_MSI_NO_VECTOR (§4.1.5.1.2.2).
// - PCI configuration access (§4.1.4.9): an access to pci_cfg_data is one of cap.length bytes (1, 2
//   or 4, at a multiple of them) in a BAR of this function. It begins at the first byte of
//   pci_cfg_data and is not shorter than that; what is more has zeros. With any other capability
//   or access it reads as zeros and writes nothing.
//
// While Bus Master is clear in the function's command register, as it is at first, the device
// leaves guest memory alone (PCI Local Bus 3.0 §6.2.2; lifecycle.h has what that means): a write
// that clears it returns when nothing is in flight any more. A driver may set it before or after
// DRIVER_OK. Messages are writes to memory, too, and pending meanwhile; the pin is not.
//
// With MSI-X enabled a notification is the vector's message, and one of the configuration also sets
// its bit in ISR status; without it, a notification is ISR status and interrupt pin (§4.1.4.5.1).
// The function wants its pin while ISR status is not 0; with MSI-X enabled nobody hears of that.
//
// Thread-safety: that of Lifecycle; the bus's accesses are register accesses. They look at the pins
// of all functions, and a notification changes its function: all devices of a bus are serialised
// together, their work() and host_ready() too.
// Specification: virtio 1.3 §4.1.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/base/interrupt_line.h"
#include "guestproof/pci/function.h"
#include "guestproof/virtio/device/lifecycle.h"

namespace guestproof::virtio {

class PciTransport final : private Interrupts, private pci::FunctionOwner {
 public:
  /// `pin`: told whether the function wants its interrupt pin, other than in a guest's access;
  /// it is to call Bus::set_interrupt(). All outlive the transport. Errors: PciError, for a device
  /// with more queues or configuration space than there is room for (1024, 4096 bytes).
  [[nodiscard]] static Result<std::unique_ptr<PciTransport>> create(Lifecycle& lifecycle,
                                                                    pci::MsiSink& messages,
                                                                    InterruptLine& pin);
  ~PciTransport() { lifecycle_.connect(nullptr); }

  /// For a bus.
  [[nodiscard]] pci::Function& function() { return function_; }

  /// ISR status: kIsr… in registers.h.
  [[nodiscard]] std::uint8_t isr_status() const { return isr_; }

  /// The registers that are the transport's own; save the life cycle and the bus beside it, the
  /// life cycle before both: what it finishes then is notified of here, or pending in the bus.
  [[nodiscard]] std::vector<std::byte> save() const;
  /// Of a transport whose bus is restored: the pin is set as ISR status says. The life cycle is
  /// restored before the bus, which says whether it may serve: nothing that was going on here ends
  /// in restored memory then, and no queue is served before Bus Master is known. Errors:
  /// DeviceStateError; nothing is changed.
  [[nodiscard]] Result<void> restore(std::span<const std::byte> bytes);

 private:
  PciTransport(Lifecycle& lifecycle, const pci::ConfigSpace& config, std::uint8_t window,
               pci::MsiSink& messages, InterruptLine& pin);

  // Interrupts
  void used_buffers(std::uint16_t queue) override;
  void configuration_changed() override;
  void notify(std::uint8_t cause, std::uint16_t vector);
  void set_isr(std::uint8_t causes);

  // pci::FunctionOwner
  [[nodiscard]] Result<void> read_bar(unsigned bar, std::uint64_t offset,
                                      std::span<std::byte> data) override;
  [[nodiscard]] Result<void> write_bar(unsigned bar, std::uint64_t offset,
                                       std::span<const std::byte> data) override;
  [[nodiscard]] Result<void> read_window(unsigned at, std::span<std::byte> data) override;
  [[nodiscard]] Result<void> write_window(unsigned at, std::span<const std::byte> data) override;
  void bus_master_changed(bool on) override;

  /// What the capability for configuration access names.
  struct Window {
    unsigned bar;
    std::uint32_t offset;
    std::uint32_t length;
  };
  /// Errors: DeviceError::kRegisterValue, kRegister: nothing that can be accessed; kAccessWidth:
  /// not by an access of `width` bytes from `at` on.
  [[nodiscard]] Result<Window> window(unsigned at, std::size_t width) const;

  [[nodiscard]] Result<std::uint64_t> read_common(std::uint64_t offset, std::size_t width) const;
  [[nodiscard]] std::uint64_t read_queue(std::uint64_t offset) const;
  [[nodiscard]] Result<void> write_common(std::uint64_t offset, std::size_t width,
                                          std::uint64_t value);
  [[nodiscard]] Result<void> write_queue(std::uint64_t offset, std::uint64_t value);
  [[nodiscard]] Result<void> write_area(std::uint64_t offset, std::size_t width,
                                        std::uint64_t value);
  [[nodiscard]] Result<void> write_notify(std::uint64_t offset, std::size_t width);
  [[nodiscard]] Result<void> set_vector(std::uint16_t& vector, std::uint64_t value);
  [[nodiscard]] Result<void> set_status(std::uint8_t value);
  [[nodiscard]] Result<void> reset_queue();

  Lifecycle& lifecycle_;
  pci::Function function_;
  InterruptLine& pin_;
  std::uint8_t window_;    // offset of the capability for configuration access
  bool accessed_ = false;  // by way of its bus, at this moment
  std::uint32_t device_feature_select_ = 0;
  std::uint32_t driver_feature_select_ = 0;
  std::uint16_t queue_select_ = 0;
  std::uint8_t isr_ = 0;
  std::uint16_t config_vector_;
  std::vector<std::uint16_t> queue_vectors_;
};

}  // namespace guestproof::virtio
