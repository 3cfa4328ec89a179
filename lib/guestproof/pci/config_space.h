// The configuration space of one conventional function: a type 0 header, capabilities, and for
// every bit whether the guest may change it.
//
// A guest's access is 1, 2 or 4 bytes inside one doubleword, at any offset in it: what a bus can
// carry with byte enables (PCI 3.0 §3.2.2.3; PCI Express 5.0 §7.2.2 lets a root complex refuse the
// rest). Any other is refused: a read gets all ones, a write does nothing. The extended space
// behind the 256 bytes has no capabilities: zeros, and writes do nothing. Writing to read-only bits
// is no error, since a driver cannot avoid it; a bit of the status register that reports an error
// is cleared by writing a one.
//
// BARs are sized as PCI has it: a driver writes all ones and reads back which address bits a BAR
// has. A 64-bit BAR is two registers that are written one after the other; in between it is
// wherever both say.
//
// Not here: where BARs end up among others (bar_map.h), what is behind them (function.h).
//
// Thread-safety: none; a value.
// Specification: see registers.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "guestproof/base/bytes.h"
#include "guestproof/pci/error.h"
#include "guestproof/pci/registers.h"

namespace guestproof::pci {

struct Identity {
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::uint8_t revision = 0;
  /// Base class, sub-class, programming interface: 24 bits.
  std::uint32_t class_code = 0;
  std::uint16_t subsystem_vendor = 0;
  std::uint16_t subsystem = 0;
};

enum class BarKind : std::uint8_t { kNone, kMemory32, kMemory64, kIo };

struct BarSpec {
  BarKind kind = BarKind::kNone;
  std::uint64_t size = 0;
  bool prefetchable = false;

  friend bool operator==(const BarSpec&, const BarSpec&) = default;
};

/// The smallest BARs are what their type bits leave (§6.2.5.1), and an I/O BAR has at most 256
/// bytes.
inline constexpr std::uint64_t kMinMemoryBar = 16;
inline constexpr std::uint64_t kMaxMemory32Bar = std::uint64_t{1} << 31;
inline constexpr std::uint64_t kMaxMemory64Bar = std::uint64_t{1} << 63;
inline constexpr std::uint64_t kMinIoBar = 4;
inline constexpr std::uint64_t kMaxIoBar = 256;

/// Addresses that a BAR asks for. Its size is a power of two and its base a multiple of it: it
/// never wraps.
struct BarRange {
  bool io = false;
  std::uint64_t base = 0;
  std::uint64_t size = 0;

  [[nodiscard]] std::uint64_t last() const { return base + (size - 1); }
  friend bool operator==(const BarRange&, const BarRange&) = default;
};

/// Where a function's MSI-X structures lie.
struct MsixPlace {
  std::uint16_t vectors = 0;
  std::uint8_t table_bar = 0;
  std::uint32_t table_offset = 0;
  std::uint8_t pba_bar = 0;
  std::uint32_t pba_offset = 0;
};

class ConfigSpace {
 public:
  class Builder;

  // The guest's side. `data` is filled with the answer also when there is an error. Errors: kWidth,
  // kStraddle, kOffset.

  [[nodiscard]] Result<void> read(std::uint64_t offset, std::span<std::byte> data) const;
  [[nodiscard]] Result<void> write(std::uint64_t offset, std::span<const std::byte> data);

  // The owner's side.

  [[nodiscard]] std::uint16_t command() const { return number<std::uint16_t>(kCommand); }
  [[nodiscard]] std::uint16_t status() const { return number<std::uint16_t>(kStatus); }
  [[nodiscard]] bool multi_function() const {
    return (number<std::uint8_t>(kHeaderType) & kHeaderMultiFunction) != 0;
  }
  /// 0: none; 1 to 4 are INTA# to INTD#.
  [[nodiscard]] std::uint8_t interrupt_pin() const { return number<std::uint8_t>(kInterruptPin); }
  /// The upper half of a 64-bit BAR is none. REQUIRES: index < kBars.
  [[nodiscard]] const BarSpec& bar(unsigned index) const { return bars_[index]; }
  /// What the register says, whether or not the command register enables it. REQUIRES: a BAR.
  [[nodiscard]] BarRange bar_range(unsigned index) const;
  /// The same, when the command register enables its kind. Errors: kNoBar, kDecodeOff.
  [[nodiscard]] Result<BarRange> decoded(unsigned index) const;
  [[nodiscard]] const std::optional<MsixPlace>& msix() const { return msix_; }
  /// The message control word (§6.8.2.3). REQUIRES: msix().
  [[nodiscard]] std::uint16_t msix_control() const {
    return number<std::uint16_t>(msix_capability_ + 2U);
  }
  /// Offset of the doubleword that the owner answers itself.
  [[nodiscard]] std::optional<std::uint8_t> window() const { return window_; }

  /// Status bits that only the function changes. REQUIRES: an interrupt pin, when set.
  void set_interrupt_status(bool pending);
  /// REQUIRES: of kStatusErrors.
  void report(std::uint16_t errors);
  /// As built.
  void reset() { bytes_ = initial_; }

  // Saved state: the bytes.

  [[nodiscard]] std::span<const std::byte, kConfigBytes> bytes() const { return bytes_; }
  /// This space with these bytes. Errors: kReadOnly.
  [[nodiscard]] Result<ConfigSpace> with(std::span<const std::byte, kConfigBytes> bytes) const;

 private:
  using Bytes = std::array<std::byte, kConfigBytes>;

  ConfigSpace() = default;
  template <class T>
  [[nodiscard]] T number(std::size_t offset) const {
    return static_cast<T>(load(std::span(bytes_).subspan(offset, sizeof(T))));
  }
  template <class T>
  void set_number(std::size_t offset, T value);

  Bytes bytes_{};
  Bytes initial_{};
  Bytes writable_{};   // by the guest
  Bytes clearable_{};  // by the guest, writing ones
  Bytes own_{};        // changed by the function only
  std::array<BarSpec, kBars> bars_{};
  std::optional<MsixPlace> msix_;
  std::uint8_t msix_capability_ = 0;
  std::optional<std::uint8_t> window_;
};

/// Puts a configuration space together; what does not fit is refused and changes nothing.
class ConfigSpace::Builder {
 public:
  explicit Builder(const Identity& identity);

  /// Says that the device has other functions, too.
  void set_multi_function();
  /// 1 to 4: INTA# to INTD#. Errors: kPin.
  [[nodiscard]] Result<void> set_interrupt_pin(std::uint8_t pin);
  /// Errors: kBarIndex, kBarTaken, kBarSize.
  [[nodiscard]] Result<void> add_bar(unsigned index, const BarSpec& spec);
  /// Gives the capability's offset. `body` is what follows its two header bytes; the guest may
  /// write the bits that `writable` has (none, when it is empty). The first added is the first in
  /// the list. Errors: kCapabilityBody, kCapabilityMask, kCapabilityRoom.
  [[nodiscard]] Result<std::uint8_t> add_capability(std::uint8_t id,
                                                    std::span<const std::byte> body,
                                                    std::span<const std::byte> writable = {});
  /// Gives the capability's offset. The BARs must be there. Errors: kMsixTwice, kMsixVectors,
  /// kMsixBar, kMsixAlign, kMsixRange, kMsixOverlap, kCapabilityRoom.
  [[nodiscard]] Result<std::uint8_t> add_msix(const MsixPlace& place);
  /// The owner answers accesses to this doubleword of a capability. Errors: kWindow, kWindowTwice.
  [[nodiscard]] Result<void> set_window(std::uint8_t offset);

  [[nodiscard]] ConfigSpace build() const;

 private:
  [[nodiscard]] bool taken(unsigned bar) const;
  [[nodiscard]] Result<void> check_structure(unsigned bar, std::uint32_t offset,
                                             std::uint64_t bytes) const;

  ConfigSpace space_;
  std::size_t next_ = kFirstCapability;      // where the next capability goes
  std::size_t link_ = kCapabilitiesPointer;  // the byte that will point to it
};

}  // namespace guestproof::pci
