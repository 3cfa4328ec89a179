// Bus 0 of a root complex: a host bridge, up to 32 devices of 8 functions, the two ways to their
// configuration space, the BARs that answer, and the interrupt lines.
//
// Configuration accesses come in by ECAM (1 MiB: bus 0's 256 functions of 4 KiB) or by ports, as
// configuration mechanism #1: 4 bytes at 0xCF8 are the address, any access inside 0xCFC to 0xCFF is
// for the bytes of the doubleword that the address names. Everything else in 0xCF8 to 0xCFF is no
// access to this mechanism (a chipset lets it pass: port 0xCF9 is a reset register on many) and is
// answered as if nobody were there. A function that is not there answers all ones to reads; writes
// go nowhere.
//
// After an access that changed which BARs answer, the observer hears of all BARs that answer no
// longer, then of all that answer anew. A BAR that is moved, or that another one displaces, is
// both. A write that leaves an enabled BAR of its function without an answer says so.
//
// A function's interrupt pin is asserted on line (device + pin - 1) modulo 4 of the root, as
// PCI-to- PCI Bridge 1.2 §9.1 and every firmware's routing table have it; functions share lines.
//
// Not here: other buses (bridges), power management, hot plug, and guest memory: a BAR that is
// programmed onto RAM is outside the windows and answers nowhere (bar_map.h).
//
// Thread-safety: none; the owner serialises accesses and interrupts.
// Specification: PCI Local Bus 3.0 §3.2.2.3.2, §6.1, §2.2.6; PCI Express 5.0 §7.2.2.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "guestproof/pci/bar_map.h"
#include "guestproof/pci/function.h"

namespace guestproof::pci {

/// What the VMM does about BARs: routes, ioeventfds. Must not use the bus in these calls.
class BarObserver {
 public:
  virtual void unmapped(Slot slot, unsigned bar, const BarRange& range) = 0;
  virtual void mapped(Slot slot, unsigned bar, const BarRange& range) = 0;

 protected:
  ~BarObserver() = default;
};

/// Where interrupt lines go; line 0 to 3. Must not use the bus in this call.
class IntxSink {
 public:
  virtual void set_level(unsigned line, bool high) = 0;

 protected:
  ~IntxSink() = default;
};

inline constexpr unsigned kDevices = 32;
inline constexpr unsigned kFunctions = 8;
inline constexpr unsigned kIntxLines = 4;
inline constexpr std::uint64_t kEcamBytes = std::uint64_t{1} << 20;

/// The line of an interrupt pin (1 to 4) of a device.
[[nodiscard]] constexpr unsigned intx_line(unsigned device, unsigned pin) {
  return (device + pin - 1) % kIntxLines;
}

/// A host bridge as QEMU's generic PCI Express host has it.
inline constexpr Identity kHostBridge{.vendor = 0x1b36, .device = 0x0008, .class_code = 0x060000};

class Bus {
 public:
  /// With a host bridge at 00:00.0. `observer` and `lines` must outlive the bus. Errors:
  /// kAddressWindow.
  [[nodiscard]] static Result<Bus> create(const BarWindows& windows, BarObserver& observer,
                                          IntxSink& lines, const Identity& bridge = kHostBridge);

  /// `function` must outlive the bus; function 0 of a device comes first, and says that there are
  /// more. Errors: kSlot, kSlotTaken, kSingleFunction.
  [[nodiscard]] Result<void> add(Slot slot, Function& function);
  [[nodiscard]] Function* find(Slot slot) const;

  // The guest's side. `data` is filled with the answer also when there is an error.

  /// At an offset of the ECAM window. Errors: kAbsent, Function's.
  [[nodiscard]] Result<void> read_ecam(std::uint64_t offset, std::span<std::byte> data);
  /// Besides: kBarOutside, kBarOverlap; the register has what was written.
  [[nodiscard]] Result<void> write_ecam(std::uint64_t offset, std::span<const std::byte> data);
  /// Ports 0xCF8 to 0xCFF. Errors: kPort, kAddressDisabled, and as above.
  [[nodiscard]] Result<void> read_port(std::uint16_t port, std::span<std::byte> data);
  [[nodiscard]] Result<void> write_port(std::uint16_t port, std::span<const std::byte> data);
  /// What BARs answer to: memory (`io` false) or ports. Errors: kWidth, kUnmapped, kBarEnd,
  /// Function's.
  [[nodiscard]] Result<void> read(bool io, std::uint64_t address, std::span<std::byte> data);
  [[nodiscard]] Result<void> write(bool io, std::uint64_t address, std::span<const std::byte> data);

  // The VMM's side.

  /// Where a BAR answers. Errors: kAbsent, kNoBar, kDecodeOff, kBarOutside, kBarOverlap.
  [[nodiscard]] Result<BarRange> placement(Slot slot, unsigned bar) const;
  /// A function wants its pin asserted, or no longer. REQUIRES: there, with a pin.
  void set_interrupt(Slot slot, bool pending);
  /// Every function as built; nothing answers, all lines are low.
  void reset();

  // Saved state, little-endian; the functions follow in the order of their routing identifiers:
  //
  //   offset size field                    of each function
  //   0      4    magic "GPPB"             0      2    routing identifier
  //   4      2    version (1)              2      2    reserved, 0
  //   6      2    functions                4      4    length of what follows
  //   8      4    length, of everything    8      …    the function (function.h)
  //   12     4    config_address

  [[nodiscard]] std::vector<std::byte> encode() const;
  /// Restored whole or not at all; observer and lines hear what is different then. Errors:
  /// PciStateError, for the field that it is named after.
  [[nodiscard]] Result<void> restore(std::span<const std::byte> bytes);

 private:
  /// Where each BAR answers, or why it does not.
  using Places = std::array<Result<BarRange>, kBars>;
  struct Member {
    Slot slot;
    Function* function;
    Places places;
    Places before;  // the last change
  };

  [[nodiscard]] static Member without_places(Slot slot, Function& function);
  Bus(const BarMap& map, BarObserver& observer, IntxSink& lines, const Identity& bridge);

  [[nodiscard]] Result<Function*> target(std::uint64_t offset) const;
  [[nodiscard]] Result<std::uint64_t> port_target(std::uint16_t port, std::size_t width) const;
  /// Accesses a function; its line may be another after it.
  template <class Call>
  [[nodiscard]] Result<void> access(const Function& function, Call&& call);
  [[nodiscard]] Result<BarMap::Place> locate(bool io, std::uint64_t address,
                                             std::size_t width) const;
  [[nodiscard]] const Member* member(Slot slot) const;
  void place_bars();
  void refresh_bars();
  void refresh_lines();
  [[nodiscard]] Result<std::vector<Function::State>> decode(std::span<const std::byte> bytes) const;

  BarMap map_;
  BarObserver* observer_;
  IntxSink* lines_;
  std::unique_ptr<Function> bridge_;
  std::vector<Member> members_;  // by slot
  std::bitset<kIntxLines> levels_;
  std::uint32_t config_address_ = 0;
};

}  // namespace guestproof::pci
