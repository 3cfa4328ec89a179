#include "guestproof/virtio/device/net/control.h"

#include "net_fixture.h"

namespace guestproof::virtio::net {
namespace {

constexpr CommandLimits kLimits{.features = kNetFeatures, .max_pairs = 4};

class ControlTest : public ::testing::Test {
 protected:
  static constexpr GuestAddress kAt{0xff0};  // runs over the border of two regions that touch
  static constexpr std::array kRegions{Memory::RegionSpec{GuestAddress(0), 0x1000},
                                       Memory::RegionSpec{GuestAddress(0x1000), 0x2000}};

  Result<Command> read(const Bytes& bytes, const CommandLimits& limits = kLimits) {
    memory.clear_log();
    EXPECT_TRUE(write_bytes(guest, kAt, bytes));
    const Buffer buffer{kAt, static_cast<std::uint32_t>(bytes.size())};
    return read_command(
        Reader<Memory>(memory, std::span(&buffer, bytes.empty() ? 0 : 1), bytes.size()), limits);
  }
  Result<Command> read(std::uint8_t command_class, std::uint8_t command, const Bytes& data = {},
                       const CommandLimits& limits = kLimits) {
    return read(joined({bytes_of(VirtioNetCtrl{command_class, command}), data}), limits);
  }
  static Bytes number(std::uint32_t value) { return bytes_of(le32(value)); }
  static Bytes two(std::uint16_t value) { return bytes_of(le16(value)); }
  static Bytes macs(std::uint32_t count, const MacAddress& mac) {
    auto bytes = number(count);
    while (count-- != 0) bytes = joined({bytes, bytes_of(mac)});
    return bytes;
  }
  Result<Command> tables(const Bytes& data) {
    return read(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data);
  }

  Memory memory{kRegions};
  Memory::GuestView guest = memory.guest();
};

TEST_F(ControlTest, HasAClassAndACommand) {
  EXPECT_EQ(read({}).error(), Error(NetControlError::kHeader, 0, 2));
  EXPECT_EQ(read({std::byte{0}}).error(), Error(NetControlError::kHeader, 1, 2));
}

TEST_F(ControlTest, ReadsModes) {
  constexpr std::array kModes{&RxModes::promiscuous, &RxModes::all_multicast,
                              &RxModes::all_unicast, &RxModes::no_multicast,
                              &RxModes::no_unicast,  &RxModes::no_broadcast};
  for (std::uint8_t i = 0; i < kModes.size(); ++i) {
    EXPECT_EQ(read(VIRTIO_NET_CTRL_RX, i, {std::byte{1}}).value(),
              Command(SetMode{kModes[i], true}));
    EXPECT_EQ(read(VIRTIO_NET_CTRL_RX, i, {std::byte{0}}).value(),
              Command(SetMode{kModes[i], false}));
  }
  EXPECT_EQ(read(VIRTIO_NET_CTRL_RX, 0, {std::byte{255}}).error(),
            Error(NetControlError::kSwitch, 255, 1));
}

TEST_F(ControlTest, ReadsNumbers) {
  EXPECT_EQ(read(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, two(4095)).value(),
            Command(SetVlan{4095, true}));
  EXPECT_EQ(read(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, two(0)).value(),
            Command(SetVlan{0, false}));
  EXPECT_EQ(read(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, two(4096)).error(),
            Error(NetControlError::kVlan, 4096, 4096));
  EXPECT_EQ(read(VIRTIO_NET_CTRL_MQ, 0, two(4)).value(), Command(SetPairs{4}));
  EXPECT_EQ(read(VIRTIO_NET_CTRL_MQ, 0, two(5)).error(), Error(NetControlError::kPairs, 5, 4));
  EXPECT_EQ(read(VIRTIO_NET_CTRL_MQ, 0, two(0)).error(), Error(NetControlError::kPairs, 0, 4));
  EXPECT_EQ(read(VIRTIO_NET_CTRL_ANNOUNCE, 0).value(), Command(AcknowledgeAnnounce{}));
}

TEST_F(ControlTest, ReadsAddresses) {
  EXPECT_EQ(read(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, bytes_of(kMac)).value(),
            Command(SetMac{kMac}));
  EXPECT_EQ(read(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, bytes_of(kGroup)).error(),
            Error(NetControlError::kMacKind, 0x01005e000001));
}

TEST_F(ControlTest, ReadsOffloads) {
  const auto read_offloads = [&](std::uint64_t offloads, std::uint64_t features) {
    return read(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, bytes_of(le64(offloads)),
                {.features = features | feature_bit(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS)});
  };
  constexpr auto kCsum = bits({VIRTIO_NET_F_GUEST_CSUM});
  constexpr auto kTso = kCsum | bits({VIRTIO_NET_F_GUEST_TSO4});
  EXPECT_EQ(read_offloads(kCsum, kTso).value(), Command(SetOffloads{kCsum}));
  EXPECT_EQ(read_offloads(0, kTso).value(), Command(SetOffloads{0}));
  EXPECT_EQ(read_offloads(kTso, kCsum).error(), Error(NetControlError::kOffloads, kTso, kCsum));
  EXPECT_EQ(read_offloads(feature_bit(VIRTIO_NET_F_CSUM), kNetFeatures).error(),
            Error(NetControlError::kOffloads, 1, kGuestOffloads));
  EXPECT_EQ(
      read_offloads(kTso & ~kCsum, kTso).error(),
      Error(NetControlError::kOffloadNeeds, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_CSUM));
}

TEST_F(ControlTest, ACommandHasItsLength) {
  struct Case {
    std::uint8_t command_class;
    std::uint8_t command;
    std::size_t length;
  };
  for (const auto& [command_class, command, length] :
       std::array{Case{0, 0, 1}, Case{0, 5, 1}, Case{1, 1, 6}, Case{2, 0, 2}, Case{2, 1, 2},
                  Case{3, 0, 0}, Case{4, 0, 2}, Case{5, 0, 8}}) {
    EXPECT_EQ(read(command_class, command, Bytes(length + 1)).error(),
              Error(NetControlError::kLength, length + 1, length));
  }
}

TEST_F(ControlTest, ACommandIsNotShorterThanItsData) {
  EXPECT_EQ(read(VIRTIO_NET_CTRL_RX, 0).error(), Error(NetControlError::kLength, 0, 1));
  EXPECT_EQ(read(VIRTIO_NET_CTRL_MAC, 1, Bytes(5)).error(), Error(NetControlError::kLength, 5, 6));
  EXPECT_EQ(read(VIRTIO_NET_CTRL_VLAN, 0, Bytes(1)).error(), Error(NetControlError::kLength, 1, 2));
  EXPECT_EQ(read(VIRTIO_NET_CTRL_MQ, 0, Bytes(1)).error(), Error(NetControlError::kLength, 1, 2));
  EXPECT_EQ(read(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, Bytes(7)).error(),
            Error(NetControlError::kLength, 7, 8));
}

TEST_F(ControlTest, ACommandExistsAndWasNegotiated) {
  EXPECT_EQ(read(6, 0).error(), Error(NetControlError::kCommand, 6, 0));
  EXPECT_EQ(read(VIRTIO_NET_CTRL_MQ, 1).error(), Error(NetControlError::kCommand, 4, 1));
  for (const auto& [command_class, command, feature] : std::array{
           std::tuple{0, 0, VIRTIO_NET_F_CTRL_RX}, std::tuple{0, 1, VIRTIO_NET_F_CTRL_RX},
           std::tuple{0, 2, VIRTIO_NET_F_CTRL_RX_EXTRA},
           std::tuple{0, 5, VIRTIO_NET_F_CTRL_RX_EXTRA}, std::tuple{1, 0, VIRTIO_NET_F_CTRL_RX},
           std::tuple{1, 1, VIRTIO_NET_F_CTRL_MAC_ADDR}, std::tuple{2, 0, VIRTIO_NET_F_CTRL_VLAN},
           std::tuple{2, 1, VIRTIO_NET_F_CTRL_VLAN}, std::tuple{3, 0, VIRTIO_NET_F_GUEST_ANNOUNCE},
           std::tuple{4, 0, VIRTIO_NET_F_MQ}, std::tuple{5, 0, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS}})
    EXPECT_EQ(read(static_cast<std::uint8_t>(command_class), static_cast<std::uint8_t>(command), {},
                   {.features = kNetFeatures & ~feature_bit(feature), .max_pairs = 4})
                  .error(),
              Error(NetControlError::kNotNegotiated, command_class, feature));
}

TEST_F(ControlTest, ReadsTables) {
  MacTable unicast{.count = 2};
  unicast.macs[0] = unicast.macs[1] = kOther;
  MacTable multicast{.count = 1};
  multicast.macs[0] = kGroup;
  EXPECT_EQ(tables(joined({macs(2, kOther), macs(1, kGroup)})).value(),
            Command(SetMacTables{unicast, multicast}));
  EXPECT_EQ(tables(joined({macs(0, kOther), macs(0, kGroup)})).value(), Command(SetMacTables{}));
}

TEST_F(ControlTest, ATableEndsWhereItSays) {
  EXPECT_EQ(tables({}).error(), Error(NetControlError::kLength, 0, 4));
  EXPECT_EQ(tables(Bytes(3)).error(), Error(NetControlError::kLength, 3, 4));
  EXPECT_EQ(tables(number(1)).error(), Error(NetControlError::kTable, 1, 0));
  EXPECT_EQ(tables(joined({number(2), Bytes(11)})).error(), Error(NetControlError::kTable, 2, 1));
  EXPECT_EQ(tables(number(0xffffffff)).error(), Error(NetControlError::kTable, 0xffffffff, 0));
  EXPECT_EQ(tables(number(0x2aaaaaab)).error(), Error(NetControlError::kTable, 0x2aaaaaab, 0));
  EXPECT_EQ(tables(macs(1, kOther)).error(), Error(NetControlError::kLength, 0, 4));
  EXPECT_EQ(tables(joined({macs(1, kOther), macs(1, kGroup), Bytes(1)})).error(),
            Error(NetControlError::kLength, 1, 0));
}

TEST_F(ControlTest, ATableIsOfItsKind) {
  EXPECT_EQ(tables(joined({macs(1, kGroup), macs(0, kGroup)})).error(),
            Error(NetControlError::kMacKind, 0x01005e000001));
  EXPECT_EQ(tables(joined({macs(0, kOther), macs(1, kOther)})).error(),
            Error(NetControlError::kMacKind, 0x020000000002));
}

TEST_F(ControlTest, ALongTableIsNotRead) {
  const auto full = tables(joined({macs(kMaxMacs, kOther), macs(kMaxMacs, kGroup)})).value();
  EXPECT_EQ(std::get<SetMacTables>(full).unicast.count, kMaxMacs);
  EXPECT_FALSE(std::get<SetMacTables>(full).multicast.overflow);

  const auto more = tables(joined({macs(kMaxMacs + 1, kOther), macs(1, kGroup)})).value();
  EXPECT_TRUE(std::get<SetMacTables>(more).unicast.overflow);
  EXPECT_EQ(std::get<SetMacTables>(more).unicast.count, 0);
  EXPECT_EQ(std::get<SetMacTables>(more).multicast.count, 1);
  EXPECT_EQ(memory.fetch_count(GuestAddress(kAt.raw() + 2 + 4)), 0);
}

TEST_F(ControlTest, FetchesEachByteOnce) {
  ASSERT_TRUE(tables(joined({macs(2, kOther), macs(2, kGroup)})));
  for (std::uint64_t i = 0; i < 2 + 2 * (4 + 12); ++i)
    EXPECT_EQ(memory.fetch_count(GuestAddress(kAt.raw() + i)), 1) << i;
}

TEST_F(ControlTest, IsInGuestMemory) {
  const auto at = [&](GuestAddress where, std::uint32_t length) {
    const Buffer buffer{where, length};
    return read_command(Reader<Memory>(memory, std::span(&buffer, 1), length), kLimits).error();
  };
  EXPECT_EQ(at(GuestAddress(0x3000), 3), MemoryError::kUnmapped);
  EXPECT_EQ(at(GuestAddress(0x2fff), 3), MemoryError::kUnmapped);
  EXPECT_TRUE(write_bytes(guest, GuestAddress(0x2ffe), Bytes(2)));
  EXPECT_EQ(at(GuestAddress(0x2ffe), 3), MemoryError::kUnmapped);
}

TEST(NetControlErrorSentence, NamesTheValueAndTheLimit) {
  EXPECT_EQ(Error(NetControlError::kTable, 7, 3).message(),
            "a table of 7 MAC addresses, there are bytes for 3");
}

}  // namespace
}  // namespace guestproof::virtio::net
