#include "guestproof/loader/memory_map.h"

#include "support.h"

namespace guestproof::loader {

void PrintTo(const GuestRange& range, std::ostream* out) {
  PrintTo(range.base, out);
  *out << "+" << range.size;
}
void PrintTo(const MemoryMapEntry& entry, std::ostream* out) {
  PrintTo(entry.range, out);
  *out << " " << static_cast<std::uint32_t>(entry.type);
}

namespace {

using Map = std::vector<MemoryMapEntry>;
using Ram = std::vector<GuestRange>;

constexpr GuestRange range(std::uint64_t base, std::uint64_t size) {
  return {GuestAddress(base), size};
}
constexpr MemoryMapEntry ram(std::uint64_t base, std::uint64_t size) {
  return {range(base, size), MemoryType::kRam};
}
constexpr MemoryMapEntry reserved(std::uint64_t base, std::uint64_t size) {
  return {range(base, size), MemoryType::kReserved};
}

TEST(MemoryMapTest, RamOfAnX86MachineWithAGap) {
  const Ram regions{range(0, 0xd000'0000), range(0x1'0000'0000, 0x1000'0000)};
  EXPECT_EQ(make_memory_map(regions, kX86Reserved),
            (Map{ram(0, 0x9fc00), reserved(0x9fc00, 0x60400), ram(0x100000, 0xcff0'0000),
                 ram(0x1'0000'0000, 0x1000'0000)}));
}

TEST(MemoryMapTest, SortsAndJoins) {
  const Ram regions{range(0x3000, 0x1000), range(0x1000, 0x1000), range(0x2000, 0x1000)};
  EXPECT_EQ(make_memory_map(regions, {}), (Map{ram(0x1000, 0x3000)}));
}

TEST(MemoryMapTest, ReservedRangesLieAnywhere) {
  const Ram regions{range(0x1000, 0x1000), range(0x2000, 0x1000), range(0x5000, 0x1000)};
  const Map kept{reserved(0x5800, 0x1000),
                 reserved(0x8000, 0x1000),
                 {range(0x1800, 0x1000), MemoryType::kNvs},
                 reserved(0x4000, 0x1000),
                 reserved(0, 0x1000)};
  EXPECT_EQ(make_memory_map(regions, kept), (Map{reserved(0, 0x1000),
                                                 ram(0x1000, 0x800),
                                                 {range(0x1800, 0x1000), MemoryType::kNvs},
                                                 ram(0x2800, 0x800),
                                                 reserved(0x4000, 0x1000),
                                                 ram(0x5000, 0x800),
                                                 reserved(0x5800, 0x1000),
                                                 reserved(0x8000, 0x1000)}));
}

TEST(MemoryMapTest, ReservedOverSeveralRegionsAndBeside) {
  const Ram regions{range(0x1000, 0x1000), range(0x3000, 0x1000), range(0x5000, 0x1000)};
  const Map kept{reserved(0x800, 0x5000), reserved(0x5800, 0x100)};
  EXPECT_EQ(make_memory_map(regions, kept), (Map{reserved(0x800, 0x5100), ram(0x5900, 0x700)}));
}

TEST(MemoryMapTest, RefusesRangesThatCannotBe) {
  EXPECT_EQ(make_memory_map(Ram{range(0x1000, 0)}, {}).error(),
            Error(BootError::kEmptyRange, 0x1000));
  EXPECT_EQ(make_memory_map({}, Map{reserved(kPhysicalEnd - 1, 2)}).error(),
            Error(BootError::kRangeEnd, kPhysicalEnd - 1, 2));
  EXPECT_EQ(make_memory_map(Ram{range(1, UINT64_MAX)}, {}).error(),
            Error(BootError::kRangeEnd, 1, UINT64_MAX));
  EXPECT_EQ(make_memory_map(Ram{range(0x2000, 1), range(0x1000, 0x1001)}, {}).error(),
            Error(BootError::kRamOverlap, 0x2000, 0x1000));
  EXPECT_EQ(make_memory_map({}, Map{reserved(0x1000, 2), reserved(0x1001, 2)}).error(),
            Error(BootError::kReservedOverlap, 0x1001, 0x1000));
}

TEST(MemoryMapTest, RefusesMoreThanAKernelIsToldOf) {
  Ram regions;
  for (std::uint64_t i = 0; i < 128; ++i) regions.push_back(range(i * 0x2000, 0x1000));
  EXPECT_EQ(make_memory_map(regions, {}).value().size(), 128u);
  EXPECT_EQ(make_memory_map(regions, Map{reserved(0x1800, 0x100)}).error(),
            Error(BootError::kMapEntries, 129, 128));
}

class InitrdTest : public ::testing::Test {
 protected:
  Result<GuestRange> place(std::uint64_t size) { return place_initrd({size, ram_, taken_, last_}); }
  Ram ram_{range(0, 0x4000000)};
  Ram taken_{range(0x1000000, 0x1000000)};
  std::uint64_t last_ = UINT32_MAX;
};

TEST_F(InitrdTest, AtTheTopOfMemory) {
  EXPECT_EQ(place(0x1001), range(0x3ffe000, 0x1001));
  EXPECT_EQ(place(0x2000000), range(0x2000000, 0x2000000));
}

TEST_F(InitrdTest, UpToWhatTheKernelReaches) {
  last_ = 0x37fffff;
  EXPECT_EQ(place(0x1000), range(0x37ff000, 0x1000));
  last_ = 0x37ffffe;
  EXPECT_EQ(place(0x1000), range(0x37fe000, 0x1000));
}

TEST_F(InitrdTest, BelowWhatIsTaken) {
  taken_.push_back(range(0x2000000, 0x2000000));
  EXPECT_EQ(place(0xf00000), range(0x100000, 0xf00000));
  EXPECT_EQ(place(0xf00001).error(), Error(BootError::kInitrdRoom, 0xf00001, UINT32_MAX));
}

TEST_F(InitrdTest, BetweenWhatIsTaken) {
  taken_.push_back(range(0x2000001, 0x1fffffe));
  EXPECT_EQ(place(0x1000), range(0xfff000, 0x1000));
  EXPECT_EQ(place(1), range(0x2000000, 1));
}

TEST_F(InitrdTest, NotInTheFirstMebibyte) {
  ram_ = {range(0, 0x100fff)};
  taken_.clear();
  EXPECT_EQ(place(0xfff), range(0x100000, 0xfff));
  EXPECT_EQ(place(0x1000).error().as<BootError>(), BootError::kInitrdRoom);
  last_ = 0x1000;
  EXPECT_EQ(place(0x1).error().as<BootError>(), BootError::kInitrdRoom);
}

TEST_F(InitrdTest, OverRegionsThatTouchAndBelowAGap) {
  ram_ = {range(0x2000000, 0x1000000), range(0x3000000, 0x1000000), range(0x4001000, 0x1000)};
  taken_.clear();
  EXPECT_EQ(place(0x1000), range(0x4001000, 0x1000));
  EXPECT_EQ(place(0x2000000), range(0x2000000, 0x2000000));
  EXPECT_EQ(place(0x2000001).error().as<BootError>(), BootError::kInitrdRoom);
}

TEST_F(InitrdTest, OnlyAtPages) {
  taken_.clear();
  ram_ = {range(0x200800, 0x1000)};
  EXPECT_EQ(place(0x801).error().as<BootError>(), BootError::kInitrdRoom);
  EXPECT_EQ(place(0x800), range(0x201000, 0x800));
}

TEST_F(InitrdTest, RefusesWhatCannotBe) {
  EXPECT_EQ(place(0).error(), Error(BootError::kInitrdEmpty, 0));
  EXPECT_EQ(place(UINT64_MAX).error().as<BootError>(), BootError::kInitrdRoom);
  taken_.push_back(range(0x5000, 0));
  EXPECT_EQ(place(1).error(), Error(BootError::kEmptyRange, 0x5000));
  taken_.clear();
  ram_.push_back(range(0x3ffffff, 1));
  EXPECT_EQ(place(1).error(), Error(BootError::kRamOverlap, 0x3ffffff, 0));
}

TEST_F(InitrdTest, AKernelThatReachesEverything) {
  last_ = UINT64_MAX;
  ram_ = {range(kPhysicalEnd - 0x1000, 0x1000)};
  EXPECT_EQ(place(0x1000), range(kPhysicalEnd - 0x1000, 0x1000));
}

}  // namespace
}  // namespace guestproof::loader
