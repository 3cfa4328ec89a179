#include "guestproof/virtio/device/net/filter.h"

#include "net_fixture.h"

namespace guestproof::virtio::net {
namespace {

constexpr MacAddress kGroup2{0x33, 0x33, 0, 0, 0, 1};

MacTable table(std::initializer_list<MacAddress> macs) {
  MacTable out;
  for (const auto& mac : macs) out.macs[out.count++] = mac;
  return out;
}
RxFilter filter() {
  RxFilter out;
  out.by_address = true;
  out.knows_mac = true;
  out.mac = kMac;
  return out;
}

TEST(RxFilter, WithoutFeaturesTakesEverything) {
  const RxFilter none;
  for (const auto& to : {kMac, kOther, kGroup, kEverybody})
    EXPECT_TRUE(none.accepts(frame(14, to)));
  EXPECT_TRUE(none.accepts(tagged_frame(7)));
}

TEST(RxFilter, KnowsItsAddressAndBroadcast) {
  EXPECT_TRUE(filter().accepts(frame(14)));
  EXPECT_TRUE(filter().accepts(frame(14, kEverybody)));
  EXPECT_FALSE(filter().accepts(frame(14, kOther)));
  EXPECT_FALSE(filter().accepts(frame(14, kGroup)));
}

TEST(RxFilter, ATableIsOfItsKind) {
  auto f = filter();
  f.unicast = table({kOther});
  f.multicast = table({kGroup});
  EXPECT_TRUE(f.accepts(frame(14, kOther)));
  EXPECT_TRUE(f.accepts(frame(14, kGroup)));
  EXPECT_TRUE(f.accepts(frame(14)));
  EXPECT_FALSE(f.accepts(frame(14, kGroup2)));
}

TEST(RxFilter, LooksAtNoAddressBeyondTheCount) {
  auto f = filter();
  f.unicast = table({kOther});
  f.unicast.count = 0;
  EXPECT_FALSE(f.accepts(frame(14, kOther)));
}

TEST(RxFilter, AnOverflowingTableTakesItsKind) {
  auto f = filter();
  f.multicast.overflow = true;
  EXPECT_TRUE(f.accepts(frame(14, kGroup2)));
  EXPECT_FALSE(f.accepts(frame(14, kOther)));
  f = filter();
  f.unicast.overflow = true;
  EXPECT_TRUE(f.accepts(frame(14, kOther)));
  EXPECT_FALSE(f.accepts(frame(14, kGroup2)));
}

TEST(RxFilter, ModesTakeAllOfAKind) {
  auto f = filter();
  f.modes.all_multicast = true;
  EXPECT_TRUE(f.accepts(frame(14, kGroup)));
  EXPECT_FALSE(f.accepts(frame(14, kOther)));
  f = filter();
  f.modes.all_unicast = true;
  EXPECT_TRUE(f.accepts(frame(14, kOther)));
  EXPECT_FALSE(f.accepts(frame(14, kGroup)));
}

TEST(RxFilter, ModesSuppressAKindWhateverElseIsOn) {
  auto f = filter();
  f.modes.all_multicast = f.modes.all_unicast = true;
  f.modes.no_multicast = true;
  EXPECT_FALSE(f.accepts(frame(14, kGroup)));
  EXPECT_TRUE(f.accepts(frame(14, kEverybody)));
  f.modes.no_broadcast = true;
  EXPECT_FALSE(f.accepts(frame(14, kEverybody)));
  EXPECT_TRUE(f.accepts(frame(14)));
  f.modes.no_unicast = true;
  EXPECT_FALSE(f.accepts(frame(14)));
}

TEST(RxFilter, PromiscuousTakesEverything) {
  auto f = filter();
  f.by_vlan = true;
  f.modes = {.promiscuous = true,
             .all_multicast = false,
             .all_unicast = false,
             .no_multicast = true,
             .no_unicast = true,
             .no_broadcast = true};
  for (const auto& to : {kMac, kOther, kGroup, kEverybody})
    EXPECT_TRUE(f.accepts(tagged_frame(7, to)));
}

TEST(RxFilter, VlansAreAddedOneByOne) {
  auto f = filter();
  f.by_vlan = true;
  f.vlans.set(0);
  f.vlans.set(4095);
  EXPECT_TRUE(f.accepts(tagged_frame(0)));
  EXPECT_TRUE(f.accepts(tagged_frame(0xffff)));
  EXPECT_TRUE(f.accepts(tagged_frame(0xe000)));
  EXPECT_FALSE(f.accepts(tagged_frame(1)));
  EXPECT_FALSE(f.accepts(tagged_frame(4094)));
  EXPECT_FALSE(f.accepts(tagged_frame(0, kOther)));
  EXPECT_TRUE(f.accepts(frame(14)));
}

TEST(RxFilter, ATagThatIsCutOffIsOfNoVlan) {
  auto f = filter();
  f.by_vlan = true;
  f.vlans.set();
  EXPECT_TRUE(f.accepts(front(tagged_frame(5), 16)));
  EXPECT_FALSE(f.accepts(front(tagged_frame(5), 15)));
  EXPECT_FALSE(f.accepts(front(tagged_frame(5), 14)));
}

}  // namespace
}  // namespace guestproof::virtio::net
