// Who answers a guest's access to an address that is not memory: ranges of addresses, or of ports,
// each with its device.
//
// An access is for one device or for nobody. One that hits no range, that begins in a range and
// goes on past its end, or that is of no bytes or more than 8, reads all ones, writes nothing, and
// is an error for the log. Where two ranges touch, an access over the border is for neither.
//
// Not here: memory (KVM serves that without an exit), ranges that move while the guest runs (PCI's
// BARs have a map of their own, pci/bar_map.h; the window that they move in is one range here), and
// locks.
//
// Thread-safety: a built bus does not change; any number of threads may access it, without a lock
// or an allocation. Two of them may reach one device at once: a device says whether it can take
// that, or its owner serialises it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "guestproof/base/range_map.h"
#include "guestproof/bus/error.h"

namespace guestproof {

/// What is behind a range. `offset` is from the base of the range, and all bytes of the access are
/// in it: 1 to kMaxBusAccess of them.
class BusDevice {
 public:
  /// Fills `data`, also when it refuses.
  [[nodiscard]] virtual Result<void> read(std::uint64_t offset, std::span<std::byte> data) = 0;
  [[nodiscard]] virtual Result<void> write(std::uint64_t offset,
                                           std::span<const std::byte> data) = 0;

 protected:
  ~BusDevice() = default;
};

/// The widest access of a processor that KVM hands out.
inline constexpr std::size_t kMaxBusAccess = 8;

enum class AddressSpace : std::uint8_t { kMemory, kPorts };
/// The last address of a space; ports have 16 bits.
[[nodiscard]] constexpr std::uint64_t last_address(AddressSpace space) {
  return space == AddressSpace::kPorts ? 0xffff : UINT64_MAX;
}

class Bus {
 public:
  class Builder;

  /// `data` is filled with the answer also when there is an error. Errors: kWidth, kUnmapped,
  /// kRangeEnd; the device's.
  [[nodiscard]] Result<void> read(std::uint64_t address, std::span<std::byte> data) const;
  [[nodiscard]] Result<void> write(std::uint64_t address, std::span<const std::byte> data) const;

 private:
  using Map = RangeMap<BusDevice*>;
  struct Target {
    BusDevice* device;
    std::uint64_t offset;
  };
  explicit Bus(Map map) : map_(std::move(map)) {}
  [[nodiscard]] Result<Target> locate(std::uint64_t address, std::size_t width) const;

  Map map_;
};

/// `Bus::Builder(AddressSpace::kPorts).add(0x3f8, 8, serial).add(kI8042Port, kI8042Ports, i8042)
///      .build()`
class Bus::Builder {
 public:
  explicit Builder(AddressSpace space) : space_(space) {}

  /// `device` must outlive the bus. One device may have several ranges.
  Builder& add(std::uint64_t base, std::uint64_t size, BusDevice& device) {
    ranges_.push_back({base, size, &device});
    return *this;
  }
  /// Errors: kEmpty; kEnd, of a range that does not end in its space; kOverlap, with the base of
  /// the range that was added earlier.
  [[nodiscard]] Result<Bus> build() const;

 private:
  struct Range {
    std::uint64_t base;
    std::uint64_t size;
    BusDevice* device;
  };
  AddressSpace space_;
  std::vector<Range> ranges_;
};

}  // namespace guestproof
