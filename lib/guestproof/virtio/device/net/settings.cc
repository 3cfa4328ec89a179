#include "guestproof/virtio/device/net/settings.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "guestproof/virtio/device/error.h"
#include "guestproof/virtio/device/net/control.h"

namespace guestproof::virtio::net {
namespace {

struct SavedSettings {
  MacAddress mac;                              // 0
  std::uint8_t modes;                          // 6: bit n is the mode of command n
  std::uint8_t flags;                          // 7: kMacSet and so on
  le64 offloads;                               // 8
  le16 pairs;                                  // 16
  le16 unicast_count;                          // 18
  le16 multicast_count;                        // 20
  le16 reserved;                               // 22: 0
  std::array<MacAddress, kMaxMacs> unicast;    // 24: what is beyond the count is 0
  std::array<MacAddress, kMaxMacs> multicast;  // 408
  std::array<std::uint8_t, kVlans / 8> vlans;  // 792: bit n of byte m is VLAN 8m + n
};
static_assert(sizeof(SavedSettings) == kSettingsBytes && sizeof(SavedSettings) == 1304);
static_assert(offsetof(SavedSettings, offloads) == 8 && offsetof(SavedSettings, unicast) == 24 &&
              offsetof(SavedSettings, multicast) == 408 && offsetof(SavedSettings, vlans) == 792);

constexpr std::uint8_t kMacSet = 1;
constexpr std::uint8_t kAnnouncing = 2;
constexpr std::uint8_t kLinkUp = 4;
constexpr std::uint8_t kUnicastOverflow = 8;
constexpr std::uint8_t kMulticastOverflow = 16;

constexpr std::array kModes{&RxModes::promiscuous, &RxModes::all_multicast,
                            &RxModes::all_unicast, &RxModes::no_multicast,
                            &RxModes::no_unicast,  &RxModes::no_broadcast};
constexpr std::uint8_t kRxModes = 0b000011;
constexpr std::uint8_t kRxExtraModes = 0b111100;

/// A field at `offset` that is not 0 without its feature, or beyond what it may be.
std::unexpected<Error> wrong(std::uint64_t value, std::size_t offset) {
  return fail(DeviceStateError::kDevice, value, offset);
}

/// The bits of `flags` and `modes` that can be set after a negotiation of `features`.
std::uint8_t possible_flags(std::uint64_t features) {
  const auto has = [&](unsigned feature) { return (features & feature_bit(feature)) != 0; };
  return static_cast<std::uint8_t>(
      kLinkUp | (has(VIRTIO_NET_F_CTRL_MAC_ADDR) ? kMacSet : 0) |
      (has(VIRTIO_NET_F_GUEST_ANNOUNCE) ? kAnnouncing : 0) |
      (has(VIRTIO_NET_F_CTRL_RX) ? kUnicastOverflow | kMulticastOverflow : 0));
}
std::uint8_t possible_modes(std::uint64_t features) {
  const auto has = [&](unsigned feature) { return (features & feature_bit(feature)) != 0; };
  return static_cast<std::uint8_t>((has(VIRTIO_NET_F_CTRL_RX) ? kRxModes : 0) |
                                   (has(VIRTIO_NET_F_CTRL_RX_EXTRA) ? kRxExtraModes : 0));
}

/// One table. `macs_offset` is where its addresses are in SavedSettings.
Result<MacTable> read_table(const std::array<MacAddress, kMaxMacs>& macs, std::uint16_t count,
                            bool overflow, bool multicast, std::size_t count_offset,
                            std::size_t macs_offset) {
  if (count > (overflow ? 0 : kMaxMacs)) return wrong(count, count_offset);
  MacTable table{.count = count, .overflow = overflow, .macs = macs};
  if (const auto ok = check_kind(table, multicast); !ok)
    return wrong(ok.error().value(), macs_offset);
  for (const auto& mac : std::span(macs).subspan(count))
    if (mac != MacAddress{}) return wrong(number_of(mac), macs_offset);
  return table;
}

Result<void> read_tables(const SavedSettings& saved, std::uint64_t features, RxFilter& filter) {
  const auto most = (features & feature_bit(VIRTIO_NET_F_CTRL_RX)) != 0 ? kMaxMacs : 0;
  if (saved.unicast_count > most)
    return wrong(saved.unicast_count, offsetof(SavedSettings, unicast_count));
  if (saved.multicast_count > most)
    return wrong(saved.multicast_count, offsetof(SavedSettings, multicast_count));
  const auto unicast =
      read_table(saved.unicast, saved.unicast_count, (saved.flags & kUnicastOverflow) != 0, false,
                 offsetof(SavedSettings, unicast_count), offsetof(SavedSettings, unicast));
  if (!unicast) return std::unexpected(unicast.error());
  const auto multicast = read_table(
      saved.multicast, saved.multicast_count, (saved.flags & kMulticastOverflow) != 0, true,
      offsetof(SavedSettings, multicast_count), offsetof(SavedSettings, multicast));
  if (!multicast) return std::unexpected(multicast.error());
  filter.unicast = *unicast;
  filter.multicast = *multicast;
  return {};
}

Result<void> read_vlans(const SavedSettings& saved, std::uint64_t features, VlanSet& vlans) {
  for (std::size_t i = 0; i < kVlans; ++i) vlans[i] = (saved.vlans[i / 8] >> (i % 8) & 1) != 0;
  if (vlans.any() && (features & feature_bit(VIRTIO_NET_F_CTRL_VLAN)) == 0)
    return wrong(vlans.count(), offsetof(SavedSettings, vlans));
  return {};
}

Result<void> check_numbers(const SavedSettings& saved, const Config& config,
                           std::uint64_t features) {
  if (saved.reserved != 0) return wrong(saved.reserved, offsetof(SavedSettings, reserved));
  const bool mac_is_known =
      (saved.flags & kMacSet) != 0 ? !is_multicast(saved.mac) : saved.mac == config.mac;
  if (!mac_is_known) return wrong(number_of(saved.mac), offsetof(SavedSettings, mac));
  const auto most = (features & feature_bit(VIRTIO_NET_F_MQ)) != 0 ? config.max_pairs : 1;
  if (saved.pairs < 1 || saved.pairs > most)
    return wrong(saved.pairs, offsetof(SavedSettings, pairs));
  const bool can_change = (features & feature_bit(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS)) != 0;
  if (can_change ? !check_guest_offloads(saved.offloads, features)
                 : saved.offloads != (features & kGuestOffloads))
    return wrong(saved.offloads, offsetof(SavedSettings, offloads));
  return {};
}

}  // namespace

Settings Settings::initial(const Config& config, std::uint64_t features) {
  const auto has = [&](unsigned feature) { return (features & feature_bit(feature)) != 0; };
  Settings settings;
  settings.filter.by_address = has(VIRTIO_NET_F_CTRL_RX);
  settings.filter.by_vlan = has(VIRTIO_NET_F_CTRL_VLAN);
  settings.filter.knows_mac = has(VIRTIO_NET_F_MAC);
  settings.filter.mac = config.mac;
  settings.offloads = features & kGuestOffloads;
  return settings;
}

void append(const Settings& settings, std::vector<std::byte>& out) {
  const auto& filter = settings.filter;
  SavedSettings saved{};
  saved.mac = filter.mac;
  for (std::size_t i = 0; i < kModes.size(); ++i)
    if (filter.modes.*kModes[i]) saved.modes |= static_cast<std::uint8_t>(1U << i);
  saved.flags = static_cast<std::uint8_t>(
      (settings.mac_set ? kMacSet : 0) | (settings.announcing ? kAnnouncing : 0) |
      (settings.link_up ? kLinkUp : 0) | (filter.unicast.overflow ? kUnicastOverflow : 0) |
      (filter.multicast.overflow ? kMulticastOverflow : 0));
  saved.offloads = settings.offloads;
  saved.pairs = settings.pairs;
  saved.unicast_count = filter.unicast.count;
  saved.multicast_count = filter.multicast.count;
  saved.unicast = filter.unicast.macs;
  saved.multicast = filter.multicast.macs;
  for (std::size_t i = 0; i < kVlans; ++i)
    if (filter.vlans[i]) saved.vlans[i / 8] |= static_cast<std::uint8_t>(1U << i % 8);
  const auto bytes = std::as_bytes(std::span(&saved, 1));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

Result<Settings> read_settings(std::span<const std::byte> bytes, const Config& config,
                               std::uint64_t features) {
  SavedSettings saved;
  if (bytes.size() != sizeof saved)
    return wrong(bytes.size(), std::min(bytes.size(), sizeof saved));
  std::memcpy(static_cast<void*>(&saved), bytes.data(), sizeof saved);
  if ((saved.modes & ~possible_modes(features)) != 0)
    return wrong(saved.modes, offsetof(SavedSettings, modes));
  if ((saved.flags & ~possible_flags(features)) != 0)
    return wrong(saved.flags, offsetof(SavedSettings, flags));
  if (const auto ok = check_numbers(saved, config, features); !ok)
    return std::unexpected(ok.error());
  auto settings = Settings::initial(config, features);
  auto& filter = settings.filter;
  if (const auto ok = read_tables(saved, features, filter); !ok) return std::unexpected(ok.error());
  if (const auto ok = read_vlans(saved, features, filter.vlans); !ok)
    return std::unexpected(ok.error());
  settings.mac_set = (saved.flags & kMacSet) != 0;
  filter.knows_mac = filter.knows_mac || settings.mac_set;
  filter.mac = saved.mac;
  for (std::size_t i = 0; i < kModes.size(); ++i)
    filter.modes.*kModes[i] = (saved.modes >> i & 1) != 0;
  settings.offloads = saved.offloads;
  settings.pairs = saved.pairs;
  settings.announcing = (saved.flags & kAnnouncing) != 0;
  settings.link_up = (saved.flags & kLinkUp) != 0;
  return settings;
}

}  // namespace guestproof::virtio::net
