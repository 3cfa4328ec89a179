#include "guestproof/base/endian.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstddef>

namespace guestproof {
namespace {

using ::testing::ElementsAre;

template <class Field>
auto bytes_of(Field field) {
  return std::bit_cast<std::array<unsigned char, sizeof(Field)>>(field);
}

TEST(EndianTest, StoresTheLowByteFirst) {
  EXPECT_THAT(bytes_of(le16(0x1234)), ElementsAre(0x34, 0x12));
  EXPECT_THAT(bytes_of(le32(0x12345678)), ElementsAre(0x78, 0x56, 0x34, 0x12));
  EXPECT_THAT(bytes_of(le64(0x0123456789abcdef)),
              ElementsAre(0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01));
}

TEST(EndianTest, ReadsBackWhatWasStored) {
  EXPECT_EQ(le16(0x1234), 0x1234u);
  EXPECT_EQ(le32(0x12345678), 0x12345678u);
  EXPECT_EQ(le64(0x0123456789abcdef), 0x0123456789abcdefu);
}

TEST(EndianTest, IsZeroByDefault) { EXPECT_EQ(le64(), 0u); }

TEST(EndianTest, IsAsAlignedAsItsInteger) {
  EXPECT_EQ(alignof(le16), alignof(std::uint16_t));
  EXPECT_EQ(alignof(le32), alignof(std::uint32_t));
  EXPECT_EQ(alignof(le64), alignof(std::uint64_t));
}

}  // namespace
}  // namespace guestproof
