#include "guestproof/loader/cmdline.h"

#include "support.h"

namespace guestproof::loader {
namespace {

using namespace std::string_view_literals;

TEST(CmdlineTest, JoinsPieces) {
  Cmdline cmdline(Cmdline::kUsualLimit);
  ASSERT_TRUE(cmdline.append("console=ttyS0,115200 quiet"));
  ASSERT_TRUE(cmdline.append(""));
  ASSERT_TRUE(cmdline.append("dyndbg=\"\t\x80\""));
  EXPECT_EQ(cmdline.text(), "console=ttyS0,115200 quiet dyndbg=\"\t\x80\"");
}

TEST(CmdlineTest, TakesNoMoreThanTheKernel) {
  Cmdline cmdline(8);
  ASSERT_TRUE(cmdline.append("abc"));
  EXPECT_EQ(cmdline.append("defgh").error(), Error(CmdlineError::kTooLong, 9, 8));
  EXPECT_EQ(cmdline.text(), "abc");
  ASSERT_TRUE(cmdline.append("defg"));
  EXPECT_EQ(cmdline.text(), "abc defg");
  EXPECT_TRUE(cmdline.append(""));
  EXPECT_EQ(Cmdline(0).append("a").error(), Error(CmdlineError::kTooLong, 1, 0));
}

TEST(CmdlineTest, RefusesWhatEndsALineOrHidesInIt) {
  Cmdline cmdline(100);
  EXPECT_EQ(cmdline.append("ab\0c"sv).error(), Error(CmdlineError::kControlCharacter, 0, 2));
  EXPECT_EQ(cmdline.append("\n").error(), Error(CmdlineError::kControlCharacter, 10, 0));
  EXPECT_EQ(cmdline.append("a\x1f").error(), Error(CmdlineError::kControlCharacter, 0x1f, 1));
  EXPECT_EQ(cmdline.append("a\x7f").error(), Error(CmdlineError::kControlCharacter, 0x7f, 1));
  EXPECT_EQ(cmdline.text(), "");
}

class LoadedCmdlineTest : public ::testing::Test {
 protected:
  LoadedCmdlineTest() {
    fill(memory, 0xee);
    EXPECT_TRUE(cmdline.append("quiet"));
  }
  MappedMemory memory = make_memory(GuestAddress(0x1000), 0x1000);
  Cmdline cmdline{100};
};

TEST_F(LoadedCmdlineTest, EndsWithANul) {
  ASSERT_TRUE(load(memory, cmdline, {GuestAddress(0x1100), 6}));
  EXPECT_EQ(read(memory, 0x1100, 7), (Image{'q', 'u', 'i', 'e', 't', 0, 0xee}));
}

TEST_F(LoadedCmdlineTest, StaysInItsRoom) {
  EXPECT_EQ(load(memory, cmdline, {GuestAddress(0x1100), 5}).error(),
            Error(CmdlineError::kTooLong, 5, 4));
  EXPECT_EQ(load(memory, cmdline, {GuestAddress(0x1100), 0}).error(),
            Error(CmdlineError::kTooLong, 5, 0));
  EXPECT_EQ(load(memory, cmdline, {GuestAddress(0x1ffb), 6}).error().as<MemoryError>(),
            MemoryError::kUnmapped);
  EXPECT_EQ(read(memory, 0x1000, 0x1000), Image(0x1000, 0xee));
}

}  // namespace
}  // namespace guestproof::loader
