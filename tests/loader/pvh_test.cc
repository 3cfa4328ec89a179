#include "guestproof/loader/pvh.h"

#include "support.h"

namespace guestproof::loader {
namespace {

constexpr MemoryMapEntry kMap[] = {
    {{GuestAddress(0), 0x9fc00}, MemoryType::kRam},
    {{GuestAddress(0x9fc00), 0x60400}, MemoryType::kReserved},
};

class PvhTest : public ::testing::Test {
 protected:
  std::uint64_t number(std::size_t offset, std::size_t width) {
    const auto bytes = make_start_info(boot, GuestAddress(0x6000)).value();
    return number_at(image_of(bytes), {offset, width});
  }
  std::size_t size() { return make_start_info(boot, GuestAddress(0x6000)).value().size(); }

  PvhBoot boot{.cmdline = GuestAddress(0x20000),
               .initrd = {GuestAddress(0x3000000), 0x1234},
               .rsdp = GuestAddress(0xe0000),
               .memory = kMap};
};

TEST_F(PvhTest, PointsAtEverything) {
  EXPECT_EQ(number(0, 4), 0x336ec578u);
  EXPECT_EQ(number(4, 4), 1u);
  EXPECT_EQ(number(8, 4), 0u);
  EXPECT_EQ(number(12, 4), 1u);
  EXPECT_EQ(number(16, 8), 0x6038u);
  EXPECT_EQ(number(24, 8), 0x20000u);
  EXPECT_EQ(number(32, 8), 0xe0000u);
  EXPECT_EQ(number(40, 8), 0x6058u);
  EXPECT_EQ(number(48, 4), 2u);
}

TEST_F(PvhTest, TheInitrdIsAModule) {
  EXPECT_EQ(number(0x38, 8), 0x3000000u);
  EXPECT_EQ(number(0x40, 8), 0x1234u);
  EXPECT_EQ(number(0x48, 8), 0u);
  EXPECT_EQ(number(0x50, 8), 0u);
}

TEST_F(PvhTest, HasTheMemoryMap) {
  EXPECT_EQ(number(0x58 + 24, 8), 0x9fc00u);
  EXPECT_EQ(number(0x58 + 32, 8), 0x60400u);
  EXPECT_EQ(number(0x58 + 40, 8), 2u);
  EXPECT_EQ(size(), 0x58u + 2 * 24);
}

TEST_F(PvhTest, WithoutAnInitrdThereIsNoModule) {
  boot.initrd = {};
  EXPECT_EQ(number(12, 4), 0u);
  EXPECT_EQ(number(16, 8), 0u);
  EXPECT_EQ(number(40, 8), 0x6038u);
  EXPECT_EQ(size(), 0x38u + 2 * 24);
}

TEST_F(PvhTest, RefusesWhatCannotBe) {
  const std::vector<MemoryMapEntry> many(129, kMap[0]);
  boot.memory = std::span(many).first(128);
  EXPECT_EQ(size(), kMaxStartInfoBytes);
  boot.memory = many;
  EXPECT_EQ(make_start_info(boot, {}).error(), Error(BootError::kMapEntries, 129, 128));
  boot.memory = kMap;
  boot.initrd = {GuestAddress(kPhysicalEnd), 1};
  EXPECT_EQ(make_start_info(boot, {}).error(), Error(BootError::kRangeEnd, kPhysicalEnd, 1));
}

TEST_F(PvhTest, LoadsAllOrNothing) {
  const auto memory = make_memory(GuestAddress(0x6000), 0x1000);
  EXPECT_EQ(load(memory, boot, GuestAddress(0x6fff)).error().as<MemoryError>(),
            MemoryError::kUnmapped);
  EXPECT_EQ(read(memory, 0x6000, 0x1000), Image(0x1000));
  ASSERT_TRUE(load(memory, boot));
  EXPECT_EQ(number_at(read(memory, 0x6000, 4), {0, 4}), 0x336ec578u);
  boot.initrd = {GuestAddress(kPhysicalEnd), 1};
  EXPECT_EQ(load(memory, boot).error().as<BootError>(), BootError::kRangeEnd);
}

}  // namespace
}  // namespace guestproof::loader
