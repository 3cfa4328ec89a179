// What a driver sets by commands, and what the host changes while the device runs; and its bytes in
// saved state.
//
// Thread-safety: values.
// Specification: virtio 1.3 §5.1.6.5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "guestproof/base/error.h"
#include "guestproof/virtio/device/net/config.h"
#include "guestproof/virtio/device/net/filter.h"

namespace guestproof::virtio::net {

struct Settings {
  RxFilter filter;
  bool mac_set = false;        // filter.mac is not the device's but the driver's choice
  std::uint64_t offloads = 0;  // on now, of those negotiated: bits of kGuestOffloads
  std::uint16_t pairs = 1;     // in use
  bool announcing = false;     // VIRTIO_NET_S_ANNOUNCE
  bool link_up = true;         // VIRTIO_NET_S_LINK_UP

  /// As a driver that negotiated `features` finds them; 0: before that.
  [[nodiscard]] static Settings initial(const Config& config, std::uint64_t features);
  friend bool operator==(const Settings&, const Settings&) = default;
};

/// Appends kSettingsBytes; settings.cc has their layout.
void append(const Settings& settings, std::vector<std::byte>& out);
inline constexpr std::size_t kSettingsBytes = 1304;

/// What append() appended. Errors: DeviceStateError::kDevice, the bytes are not what a driver that
/// negotiated `features` can have reached on this device.
[[nodiscard]] Result<Settings> read_settings(std::span<const std::byte> bytes, const Config& config,
                                             std::uint64_t features);

}  // namespace guestproof::virtio::net
