#include "guestproof/base/range_map.h"

#include <gtest/gtest.h>

namespace guestproof {
namespace {

TEST(RangeMapTest, FindsTheRangeThatHasAnAddress) {
  RangeMap<char> map;
  ASSERT_EQ(map.insert(0x2000, 0x2fff, 'b'), nullptr);
  ASSERT_EQ(map.insert(0x1000, 0x1000, 'a'), nullptr);
  ASSERT_EQ(map.insert(0xffff'ffff'ffff'f000, UINT64_MAX, 'c'), nullptr);

  EXPECT_EQ(map.find(0xfff), nullptr);
  EXPECT_EQ(map.find(0x1000)->value, 'a');
  EXPECT_EQ(map.find(0x1001), nullptr);
  EXPECT_EQ(map.find(0x2000)->value, 'b');
  EXPECT_EQ(map.find(0x2fff)->value, 'b');
  EXPECT_EQ(map.find(0x3000), nullptr);
  EXPECT_EQ(map.find(UINT64_MAX)->value, 'c');
  EXPECT_EQ(map.find(0), nullptr);
}

TEST(RangeMapTest, NamesTheHighestRangeThatIsInTheWay) {
  RangeMap<char> map;
  ASSERT_EQ(map.insert(0x1000, 0x1fff, 'a'), nullptr);
  ASSERT_EQ(map.insert(0x3000, 0x3fff, 'b'), nullptr);

  EXPECT_EQ(map.insert(0, UINT64_MAX, 'x')->value, 'b');
  EXPECT_EQ(map.insert(0x1fff, 0x2000, 'x')->value, 'a');
  EXPECT_EQ(map.insert(0x2000, 0x3000, 'x')->value, 'b');
  EXPECT_EQ(map.find(0x2000), nullptr);
  EXPECT_EQ(map.insert(0x2000, 0x2fff, 'c'), nullptr);
}

TEST(RangeMapTest, ClearedHasNone) {
  RangeMap<char> map;
  map.reserve(1);
  ASSERT_EQ(map.insert(0, 9, 'a'), nullptr);
  map.clear();
  EXPECT_EQ(map.find(0), nullptr);
}

}  // namespace
}  // namespace guestproof
