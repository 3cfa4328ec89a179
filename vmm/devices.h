// The virtio devices that a Config asks for, with what is behind them on this host.
//
// Thread-safety: functions.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "guestproof/memory/mapped_memory.h"
#include "guestproof/virtio/device/device.h"
#include "vmm/config.h"

namespace guestproof::vmm {

struct Device {
  std::string name;                           // as the user knows it, for messages
  std::vector<std::shared_ptr<void>> behind;  // what the device works on, and outlives it
  std::unique_ptr<virtio::VirtioDevice<MappedMemory>> device;
  std::function<void()>
      begin;  // what there is to do once the device has its life cycle; or nothing
};

/// In the order of their options in Config. `memory` outlives them. Complaints: kSetup.
[[nodiscard]] Outcome<std::vector<Device>> make_devices(const Config& config,
                                                        const MappedMemory& memory);

}  // namespace guestproof::vmm
