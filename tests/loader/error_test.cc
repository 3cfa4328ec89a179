#include "guestproof/loader/error.h"

#include <gtest/gtest.h>

namespace guestproof::loader {
namespace {

TEST(LoaderErrorTest, SaysTheValueAndTheLimit) {
  EXPECT_EQ(Error(ElfError::kSegmentFile, 0x1000, 0x800).message(),
            "a segment at 0x1000 passes the end of a file of 0x800 bytes");
  EXPECT_EQ(Error(BzImageError::kLoadAlignment, 0x100800, 0x1000).message(),
            "a load address of 0x100800 for a kernel that is aligned to 0x1000");
  EXPECT_EQ(Error(CmdlineError::kTooLong, 2050, 2047).message(),
            "a command line of 2050 bytes; the kernel takes 2047");
  EXPECT_EQ(Error(BootError::kInitrdRoom, 4096, 0x7fffffff).message(),
            "no RAM up to 0x7fffffff has room for an initrd of 4096 bytes");
}

}  // namespace
}  // namespace guestproof::loader
