// MSI-X: a table of messages, a bit for each that is pending, and what keeps messages back.
//
// A vector's message is delivered when MSI-X is enabled and nothing holds it: neither its own mask,
// nor the function's, nor a command register that forbids the function to write to memory (PCI
// Express 5.0 §7.5.1.1.3). A vector that is held has its pending bit set, and is delivered once,
// with the message that stands in the table then, as soon as nothing holds it. Disabling MSI-X
// leaves pending bits as they are; they are delivered after it is enabled again.
//
// Table and pending bits are accessed by aligned doublewords and quadwords. PCI leaves all else
// undefined; here it is answered without effect: a read gets all ones. So are accesses that pass
// the end, and writes to pending bits. Bits 1 to 0 of an address and bits 31 to 1 of a vector's
// control are read-only zeros. A quadword counts as one write: what it unmasks has the message that
// it brought.
//
// Not here: where the structures lie in BARs and the capability (function.h), and what a message
// means to an interrupt controller.
//
// Thread-safety: none; the owner serialises the guest's accesses and the device's interrupts.
// Specification: PCI Local Bus 3.0 §6.8.2, §6.8.3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "guestproof/pci/error.h"

namespace guestproof::pci {

/// The size field of the capability has 11 bits (§6.8.2.3).
inline constexpr std::uint16_t kMaxMsixVectors = 2048;
inline constexpr std::size_t kMsixEntryBytes = 16;

/// Table and pending bits of so many vectors.
[[nodiscard]] constexpr std::uint64_t msix_table_bytes(std::uint16_t vectors) {
  return std::uint64_t{vectors} * kMsixEntryBytes;
}
[[nodiscard]] constexpr std::uint64_t msix_pba_bytes(std::uint16_t vectors) {
  return (vectors + std::uint64_t{63}) / 64 * 8;
}

struct MsiMessage {
  std::uint64_t address = 0;
  std::uint32_t data = 0;

  friend bool operator==(const MsiMessage&, const MsiMessage&) = default;
};

/// Where messages go: an interrupt controller.
class MsiSink {
 public:
  /// Must not call back into what delivers.
  virtual void deliver(const MsiMessage& message) = 0;

 protected:
  ~MsiSink() = default;
};

/// What the function's registers say.
struct MsixControl {
  bool enabled = false;
  bool masked = false;
  /// The function may write to memory, and so send messages.
  bool bus_master = false;

  friend bool operator==(const MsixControl&, const MsixControl&) = default;
};

enum class MsixOutcome : std::uint8_t { kDelivered, kPending };

class Msix {
 public:
  /// All vectors masked, nothing pending, disabled. Errors: kVectors.
  [[nodiscard]] static Result<Msix> create(std::uint16_t vectors);

  [[nodiscard]] std::uint16_t vectors() const { return static_cast<std::uint16_t>(table_.size()); }
  [[nodiscard]] std::uint64_t table_bytes() const { return msix_table_bytes(vectors()); }
  [[nodiscard]] std::uint64_t pba_bytes() const { return msix_pba_bytes(vectors()); }
  [[nodiscard]] const MsixControl& control() const { return control_; }

  // The guest's accesses, at an offset of the structure. `data` is filled with the answer also when
  // there is an error. Errors: kAccess, kTableEnd, kPbaEnd, kPbaReadOnly.

  [[nodiscard]] Result<void> read_table(std::uint64_t offset, std::span<std::byte> data) const;
  [[nodiscard]] Result<void> write_table(std::uint64_t offset, std::span<const std::byte> data,
                                         MsiSink& sink);
  [[nodiscard]] Result<void> read_pba(std::uint64_t offset, std::span<std::byte> data) const;
  [[nodiscard]] Result<void> write_pba(std::uint64_t offset, std::span<const std::byte> data);

  /// The registers changed.
  void set_control(const MsixControl& control, MsiSink& sink);

  // The device's side.

  /// An interrupt. Errors: kVector, kDisabled (nothing is pending by it; INTx is to be used).
  [[nodiscard]] Result<MsixOutcome> raise(std::uint16_t vector, MsiSink& sink);
  /// What the vector was raised for is over: it is not pending any more (§6.8.3). Errors:
  /// kVector.
  [[nodiscard]] Result<void> withdraw(std::uint16_t vector);
  /// As created.
  void reset();

  // Saved state: a header, the table as the guest sees it, the pending bits. Little-endian:
  //
  //   offset size field                    offset size field
  //   0      4    magic "GPMX"             12     2    flags
  //   4      2    version (1)              14     2    reserved, 0
  //   6      2    vectors                  16     16n  table
  //   8      4    length, of everything    …           pending bits, a multiple of 8 bytes
  //
  // flags: 1 enabled, 2 masked, 4 bus master. A vector is not pending while nothing holds it.

  [[nodiscard]] std::size_t state_bytes() const;
  [[nodiscard]] std::vector<std::byte> encode() const;
  /// A table of as many vectors in that state. Errors: PciStateError, for the field that it is
  /// named after.
  [[nodiscard]] Result<Msix> decode(std::span<const std::byte> bytes) const;

  /// The flags of a control in saved state.
  [[nodiscard]] static std::uint16_t flags_of(const MsixControl& control);

  friend bool operator==(const Msix&, const Msix&) = default;

 private:
  struct Entry {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
    std::uint32_t vector_control = 1;  // masked

    friend bool operator==(const Entry&, const Entry&) = default;
  };
  explicit Msix(std::uint16_t vectors) : table_(vectors), pending_((vectors + 63U) / 64) {}

  [[nodiscard]] std::uint32_t register_at(std::uint64_t offset) const;
  void set_register(std::uint64_t offset, std::uint32_t value);
  [[nodiscard]] bool held(std::size_t vector) const;
  [[nodiscard]] bool pending(std::size_t vector) const {
    return (pending_[vector / 64] >> vector % 64 & 1) != 0;
  }
  void deliver_if_free(std::size_t vector, MsiSink& sink);
  [[nodiscard]] Result<void> take_table(std::span<const std::byte> bytes);
  [[nodiscard]] Result<void> take_pending(std::span<const std::byte> bytes);

  std::vector<Entry> table_;
  std::vector<std::uint64_t> pending_;
  MsixControl control_;
};

}  // namespace guestproof::pci
