#include "guestproof/ring0/register_file.h"

#include <gtest/gtest.h>

namespace guestproof::ring0 {
namespace {

std::mutex mutex;
RegisterFile file_of(auto... answering) { return {{std::move(answering).take()...}, mutex}; }

TEST(RegisterFile, AnswersWithinARangeOnly) {
  auto file = file_of(mmio(0x1000, 0x1000).reads(7));
  EXPECT_TRUE(file.read(false, 0x1000, 8).answered);
  EXPECT_TRUE(file.read(false, 0x1ff8, 8).answered);
  EXPECT_FALSE(file.read(false, 0x1ffc, 8).answered) << "over its end";
  EXPECT_FALSE(file.read(false, 0xfff, 1).answered);
  EXPECT_FALSE(file.read(false, 0x2000, 1).answered);
  EXPECT_FALSE(file.read(true, 0x1000, 1).answered) << "a port is no address";
  EXPECT_FALSE(file.write(false, 0x1000, 1, 0).answered) << "nothing is said of writes";
}

TEST(RegisterFile, NamesTheNextThatIsMissing) {
  auto file = file_of(mmio(0x1000, 0x1000).expects(1, 2), mmio(0x3000, 0x1000).expects(3));
  EXPECT_EQ(file.write(false, 0x1000, 4, 1).complaint, "");
  const auto missing = file.missing();
  ASSERT_EQ(missing.size(), 2U);
  EXPECT_EQ(missing[0], "address 0x1000 was written 1 time, and 0x2 was expected next");
  EXPECT_EQ(missing[1], "address 0x3000 was written 0 times, and 0x3 was expected next");
}

#if defined(__x86_64__)
TEST(RegisterFile, APortIsOneOfAnyWidth) {
  auto file = file_of(port(0x60).reads(0x11223344));
  EXPECT_EQ(file.read(true, 0x60, 4).value, 0x11223344U);
  EXPECT_NE(file.read(true, 0x60, 2).complaint, "");
  EXPECT_FALSE(file.read(true, 0x61, 1).answered);
}
#endif

}  // namespace
}  // namespace guestproof::ring0
