// Commands of the control virtqueue: read once from guest memory, checked, and made a value of one
// of the types below. What they do is virtio_net.h's.
//
// The first of these that applies is the error; nothing is done then, and the ack is ERR. D is the
// length of the data, all device-readable bytes after class and command:
//   1. kHeader         fewer than 2 device-readable bytes
//   2. a MemoryError   class and command are not in guest memory
//   3. kCommand        there is no such command
//   4. kNotNegotiated  its feature was not negotiated (control.cc has the table)
//   5. kLength         D is not what the command has; of MAC_TABLE_SET, bytes are left after the
//                      second table, or there are fewer than 4 for a table's length
//   6. kTable          MAC_TABLE_SET: a table is longer than the bytes that are left
//   7. a MemoryError   the data are not in guest memory; addresses beyond kMaxMacs are not looked
//   at
//   8. by command:
//        a mode: not 0 or 1                                kSwitch
//        MAC_TABLE_SET: a multicast address in the first   kMacKind (§5.1.6.5.2.2)
//          table, a unicast address in the second
//        MAC_ADDR_SET: a multicast address                 kMacKind
//        VLAN_ADD, VLAN_DEL: 4096 or more                  kVlan
//        VQ_PAIRS_SET: 0, or more than there are           kPairs
//        GUEST_OFFLOADS_SET: one that was not negotiated   kOffloads (§5.1.6.5.8.1.1)
//          one without another that it needs (§5.1.3.1)    kOffloadNeeds
//
// Thread-safety: pure functions.
// Specification: virtio 1.3 §5.1.6.5.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>

#include "guestproof/virtio/device/net/config.h"
#include "guestproof/virtio/device/net/filter.h"
#include "guestproof/virtio/queue/cursor.h"

namespace guestproof::virtio::net {

struct SetMode {
  bool RxModes::* mode = nullptr;
  bool on = false;
  friend bool operator==(const SetMode&, const SetMode&) = default;
};
struct SetMacTables {
  MacTable unicast;
  MacTable multicast;
  friend bool operator==(const SetMacTables&, const SetMacTables&) = default;
};
struct SetMac {
  MacAddress mac{};
  friend bool operator==(const SetMac&, const SetMac&) = default;
};
struct SetVlan {
  std::uint16_t vlan = 0;
  bool on = false;
  friend bool operator==(const SetVlan&, const SetVlan&) = default;
};
struct AcknowledgeAnnounce {
  friend bool operator==(const AcknowledgeAnnounce&, const AcknowledgeAnnounce&) = default;
};
struct SetPairs {
  std::uint16_t pairs = 0;
  friend bool operator==(const SetPairs&, const SetPairs&) = default;
};
struct SetOffloads {
  std::uint64_t offloads = 0;  // bits of kGuestOffloads
  friend bool operator==(const SetOffloads&, const SetOffloads&) = default;
};
using Command = std::variant<SetMode, SetMacTables, SetMac, SetVlan, AcknowledgeAnnounce, SetPairs,
                             SetOffloads>;

/// What commands are checked against.
struct CommandLimits {
  std::uint64_t features = 0;  // negotiated
  std::uint16_t max_pairs = 1;
};

/// Offloads that a driver may ask for. Errors: kOffloads, kOffloadNeeds.
[[nodiscard]] Result<void> check_guest_offloads(std::uint64_t offloads, std::uint64_t features);

/// The longest data of a command but MAC_TABLE_SET.
inline constexpr std::size_t kMaxFixedData = 8;
using FixedData = std::array<std::byte, kMaxFixedData>;

/// The bytes of data that a command has; nothing for MAC_TABLE_SET. Errors: checks 3 and 4.
[[nodiscard]] Result<std::optional<std::size_t>> data_bytes(const VirtioNetCtrl& header,
                                                            std::uint64_t features);
/// Check 8. REQUIRES: data_bytes() has given a length, which the front of `data` has.
[[nodiscard]] Result<Command> decode(const VirtioNetCtrl& header, const FixedData& data,
                                     const CommandLimits& limits);
/// Check 8 for one table.
[[nodiscard]] Result<void> check_kind(const MacTable& table, bool multicast);

template <GuestMemory M>
[[nodiscard]] Result<MacTable> read_table(Reader<M>& reader) {
  if (reader.remaining() < sizeof(le32))
    return fail(NetControlError::kLength, reader.remaining(), sizeof(le32));
  const auto entries = reader.template read_object<le32>();
  if (!entries) return std::unexpected(entries.error());
  const auto bytes = sizeof(MacAddress) * std::uint64_t{*entries};
  if (bytes > reader.remaining())
    return fail(NetControlError::kTable, *entries, reader.remaining() / sizeof(MacAddress));
  MacTable table;
  table.overflow = *entries > kMaxMacs;
  if (!table.overflow) table.count = static_cast<std::uint16_t>(*entries);
  const auto read =
      table.overflow
          ? reader.skip(bytes)
          : reader.read(std::as_writable_bytes(std::span(table.macs).first(table.count)));
  if (!read) return std::unexpected(read.error());
  return table;
}

template <GuestMemory M>
[[nodiscard]] Result<Command> read_mac_tables(Reader<M>& reader) {
  const auto unicast = read_table(reader);
  if (!unicast) return std::unexpected(unicast.error());
  const auto multicast = read_table(reader);
  if (!multicast) return std::unexpected(multicast.error());
  if (reader.remaining() != 0) return fail(NetControlError::kLength, reader.remaining(), 0);
  if (const auto ok = check_kind(*unicast, false); !ok) return std::unexpected(ok.error());
  if (const auto ok = check_kind(*multicast, true); !ok) return std::unexpected(ok.error());
  return SetMacTables{*unicast, *multicast};
}

/// The command in the device-readable bytes of a chain. Errors: as above.
template <GuestMemory M>
[[nodiscard]] Result<Command> read_command(Reader<M> reader, const CommandLimits& limits) {
  if (reader.remaining() < sizeof(VirtioNetCtrl))
    return fail(NetControlError::kHeader, reader.remaining(), sizeof(VirtioNetCtrl));
  const auto header = reader.template read_object<VirtioNetCtrl>();
  if (!header) return std::unexpected(header.error());
  const auto length = data_bytes(*header, limits.features);
  if (!length) return std::unexpected(length.error());
  if (!*length) return read_mac_tables(reader);
  if (reader.remaining() != **length)
    return fail(NetControlError::kLength, reader.remaining(), **length);
  FixedData data{};
  if (const auto read = reader.read(std::span(data).first(**length)); !read)
    return std::unexpected(read.error());
  return decode(*header, data, limits);
}

}  // namespace guestproof::virtio::net
