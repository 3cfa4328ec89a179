#include "guestproof/pci/bar_map.h"

#include <gtest/gtest.h>

namespace guestproof::pci {
namespace {

constexpr BarWindows kWindows{.memory = {{{0xe000'0000, 0x1000'0000}, {0x10'0000'0000, 1 << 30}}},
                              .io = {0xc000, 0x4000}};

BarRange memory(std::uint64_t base, std::uint64_t size) { return {false, base, size}; }
BarRange ports(std::uint64_t base, std::uint64_t size) { return {true, base, size}; }

class BarMapTest : public ::testing::Test {
 protected:
  Result<void> place(const BarRange& range, std::uint8_t bar = 0) {
    return map.place({range, {}, bar});
  }
  BarMap map = BarMap::create(kWindows).value();
};

TEST_F(BarMapTest, RefusesWindowsThatCannotBe) {
  const auto refusal = [](const BarWindows& windows) { return BarMap::create(windows).error(); };

  EXPECT_EQ(refusal({.memory = {{{0xffff'ffff'ffff'f000, 0x1001}, {}}}, .io = {}}),
            Error(PciBuildError::kAddressWindow, 0xffff'ffff'ffff'f000, UINT64_MAX));
  EXPECT_EQ(refusal({.memory = {}, .io = {0xf000, 0x1001}}),
            Error(PciBuildError::kAddressWindow, 0xf000, 0x10000));
  EXPECT_EQ(refusal({.memory = {{{0x1000, 0x1000}, {0x1fff, 1}}}, .io = {}}),
            Error(PciBuildError::kAddressWindow, 0x1000, 0x1fff));
  EXPECT_TRUE(BarMap::create(
      {.memory = {{{0xffff'ffff'ffff'f000, 0x1000}, {0, 0x1000}}}, .io = {0, 0x10000}}));
}

TEST_F(BarMapTest, FindsWhoHasAnAddress) {
  ASSERT_TRUE(place(memory(0xe000'2000, 0x1000), 1));
  ASSERT_TRUE(place(memory(0x10'0000'0000, 0x4000), 2));
  ASSERT_TRUE(place(memory(0xe000'0000, 0x1000), 3));
  ASSERT_TRUE(place(ports(0xc000, 32), 4));

  EXPECT_EQ(map.find(false, 0xe000'0000)->bar, 3);
  EXPECT_EQ(map.find(false, 0xe000'0fff)->bar, 3);
  EXPECT_EQ(map.find(false, 0xe000'1000), nullptr);
  EXPECT_EQ(map.find(false, 0xe000'2fff)->bar, 1);
  EXPECT_EQ(map.find(false, 0xe000'3000), nullptr);
  EXPECT_EQ(map.find(false, 0x10'0000'3fff)->bar, 2);
  EXPECT_EQ(map.find(false, 0), nullptr);
  EXPECT_EQ(map.find(false, UINT64_MAX), nullptr);
  EXPECT_EQ(map.find(true, 0xc01f)->bar, 4);
  EXPECT_EQ(map.find(false, 0xc000), nullptr);
  EXPECT_EQ(map.find(true, 0xe000'0000), nullptr);
}

TEST_F(BarMapTest, ABarIsWholeInOneWindow) {
  const auto refused = [&](const BarRange& range) {
    return place(range).error() == Error(PciError::kBarOutside, range.base, range.size);
  };
  EXPECT_TRUE(refused(memory(0, 0x1000)));
  EXPECT_TRUE(refused(memory(0xdfff'f000, 0x1000)));
  EXPECT_TRUE(refused(memory(0xe000'0000, 0x2000'0000)));
  EXPECT_TRUE(refused(memory(0xf000'0000, 0x1000)));
  EXPECT_TRUE(refused(memory(0xffff'ffff'ffff'f000, 0x1000)));
  EXPECT_TRUE(refused(memory(0, std::uint64_t{1} << 63)));
  EXPECT_TRUE(refused(ports(0xbfe0, 32)));
  EXPECT_TRUE(refused(ports(0x1'0000, 32)));
  EXPECT_TRUE(refused(ports(0xffff'fffc, 4)));
  EXPECT_TRUE(place(ports(0xffe0, 32)));
  EXPECT_TRUE(place(memory(0xefff'f000, 0x1000)));
}

TEST_F(BarMapTest, OfTwoThatMeetTheFirstStays) {
  ASSERT_TRUE(place(memory(0xe001'0000, 0x2000)));

  const auto refusal = [&](std::uint64_t base, std::uint64_t size) {
    return place(memory(base, size)).error();
  };
  EXPECT_EQ(refusal(0xe001'0000, 0x2000), Error(PciError::kBarOverlap, 0xe001'0000, 0xe001'0000));
  EXPECT_EQ(refusal(0xe001'1000, 0x1000), Error(PciError::kBarOverlap, 0xe001'1000, 0xe001'0000));
  EXPECT_EQ(refusal(0xe000'0000, 0x2'0000), Error(PciError::kBarOverlap, 0xe000'0000, 0xe001'0000));
  EXPECT_TRUE(place(memory(0xe001'2000, 0x1000)));
  EXPECT_TRUE(place(memory(0xe000'f000, 0x1000)));
}

TEST_F(BarMapTest, ClearedHasNone) {
  ASSERT_TRUE(place(ports(0xc000, 32)));
  map.clear();
  EXPECT_EQ(map.find(true, 0xc000), nullptr);
  EXPECT_TRUE(place(ports(0xc000, 32)));
}

TEST_F(BarMapTest, WithoutAWindowNothingIsPlaced) {
  map = BarMap::create({}).value();
  EXPECT_EQ(place(memory(0, 16)).error(), PciError::kBarOutside);
  EXPECT_EQ(place(ports(0, 4)).error(), PciError::kBarOutside);
}

}  // namespace
}  // namespace guestproof::pci
