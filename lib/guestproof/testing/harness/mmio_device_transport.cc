#include <array>
#include <utility>

#include "guestproof/testing/harness/device_transport.h"
#include "guestproof/testing/model/mmio_model.h"
#include "guestproof/virtio/transport/mmio/registers.h"
#include "guestproof/virtio/transport/mmio/transport.h"

namespace guestproof::testing {
namespace {

using namespace virtio::mmio;

/// What `access` counts in: every register.
constexpr std::array kRegisters{kMagicValueOffset,      kVersionOffset,
                                kDeviceIdOffset,        kVendorIdOffset,
                                kDeviceFeaturesOffset,  kDeviceFeaturesSelOffset,
                                kDriverFeaturesOffset,  kDriverFeaturesSelOffset,
                                kQueueSelOffset,        kQueueSizeMaxOffset,
                                kQueueSizeOffset,       kQueueReadyOffset,
                                kQueueNotifyOffset,     kInterruptStatusOffset,
                                kInterruptAckOffset,    kStatusOffset,
                                kQueueDescLowOffset,    kQueueDescHighOffset,
                                kQueueDriverLowOffset,  kQueueDriverHighOffset,
                                kQueueDeviceLowOffset,  kQueueDeviceHighOffset,
                                kShmSelOffset,          kShmLenLowOffset,
                                kShmLenHighOffset,      kShmBaseLowOffset,
                                kShmBaseHighOffset,     kQueueResetOffset,
                                kConfigGenerationOffset};

class MmioDeviceTransport final : public DeviceTransport, private InterruptLine {
 public:
  MmioDeviceTransport(virtio::Lifecycle& lifecycle, LifecycleModel& model)
      : transport_(lifecycle, *this), model_(model) {}

  [[nodiscard]] Access notification(std::uint16_t queue) const override {
    return at(kQueueNotifyOffset, queue);
  }
  [[nodiscard]] Access named(std::uint16_t next, std::uint16_t index) const override {
    if (next % 3 == 1) return at(kRegisters[index % kRegisters.size()], 0);
    return at(next % 3 == 2 ? kConfigOffset + index : index, 0);
  }

  [[nodiscard]] Result<void> read(Place place, std::span<std::byte> data) override {
    return transport_.read(place.at, data);
  }
  [[nodiscard]] Result<void> write(Place place, std::span<const std::byte> data) override {
    return transport_.write(place.at, data);
  }
  [[nodiscard]] ModelError read_model(Place place, std::span<std::uint8_t> data) override {
    return model_.read(place.at, data);
  }
  [[nodiscard]] ModelError write_model(Place place, std::span<const std::uint8_t> data) override {
    return model_.write(place.at, data);
  }

  [[nodiscard]] std::size_t state_bytes() const override { return virtio::kMmioStateBytes; }
  [[nodiscard]] std::vector<std::byte> save() const override {
    const auto bytes = transport_.save();
    return {bytes.begin(), bytes.end()};
  }
  [[nodiscard]] std::vector<std::uint8_t> save_model() const override { return model_.save(); }
  [[nodiscard]] Result<void> restore(std::span<const std::byte> bytes) override {
    const auto before = assertions_;
    auto restored = transport_.restore(bytes);
    assertions_ = before;  // by what was restored, not by a notification
    return restored;
  }
  [[nodiscard]] ModelError restore_model(std::span<const std::uint8_t> bytes) override {
    return model_.restore(bytes);
  }

  [[nodiscard]] std::uint32_t interrupt_status() const override {
    return transport_.interrupt_status();
  }
  [[nodiscard]] std::uint64_t compare() override {
    compare_numbers("InterruptStatus", transport_.interrupt_status(), model_.interrupt_status());
    compare_numbers("the interrupt line", line_, model_.interrupt_status() != 0);
    compare_numbers("the number of interrupts", assertions_, model_.notifications());
    return assertions_ - std::exchange(compared_, assertions_);
  }

 private:
  static Access at(std::uint64_t offset, std::uint64_t value) { return {{0, offset}, value, 4}; }

  void add_status(Script& out, std::uint8_t status) const override {
    out.push_back(at(kStatusOffset, status));
  }
  void add_features(Script& out, std::uint32_t word, std::uint32_t bits) const override {
    out.push_back(at(kDriverFeaturesSelOffset, word));
    out.push_back(at(kDriverFeaturesOffset, bits));
  }
  void add_queue(Script& out, std::uint16_t index, const ModelQueueSetup& setup) const override {
    const auto area = [&](std::uint32_t low, std::uint64_t address) {
      out.push_back(at(low, address & 0xffffffff));
      out.push_back(at(low + 4, address >> 32));
    };
    out.push_back(at(kQueueSelOffset, index));
    out.push_back(at(kQueueSizeOffset, setup.size));
    area(kQueueDescLowOffset, setup.desc);
    area(kQueueDriverLowOffset, setup.avail);
    area(kQueueDeviceLowOffset, setup.used);
    out.push_back(at(kQueueReadyOffset, 1));
  }

  // InterruptLine
  void set(bool asserted) override {
    line_ = asserted;
    assertions_ += asserted;
  }

  bool line_ = false;
  std::uint64_t assertions_ = 0;
  std::uint64_t compared_ = 0;
  virtio::MmioTransport transport_;
  MmioModel model_;
};

}  // namespace

std::unique_ptr<DeviceTransport> mmio_transport(virtio::Lifecycle& lifecycle,
                                                LifecycleModel& model) {
  return std::make_unique<MmioDeviceTransport>(lifecycle, model);
}

}  // namespace guestproof::testing
