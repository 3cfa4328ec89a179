// A virtio device's registers as a driver in ring 0 reaches them, over MMIO and over PCI. What is
// to be done is said in the registers of MMIO (virtio 1.3 §4.2.2); on PCI each is the field that
// does the same (§4.1.4), as far as there is one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "guestproof/ring0/guest.h"
#include "guestproof/virtio/transport/mmio/registers.h"
#include "guestproof/virtio/transport/pci/registers.h"
#include "vmm/layout.h"

namespace guestproof::ring0 {

/// An access of 1, 2, 4 or 8 bytes, by one instruction.
inline std::uint64_t read_physical(std::uint64_t address, std::size_t width) {
  switch (width) {
    case 1:
      return *phys<std::uint8_t>(address);
    case 2:
      return *phys<std::uint16_t>(address);
    case 4:
      return *phys<std::uint32_t>(address);
    default:
      return *phys<std::uint64_t>(address);
  }
}
inline void write_physical(std::uint64_t address, std::size_t width, std::uint64_t value) {
  switch (width) {
    case 1:
      *phys<std::uint8_t>(address) = static_cast<std::uint8_t>(value);
      return;
    case 2:
      *phys<std::uint16_t>(address) = static_cast<std::uint16_t>(value);
      return;
    case 4:
      *phys<std::uint32_t>(address) = static_cast<std::uint32_t>(value);
      return;
    default:
      *phys<std::uint64_t>(address) = value;
  }
}

class DriverRegisters {
 public:
  virtual ~DriverRegisters() = default;
  /// Where this access goes: guest-physical address and width. Nothing: the transport has none
  /// like it.
  struct Target {
    std::uint64_t address = 0;
    std::size_t width = 0;
  };
  [[nodiscard]] virtual std::optional<Target> target(std::uint64_t offset, std::size_t width,
                                                     bool write, std::uint64_t value) = 0;

  [[nodiscard]] std::uint64_t read(std::uint64_t offset, std::size_t width = 4) {
    const auto to = target(offset, width, false, 0);
    return to ? read_physical(to->address, to->width) : 0;
  }
  void write(std::uint64_t offset, std::uint64_t value, std::size_t width = 4) {
    if (const auto to = target(offset, width, true, value))
      write_physical(to->address, to->width, value);
  }
};

class MmioRegisters final : public DriverRegisters {
 public:
  explicit MmioRegisters(std::uint64_t base) : base_(base) {}
  [[nodiscard]] std::optional<Target> target(std::uint64_t offset, std::size_t width, bool,
                                             std::uint64_t) override {
    return Target{base_ + offset, width};
  }

 private:
  std::uint64_t base_;
};

/// The first virtio function of bus 0, whose BAR is put where BARs may be.
class PciRegisters final : public DriverRegisters {
 public:
  /// False: there is none, or it is not as §4.1.2 and §4.1.4 have it.
  [[nodiscard]] bool find() {
    for (std::uint64_t slot = 1; slot < 32; ++slot) {
      config_ = vmm::layout::kEcamBase + (slot << 15);
      if (config(0, 2) == 0x1af4) return set_up();
    }
    return false;
  }
  [[nodiscard]] std::optional<Target> target(std::uint64_t offset, std::size_t width, bool write,
                                             std::uint64_t value) override {
    const auto to = field(offset, width, write, value);
    const bool fits = !to || to->width >= sizeof value || value >> 8 * to->width == 0;
    return fits ? to : std::nullopt;
  }

 private:
  [[nodiscard]] std::optional<Target> field(std::uint64_t offset, std::size_t width, bool write,
                                            std::uint64_t value) const {
    using namespace virtio::mmio;
    using namespace virtio::pci_transport;
    if (offset >= kConfigOffset) return Target{device_ + offset - kConfigOffset, width};
    if (width != 4) return std::nullopt;
    switch (offset) {
      case kDeviceFeaturesSelOffset:
        return Target{common_ + kDeviceFeatureSelect, 4};
      case kDeviceFeaturesOffset:
        return Target{common_ + kDeviceFeature, 4};
      case kDriverFeaturesSelOffset:
        return Target{common_ + kDriverFeatureSelect, 4};
      case kDriverFeaturesOffset:
        return Target{common_ + kDriverFeature, 4};
      case kQueueSelOffset:
        return Target{common_ + kQueueSelect, 2};
      case kQueueSizeMaxOffset:  // read: until it is written, it is the largest
      case kQueueSizeOffset:
        return Target{common_ + kQueueSize, 2};
      case kQueueReadyOffset:
        // A queue that is enabled stays so (§4.1.4.3.2).
        if (write && value != 1) return std::nullopt;
        return Target{common_ + kQueueEnable, 2};
      case kQueueResetOffset:
        return Target{common_ + kQueueReset, 2};
      case kQueueNotifyOffset:
        return notification(static_cast<std::uint16_t>(value));
      case kStatusOffset:
        return Target{common_ + kDeviceStatus, 1};
      case kConfigGenerationOffset:
        return Target{common_ + kConfigGeneration, 1};
      case kQueueDescLowOffset:
      case kQueueDescHighOffset:
        return Target{common_ + kQueueDesc + (offset - kQueueDescLowOffset), 4};
      case kQueueDriverLowOffset:
      case kQueueDriverHighOffset:
        return Target{common_ + kQueueDriver + (offset - kQueueDriverLowOffset), 4};
      case kQueueDeviceLowOffset:
      case kQueueDeviceHighOffset:
        return Target{common_ + kQueueDevice + (offset - kQueueDeviceLowOffset), 4};
      default:
        return std::nullopt;
    }
  }

  // PCI 3.0 §6.1, §6.7; virtio 1.3 §4.1.4.
  [[nodiscard]] std::uint64_t config(std::uint64_t at, std::size_t width) const {
    return read_physical(config_ + at, width);
  }
  void set_config(std::uint64_t at, std::size_t width, std::uint64_t value) const {
    write_physical(config_ + at, width, value);
  }

  [[nodiscard]] bool set_up() {
    std::array<std::uint64_t, 6> bars{};
    auto free = vmm::layout::kBarBase;
    for (std::uint64_t i = 0; i < bars.size(); ++i) {
      const auto at = 0x10 + 4 * i;
      const auto before = config(at, 4);
      set_config(at, 4, 0xffffffff);
      const auto size = (~(config(at, 4) & ~std::uint64_t{15}) + 1) & 0xffffffff;
      const bool wide = (before >> 1 & 3) == 2;
      if (size == 0) continue;
      free = (free + size - 1) / size * size;
      set_config(at, 4, free);
      bars[i] = free;
      free += size;
      if (wide) set_config(0x10 + 4 * ++i, 4, 0);
    }
    set_config(0x04, 2, config(0x04, 2) | 6);  // memory, bus master
    for (auto at = config(0x34, 1); at != 0; at = config(at + 1, 1)) {
      if (config(at, 1) != 0x09) continue;
      const auto base = bars[config(at + 4, 1) % 6] + config(at + 8, 4);
      switch (config(at + 3, 1)) {
        case 1:
          common_ = base;
          break;
        case 2:
          notify_ = base;
          multiplier_ = config(at + 16, 4);
          break;
        case 4:
          device_ = base;
          break;
        default:
          break;
      }
    }
    return common_ != 0 && notify_ != 0;
  }

  [[nodiscard]] Target notification(std::uint16_t queue) const {
    const auto before = read_physical(common_ + virtio::pci_transport::kQueueSelect, 2);
    write_physical(common_ + virtio::pci_transport::kQueueSelect, 2, queue);
    const auto offset = read_physical(common_ + virtio::pci_transport::kQueueNotifyOff, 2);
    write_physical(common_ + virtio::pci_transport::kQueueSelect, 2, before);
    return {notify_ + offset * multiplier_, 2};
  }

  std::uint64_t config_ = 0;
  std::uint64_t common_ = 0, notify_ = 0, device_ = 0;
  std::uint64_t multiplier_ = 0;
};

}  // namespace guestproof::ring0
