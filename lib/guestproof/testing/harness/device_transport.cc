#include "guestproof/testing/harness/device_transport.h"

#include <string>

namespace guestproof::testing {

void DeviceTransport::bring_up(std::uint64_t features, std::span<const ModelQueueSetup> queues,
                               Script& out) const {
  constexpr std::uint8_t kFound = virtio::VIRTIO_STATUS_ACKNOWLEDGE;
  constexpr std::uint8_t kDriving = kFound | virtio::VIRTIO_STATUS_DRIVER;
  constexpr std::uint8_t kAgreed = kDriving | virtio::VIRTIO_STATUS_FEATURES_OK;
  add_discovery(out);
  for (const auto status : {std::uint8_t{0}, kFound, kDriving}) add_status(out, status);
  for (const std::uint32_t word : {0U, 1U})
    add_features(out, word, static_cast<std::uint32_t>(features >> 32 * word));
  add_status(out, kAgreed);
  add_interrupts(out);
  for (std::size_t i = 0; i < queues.size(); ++i)
    add_queue(out, static_cast<std::uint16_t>(i), queues[i]);
  add_status(out, kAgreed | virtio::VIRTIO_STATUS_DRIVER_OK);
}

void compare_numbers(std::string_view what, std::uint64_t device, std::uint64_t model) {
  if (device != model)
    violated(kModelAgreement,
             std::string(what) + " is " + hex(device) + ", the model's " + hex(model));
}

}  // namespace guestproof::testing
