#include "guestproof/testing/harness/echo_harness.h"

#include "guestproof/pci/error.h"

namespace guestproof::testing {

EchoHarness::EchoHarness() : DeviceHarness(2) {
  connect(device_, model_);
  requests_ = depth_.add("request:echo");
  // The echo device's fields take every value.
  depth_.add_errors<virtio::DeviceError>({virtio::DeviceError::kConfigValue});
  // Its own part of the state has always the same size.
  depth_.add_errors<virtio::DeviceStateError>({virtio::DeviceStateError::kDevice});
  // The queues' maximum sizes are right, and each is activated as it was enabled.
  depth_.add_errors<virtio::QueueConfigError>({virtio::QueueConfigError::kMaxSize,
                                               virtio::QueueConfigError::kNotReady,
                                               virtio::QueueConfigError::kLayout});
}

PciHarness::PciHarness() {
  // Configuration ports are the target pci_config's, and so is what a bus refuses to restore.
  depth_.add_errors<pci::PciError>({pci::PciError::kPort, pci::PciError::kAddressDisabled,
                                    pci::PciError::kNoBar, pci::PciError::kDecodeOff,
                                    pci::PciError::kNoMsix});
  // Function and transport look before they use the table.
  depth_.add_errors<pci::MsixError>({pci::MsixError::kVectors, pci::MsixError::kTableEnd,
                                     pci::MsixError::kPbaEnd, pci::MsixError::kVector,
                                     pci::MsixError::kDisabled});
}

void EchoHarness::request(Lane& lane, const Record& record) {
  const le64 header(record.value);
  RequestShape shape;
  shape.header = std::as_bytes(std::span(&header, 1));
  shape.readable_data = record.length % 2048;
  shape.writable_data = record.extra == 0 ? 16 : record.extra % 2048;
  shape.cut = record.width;
  shape.flags = record.flags;
  shape.data = address_of(lane, record);
  publish_request(lane, shape);
}

DeviceHarness::Turn EchoHarness::serve_model(Lane& lane, std::uint32_t looks) {
  return model_turn(lane, looks, [&](const ModelChain& chain) {
    depth_.count(requests_);
    if (!chain.fault.none()) expect_refusal(chain.fault);
    return echo_model(world().model(), chain);
  });
}

void EchoHarness::host_event(std::uint8_t, const Record& record) {
  const auto value = static_cast<std::uint32_t>(record.value);
  step([&] { device_.tell(value); },
       [&] {
         model_.tell(value);
         lifecycle_model().config_changed();
       });
}

}  // namespace guestproof::testing
