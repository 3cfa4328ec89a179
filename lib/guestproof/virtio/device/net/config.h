// What a network device is: address, offered features, virtqueue pairs, MTU. Chosen by the host,
// fixed for the device's life.
//
// Thread-safety: a value.
// Specification: virtio 1.3 §5.1.4 (the fields that carry the same names).
#pragma once

#include <cstdint>

#include "guestproof/base/error.h"
#include "guestproof/virtio/device/net/error.h"
#include "guestproof/virtio/device/net/features.h"
#include "guestproof/virtio/device/net/wire.h"

namespace guestproof::virtio::net {

/// The most virtqueue pairs of a device. A pair makes the device keep a received frame (64 KiB) and
/// two queues; drivers use as many as the guest has processors.
inline constexpr std::uint16_t kMaxPairs = 32;

/// What every host on IPv4 must be able to forward whole (RFC 791); §5.1.4.1 asks for no less.
inline constexpr std::uint16_t kMinMtu = 68;

[[nodiscard]] constexpr bool is_multicast(const MacAddress& mac) { return (mac[0] & 1) != 0; }
/// As one number, the first byte the highest; for errors.
[[nodiscard]] constexpr std::uint64_t number_of(const MacAddress& mac) {
  std::uint64_t number = 0;
  for (const auto byte : mac) number = number << 8 | byte;
  return number;
}

struct Config {
  MacAddress mac{};            // the driver knows it with VIRTIO_NET_F_MAC
  std::uint64_t features = 0;  // offered: bit n is VIRTIO_NET_F_… number n
  std::uint16_t max_pairs = 1;
  std::uint16_t mtu = 1500;             // counts with VIRTIO_NET_F_MTU
  std::uint32_t speed = kSpeedUnknown;  // in Mbit/s; both count with VIRTIO_NET_F_SPEED_DUPLEX
  std::uint8_t duplex = kDuplexUnknown;

  /// The first of these that applies is the error (NetConfigError):
  ///   1. kFeatures      a feature is not among kNetFeatures
  ///   2. kFeatureNeeds  one is offered without one that it needs (§2.2.1)
  ///   3. kMac           a multicast address
  ///   4. kPairs         max_pairs is not from 1 to kMaxPairs, or more than 1 without MQ
  ///   5. kMtu           with MTU, less than 68
  ///   6. kSpeed         with SPEED_DUPLEX, above 0x7fffffff and not unknown
  [[nodiscard]] Result<void> check() const;
};

}  // namespace guestproof::virtio::net
