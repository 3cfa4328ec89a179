#include "vmm/guest_ram.h"

#include <gtest/gtest.h>

#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>

namespace guestproof::vmm {
namespace {

using loader::GuestRange;
constexpr std::uint64_t kMib = 1 << 20;
constexpr std::uint64_t kGap = 0xd0000000;

/// What the kernel says of the first region's mapping (proc_pid_smaps(5)).
bool advised_huge(const MappedMemory& ram) {
  const auto address = reinterpret_cast<std::uintptr_t>(ram.regions()[0].host());
  std::ifstream facts("/proc/self/smaps");
  bool ours = false;
  for (std::string line; std::getline(facts, line);) {
    std::uintptr_t first = 0, end = 0;
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " ", &first, &end) == 2)
      ours = first <= address && address < end;
    if (ours && line.starts_with("VmFlags:")) return line.find(" hg") != std::string::npos;
  }
  ADD_FAILURE() << "there is no such mapping";
  return false;
}

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
  EXPECT_FALSE(advised_huge(make_ram(config).value()));
  config.huge_pages = true;
  EXPECT_TRUE(advised_huge(make_ram(config).value()));
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
