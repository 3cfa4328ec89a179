// Which BARs answer, and where: the BARs of a bus that their functions enable, each in a window of
// addresses that the VMM gives to the bus, none on top of another.
//
// A guest programs any base into a BAR. One that is not whole in a window answers nowhere, as
// behind a host bridge that forwards its windows only: it cannot cover memory or another device.
// Of two BARs that want the same address, the one of the lower routing identifier (then the lower
// index) answers and the other answers nowhere, until it is moved away. What answers thus depends
// on the registers alone, and not on the order in which they were written.
//
// Thread-safety: none.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "guestproof/base/range_map.h"
#include "guestproof/pci/config_space.h"

namespace guestproof::pci {

/// Device and function on bus 0.
struct Slot {
  std::uint8_t device = 0;
  std::uint8_t function = 0;

  /// Bits 7 to 3 and 2 to 0 of the routing identifier; its bus number is 0.
  [[nodiscard]] constexpr std::uint16_t routing_id() const {
    return static_cast<std::uint16_t>(device << 3 | function);
  }
  friend auto operator<=>(const Slot&, const Slot&) = default;
};

struct AddressWindow {
  std::uint64_t base = 0;
  std::uint64_t size = 0;  // 0: there is none
};

/// Where BARs may be: usually memory below 4 GiB, memory above all RAM, and ports.
struct BarWindows {
  std::array<AddressWindow, 2> memory;
  AddressWindow io;
};

class BarMap {
 public:
  struct Place {
    BarRange range;
    Slot slot;
    std::uint8_t bar = 0;
  };

  /// Errors: kAddressWindow: one that wraps, ports past 64 Ki, two that overlap.
  [[nodiscard]] static Result<BarMap> create(const BarWindows& windows);

  /// Room for so many BARs, so that place() allocates nothing.
  void reserve(std::size_t bars);
  void clear();
  /// Errors: kBarOutside; kBarOverlap, with one that was placed before (the highest of these).
  [[nodiscard]] Result<void> place(const Place& place);
  /// The BAR that has the address. Nothing when none has.
  [[nodiscard]] const Place* find(bool io, std::uint64_t address) const;

 private:
  explicit BarMap(const BarWindows& windows) : windows_(windows) {}
  [[nodiscard]] bool in_a_window(const BarRange& range) const;

  BarWindows windows_;
  std::array<RangeMap<Place>, 2> places_;  // memory, ports
};

}  // namespace guestproof::pci
