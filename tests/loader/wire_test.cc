#include "guestproof/loader/wire.h"

#include "support.h"

namespace guestproof::loader {
namespace {

TEST(UnalignedLeTest, HoldsTheLowestByteFirst) {
  const ule32 number = 0x0403'0201;
  EXPECT_EQ(number, 0x0403'0201u);
  Image bytes(4);
  std::memcpy(bytes.data(), &number, 4);
  EXPECT_EQ(bytes, (Image{1, 2, 3, 4}));
}

TEST(ReadWireTest, CopiesFromAnyOffset) {
  const Image bytes{0, 1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(read_wire<le64>(bytes_of(bytes), 1), 0x0807'0605'0403'0201u);
  EXPECT_EQ(read_wire<ule16>(bytes_of(bytes), 7), 0x0807u);
}

TEST(ReadWireDeathTest, NeverReadsPastTheEnd) {
  const Image bytes(8);
  EXPECT_DEATH((void)read_wire<le64>(bytes_of(bytes), 1), "range_within");
}

}  // namespace
}  // namespace guestproof::loader
