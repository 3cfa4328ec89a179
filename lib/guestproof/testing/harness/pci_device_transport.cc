#include <algorithm>
#include <array>

#include "guestproof/base/invariant.h"
#include "guestproof/testing/harness/device_transport.h"
#include "guestproof/testing/harness/pci_events.h"
#include "guestproof/testing/model/virtio_pci_model.h"
#include "guestproof/virtio/transport/pci/registers.h"
#include "guestproof/virtio/transport/pci/transport.h"

namespace guestproof::testing {
namespace {

using namespace virtio::pci_transport;

constexpr pci::Slot kSlot{3, 0};
constexpr ModelWindow kLow{0xe000'0000, 0x1000'0000};
constexpr ModelWindow kHigh{0x10'0000'0000, std::uint64_t{1} << 36};

/// What `access` counts in: every field of the common structure.
struct Field {
  std::uint32_t at;
  std::uint8_t width;
};
constexpr std::array kFields{Field{kDeviceFeatureSelect, 4},  Field{kDeviceFeature, 4},
                             Field{kDriverFeatureSelect, 4},  Field{kDriverFeature, 4},
                             Field{kConfigMsixVector, 2},     Field{kNumQueues, 2},
                             Field{kDeviceStatus, 1},         Field{kConfigGeneration, 1},
                             Field{kQueueSelect, 2},          Field{kQueueSize, 2},
                             Field{kQueueMsixVector, 2},      Field{kQueueEnable, 2},
                             Field{kQueueNotifyOff, 2},       Field{kQueueDesc, 8},
                             Field{kQueueDriver, 8},          Field{kQueueDevice, 8},
                             Field{kQueueNotifConfigData, 2}, Field{kQueueReset, 2},
                             Field{kAdminQueueIndex, 2},      Field{kAdminQueueNum, 2}};

class PciDeviceTransport final : public DeviceTransport, private InterruptLine {
 public:
  PciDeviceTransport(virtio::Lifecycle& lifecycle, LifecycleModel& model)
      : bus_(pci::Bus::create(
                 {.memory = {{{kLow.base, kLow.size}, {kHigh.base, kHigh.size}}}, .io = {}},
                 events_, events_)
                 .value()),
        transport_(virtio::PciTransport::create(lifecycle, events_, *this).value()),
        model_(model, kSlot.device, kLow, kHigh) {
    GUESTPROOF_INVARIANT(bus_.add(kSlot, transport_->function()));
  }

  [[nodiscard]] Access notification(std::uint16_t queue) const override {
    return structure(kNotifyAt + kNotifyStride * queue, 2, queue);
  }
  [[nodiscard]] Access named(std::uint16_t next, std::uint16_t index) const override {
    switch (next % 7) {
      case 0:
        return structure(index, 4, 0);
      case 1: {
        const auto field = kFields[index % kFields.size()];
        return structure(field.at, field.width, 0);
      }
      case 2:
        return structure(kDeviceAt + index, 4, 0);
      case 3:
        return notification(index);
      case 4:
        return config(index, 4, 0);
      case 5:
        return table(index, 4, 0);
      default:
        return config(model_.window_capability() + index % 20U, 4, 0);
    }
  }

  [[nodiscard]] Result<void> read(Place place, std::span<std::byte> data) override {
    return place.space == kConfig ? bus_.read_ecam(place.at, data)
                                  : bus_.read(false, place.at, data);
  }
  [[nodiscard]] Result<void> write(Place place, std::span<const std::byte> data) override {
    return place.space == kConfig ? bus_.write_ecam(place.at, data)
                                  : bus_.write(false, place.at, data);
  }
  [[nodiscard]] ModelError read_model(Place place, std::span<std::uint8_t> data) override {
    auto& bus = model_.bus();
    const auto answer = place.space == kConfig ? bus.read_ecam(place.at, data.size())
                                               : bus.read(false, place.at, data.size());
    std::ranges::copy(answer.bytes, data.begin());
    return answer.error;
  }
  [[nodiscard]] ModelError write_model(Place place, std::span<const std::uint8_t> data) override {
    auto& bus = model_.bus();
    const PciModel::Bytes bytes(data.begin(), data.end());
    return place.space == kConfig ? bus.write_ecam(place.at, bytes)
                                  : bus.write(false, place.at, bytes);
  }

  [[nodiscard]] std::size_t state_bytes() const override { return save().size(); }
  [[nodiscard]] std::vector<std::byte> save() const override {
    auto bytes = transport_->save();
    const auto bus = bus_.encode();
    bytes.insert(bytes.end(), bus.begin(), bus.end());
    return bytes;
  }
  [[nodiscard]] std::vector<std::uint8_t> save_model() const override {
    auto bytes = model_.save();
    const auto bus = model_.bus().encode();
    bytes.insert(bytes.end(), bus.begin(), bus.end());
    return bytes;
  }
  [[nodiscard]] Result<void> restore(std::span<const std::byte> bytes) override {
    const auto registers = bytes.first(std::min(bytes.size(), transport_->save().size()));
    if (auto ok = bus_.restore(bytes.subspan(registers.size())); !ok) return ok;
    return transport_->restore(registers);
  }
  [[nodiscard]] ModelError restore_model(std::span<const std::uint8_t> bytes) override {
    const auto registers = bytes.first(std::min(bytes.size(), model_.save().size()));
    if (auto why = model_.bus().decode(bytes.subspan(registers.size())); !why.none()) return why;
    return model_.restore(registers);
  }

  [[nodiscard]] std::uint32_t interrupt_status() const override { return transport_->isr_status(); }
  [[nodiscard]] std::uint64_t compare() override {
    compare_numbers("ISR status", transport_->isr_status(), model_.isr());
    const auto events = events_.take("PCI", model_.bus());
    return static_cast<std::uint64_t>(std::ranges::count_if(events, [](const auto& event) {
      using enum ModelPciEvent::Kind;
      return event.kind == kMessage || (event.kind == kLine && event.b == 1);
    }));
  }

 private:
  enum Space : std::uint8_t { kMemory, kConfig };
  // Where a driver puts the BARs.
  static constexpr std::uint64_t kStructures = kHigh.base + 0x10000;
  static constexpr std::uint64_t kTable = kLow.base + 0x10000;

  [[nodiscard]] Access in_bar(unsigned bar, std::uint64_t otherwise, std::uint64_t offset,
                              std::size_t width, std::uint64_t value) const {
    const auto base = model_.bus().base_of(VirtioPciModel::kPlace, bar);
    return {{kMemory, base.value_or(otherwise) + offset}, value, width};
  }
  [[nodiscard]] Access structure(std::uint64_t offset, std::size_t width,
                                 std::uint64_t value) const {
    return in_bar(kStructureBar, kStructures, offset, width, value);
  }
  [[nodiscard]] Access table(std::uint64_t offset, std::size_t width, std::uint64_t value) const {
    return in_bar(kMsixBar, kTable, offset, width, value);
  }
  [[nodiscard]] static Access config(std::uint64_t offset, std::size_t width, std::uint64_t value) {
    return {{kConfig, (std::uint64_t{kSlot.routing_id()} << 12) + offset}, value, width};
  }

  // The driver puts the BARs where it wants them first: what it says of other places would be
  // said while they are elsewhere.
  static Access placed(std::uint64_t base, std::uint64_t offset, std::size_t width,
                       std::uint64_t value) {
    return {{kMemory, base + offset}, value, width};
  }
  void add_discovery(Script& out) const override {
    out.push_back(config(pci::kCommand, 2, 0));
    out.push_back(config(pci::kBar0, 4, kStructures & 0xffffffff));
    out.push_back(config(pci::kBar0 + 4, 4, kStructures >> 32));
    out.push_back(config(pci::kBar0 + 4 * kMsixBar, 4, kTable));
    out.push_back(config(pci::kCommand, 2, pci::kCommandMemory | pci::kCommandMaster));
  }
  void add_status(Script& out, std::uint8_t status) const override {
    out.push_back(placed(kStructures, kDeviceStatus, 1, status));
  }
  void add_features(Script& out, std::uint32_t word, std::uint32_t bits) const override {
    out.push_back(placed(kStructures, kDriverFeatureSelect, 4, word));
    out.push_back(placed(kStructures, kDriverFeature, 4, bits));
  }
  /// Vector n has the message (0xfee00000 + 4n, n); 0 is the configuration's.
  void add_interrupts(Script& out) const override {
    for (std::size_t i = 0; i < model_.vectors(); ++i) {
      out.push_back(placed(kTable, 16 * i, 8, 0xfee0'0000 + 4 * i));
      out.push_back(placed(kTable, 16 * i + 8, 8, i));
    }
    out.push_back(config(model_.msix_capability() + 2, 2, pci::kMsixEnable));
    out.push_back(placed(kStructures, kConfigMsixVector, 2, 0));
  }
  void add_queue(Script& out, std::uint16_t index, const ModelQueueSetup& setup) const override {
    out.push_back(placed(kStructures, kQueueSelect, 2, index));
    out.push_back(placed(kStructures, kQueueSize, 2, setup.size));
    out.push_back(placed(kStructures, kQueueMsixVector, 2, index + 1U));
    out.push_back(placed(kStructures, kQueueDesc, 8, setup.desc));
    out.push_back(placed(kStructures, kQueueDriver, 8, setup.avail));
    out.push_back(placed(kStructures, kQueueDevice, 8, setup.used));
    out.push_back(placed(kStructures, kQueueEnable, 2, 1));
  }

  // InterruptLine
  void set(bool asserted) override { bus_.set_interrupt(kSlot, asserted); }

  PciEvents events_;
  pci::Bus bus_;
  std::unique_ptr<virtio::PciTransport> transport_;
  VirtioPciModel model_;
};

}  // namespace

std::unique_ptr<DeviceTransport> pci_transport(virtio::Lifecycle& lifecycle,
                                               LifecycleModel& model) {
  return std::make_unique<PciDeviceTransport>(lifecycle, model);
}

}  // namespace guestproof::testing
