#include "vmm/guest_ram.h"

#include <gtest/gtest.h>

namespace guestproof::vmm {
namespace {

using loader::GuestRange;
constexpr std::uint64_t kMib = 1 << 20;
constexpr std::uint64_t kGap = 0xd0000000;

TEST(GuestRam, LeavesTheGapBelowFourGigabytesFree) {
  EXPECT_EQ(ram_ranges(256 * kMib), (std::vector<GuestRange>{{GuestAddress(0), 256 * kMib}}));
  EXPECT_EQ(ram_ranges(kGap), (std::vector<GuestRange>{{GuestAddress(0), kGap}}));
  EXPECT_EQ(ram_ranges(kGap + kMib),
            (std::vector<GuestRange>{{GuestAddress(0), kGap}, {GuestAddress(1ull << 32), kMib}}));
}

TEST(GuestRam, IsMappedAsThat) {
  Config config;
  config.memory_mib = kGap / kMib + 2;
  const auto ram = make_ram(config);
  ASSERT_TRUE(ram) << ram.error().sentence;
  ASSERT_EQ(ram->regions().size(), 2u);
  EXPECT_EQ(ram->regions()[1].base(), GuestAddress(1ull << 32));
  EXPECT_EQ(ram->regions()[1].size(), 2 * kMib);
}

TEST(GuestRam, MayBeOfHugePages) {
  Config config;
  config.memory_mib = 64;
  config.huge_pages = true;
  EXPECT_TRUE(make_ram(config));
}

TEST(GuestRam, SaysWhenThereIsNotSoMuch) {
  Config config;
  config.memory_mib = std::uint64_t{1} << 42;  // more than processors have addresses for
  const auto ram = make_ram(config);
  ASSERT_FALSE(ram);
  EXPECT_EQ(ram.error().code, ExitCode::kSetup);
  EXPECT_TRUE(ram.error().sentence.starts_with("--memory: size_mib=4398046511104: "))
      << ram.error().sentence;
}

}  // namespace
}  // namespace guestproof::vmm
