#include "guestproof/virtio/device/net/filter.h"

#include <algorithm>
#include <cstring>

#include "guestproof/virtio/device/net/config.h"

namespace guestproof::virtio::net {
namespace {

constexpr std::size_t kTypeOffset = 12;
constexpr unsigned kVlanTagType = 0x8100;
constexpr unsigned kVlanIdMask = kVlans - 1;  // of the tag's second half; above are priority bits
constexpr MacAddress kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

unsigned big_endian_16(std::span<const std::byte> bytes, std::size_t offset) {
  return std::to_integer<unsigned>(bytes[offset]) << 8 |
         std::to_integer<unsigned>(bytes[offset + 1]);
}

}  // namespace

bool MacTable::accepts(const MacAddress& mac) const {
  return overflow || std::ranges::find(all(), mac) != all().end();
}

bool RxFilter::accepts(std::span<const std::byte> frame) const {
  if (modes.promiscuous) return true;
  if (by_vlan && !accepts_vlan(frame)) return false;
  MacAddress destination;
  std::memcpy(destination.data(), frame.data(), destination.size());
  return accepts_address(destination);
}

bool RxFilter::accepts_vlan(std::span<const std::byte> frame) const {
  if (big_endian_16(frame, kTypeOffset) != kVlanTagType) return true;
  if (frame.size() < kTypeOffset + kVlanTagBytes) return false;
  return vlans.test(big_endian_16(frame, kTypeOffset + 2) & kVlanIdMask);
}

bool RxFilter::accepts_address(const MacAddress& destination) const {
  if (destination == kBroadcast) return !modes.no_broadcast;
  if (is_multicast(destination))
    return !modes.no_multicast &&
           (!by_address || modes.all_multicast || multicast.accepts(destination));
  return !modes.no_unicast && (!by_address || modes.all_unicast || !knows_mac ||
                               destination == mac || unicast.accepts(destination));
}

}  // namespace guestproof::virtio::net
