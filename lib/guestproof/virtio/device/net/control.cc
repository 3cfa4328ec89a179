#include "guestproof/virtio/device/net/control.h"

#include <algorithm>
#include <cstring>

namespace guestproof::virtio::net {
namespace {

struct Entry {
  std::uint8_t command_class;
  std::uint8_t command;
  unsigned feature;
  std::optional<std::size_t> data_bytes;
};

// MAC_ADDR_SET needs its own feature only: Linux sends it whether CTRL_RX was negotiated or not.
constexpr std::array kCommands{
    Entry{VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, VIRTIO_NET_F_CTRL_RX, 1},
    Entry{VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, VIRTIO_NET_F_CTRL_RX, 1},
    Entry{VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLUNI, VIRTIO_NET_F_CTRL_RX_EXTRA, 1},
    Entry{VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOMULTI, VIRTIO_NET_F_CTRL_RX_EXTRA, 1},
    Entry{VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOUNI, VIRTIO_NET_F_CTRL_RX_EXTRA, 1},
    Entry{VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, VIRTIO_NET_F_CTRL_RX_EXTRA, 1},
    Entry{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, VIRTIO_NET_F_CTRL_RX, std::nullopt},
    Entry{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, VIRTIO_NET_F_CTRL_MAC_ADDR,
          sizeof(MacAddress)},
    Entry{VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, VIRTIO_NET_F_CTRL_VLAN, sizeof(le16)},
    Entry{VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, VIRTIO_NET_F_CTRL_VLAN, sizeof(le16)},
    Entry{VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, VIRTIO_NET_F_GUEST_ANNOUNCE, 0},
    Entry{VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, VIRTIO_NET_F_MQ, sizeof(le16)},
    Entry{VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
          VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, sizeof(le64)},
};

// By command.
constexpr std::array kModes{&RxModes::promiscuous, &RxModes::all_multicast,
                            &RxModes::all_unicast, &RxModes::no_multicast,
                            &RxModes::no_unicast,  &RxModes::no_broadcast};

template <class T>
T front(const FixedData& data) {
  T value{};
  static_assert(sizeof value <= sizeof data);
  std::memcpy(static_cast<void*>(&value), data.data(), sizeof value);
  return value;
}

Result<Command> decode_mode(std::uint8_t command, std::uint8_t value) {
  if (value > 1) return fail(NetControlError::kSwitch, value, 1);
  return SetMode{kModes[command], value == 1};
}

Result<Command> decode_mac(const MacAddress& mac) {
  if (is_multicast(mac)) return fail(NetControlError::kMacKind, number_of(mac));
  return SetMac{mac};
}

Result<Command> decode_vlan(std::uint8_t command, std::uint16_t vlan) {
  if (vlan >= kVlans) return fail(NetControlError::kVlan, vlan, kVlans);
  return SetVlan{vlan, command == VIRTIO_NET_CTRL_VLAN_ADD};
}

Result<Command> decode_pairs(std::uint16_t pairs, std::uint16_t max_pairs) {
  if (pairs < VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN || pairs > max_pairs)
    return fail(NetControlError::kPairs, pairs, max_pairs);
  return SetPairs{pairs};
}

Result<Command> decode_offloads(std::uint64_t offloads, std::uint64_t features) {
  if (const auto ok = check_guest_offloads(offloads, features); !ok)
    return std::unexpected(ok.error());
  return SetOffloads{offloads};
}

}  // namespace

Result<void> check_guest_offloads(std::uint64_t offloads, std::uint64_t features) {
  const auto negotiated = features & kGuestOffloads;
  if ((offloads & ~negotiated) != 0) return fail(NetControlError::kOffloads, offloads, negotiated);
  if (const auto unmet = unmet_need(offloads); unmet)
    return fail(NetControlError::kOffloadNeeds, unmet->feature, unmet->needs);
  return {};
}

Result<std::optional<std::size_t>> data_bytes(const VirtioNetCtrl& header, std::uint64_t features) {
  const auto entry = std::ranges::find_if(kCommands, [&](const Entry& each) {
    return each.command_class == header.command_class && each.command == header.command;
  });
  if (entry == kCommands.end())
    return fail(NetControlError::kCommand, header.command_class, header.command);
  if ((features & feature_bit(entry->feature)) == 0)
    return fail(NetControlError::kNotNegotiated, header.command_class, entry->feature);
  return entry->data_bytes;
}

Result<Command> decode(const VirtioNetCtrl& header, const FixedData& data,
                       const CommandLimits& limits) {
  switch (header.command_class) {
    case VIRTIO_NET_CTRL_RX:
      return decode_mode(header.command, front<std::uint8_t>(data));
    case VIRTIO_NET_CTRL_MAC:
      return decode_mac(front<MacAddress>(data));
    case VIRTIO_NET_CTRL_VLAN:
      return decode_vlan(header.command, front<le16>(data));
    case VIRTIO_NET_CTRL_ANNOUNCE:
      return AcknowledgeAnnounce{};
    case VIRTIO_NET_CTRL_MQ:
      return decode_pairs(front<le16>(data), limits.max_pairs);
    default:
      return decode_offloads(front<le64>(data), limits.features);
  }
}

Result<void> check_kind(const MacTable& table, bool multicast) {
  for (const auto& mac : table.all())
    if (is_multicast(mac) != multicast) return fail(NetControlError::kMacKind, number_of(mac));
  return {};
}

}  // namespace guestproof::virtio::net
