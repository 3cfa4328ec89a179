#include "guestproof/loader/boot_params.h"

#include "support.h"

namespace guestproof::loader {
namespace {

constexpr MemoryMapEntry kMap[] = {
    {{GuestAddress(0), 0x9fc00}, MemoryType::kRam},
    {{GuestAddress(0x9fc00), 0x60400}, MemoryType::kReserved},
    {{GuestAddress(0x1'0000'0000), 0x2'0000'0000}, MemoryType::kRam},
};

class BootParamsTest : public ::testing::Test {
 protected:
  BootParamsTest() { boot.header = default_setup_header(); }

  /// A number of the zero page, at an offset that zero-page.rst and boot.rst have.
  std::uint64_t number(std::size_t offset, std::size_t width) {
    const auto params = make_boot_params(boot).value();
    return number_at(image_of(std::as_bytes(std::span(&params, 1))), {offset, width});
  }

  LinuxBoot boot{.header = {},
                 .kernel = GuestAddress(0x1000000),
                 .cmdline = GuestAddress(0x20000),
                 .initrd = {GuestAddress(0x3000000), 0x1234},
                 .rsdp = GuestAddress(0xe0000),
                 .memory = kMap};
};

TEST_F(BootParamsTest, PointsAtEverything) {
  EXPECT_EQ(number(0x70, 8), 0xe0000u);
  EXPECT_EQ(number(0x214, 4), 0x1000000u);
  EXPECT_EQ(number(0x218, 4), 0x3000000u);
  EXPECT_EQ(number(0x21c, 4), 0x1234u);
  EXPECT_EQ(number(0x228, 4), 0x20000u);
  EXPECT_EQ(number(0xc0, 8), 0u);
  EXPECT_EQ(number(0xc8, 4), 0u);
}

TEST_F(BootParamsTest, AddressesHaveUpperHalves) {
  boot.initrd = {GuestAddress(0x5'0000'1000), 0x6'0000'0002};
  boot.cmdline = GuestAddress(0x7'0000'3000);
  EXPECT_EQ(number(0x218, 4), 0x1000u);
  EXPECT_EQ(number(0xc0, 4), 5u);
  EXPECT_EQ(number(0x21c, 4), 2u);
  EXPECT_EQ(number(0xc4, 4), 6u);
  EXPECT_EQ(number(0x228, 4), 0x3000u);
  EXPECT_EQ(number(0xc8, 4), 7u);
}

TEST_F(BootParamsTest, HasTheMemoryMap) {
  EXPECT_EQ(number(0x1e8, 1), 3u);
  EXPECT_EQ(number(0x2d0, 8), 0u);
  EXPECT_EQ(number(0x2d8, 8), 0x9fc00u);
  EXPECT_EQ(number(0x2e0, 4), 1u);
  EXPECT_EQ(number(0x2e4 + 16, 4), 2u);
  EXPECT_EQ(number(0x2f8, 8), 0x1'0000'0000u);
  EXPECT_EQ(number(0x300, 8), 0x2'0000'0000u);
  EXPECT_EQ(number(0x30c, 8), 0u);
}

TEST_F(BootParamsTest, KeepsTheHeaderButForWhatIsTheLoaders) {
  auto file = testing::bzimage_image::make();
  put(file, testing::bzimage_image::setup_data, 0x4141'4141);
  boot.header = read_wire<SetupHeader>(bytes_of(file), kSetupHeaderOffset);
  EXPECT_EQ(number(0x1fe, 2), 0xaa55u);
  EXPECT_EQ(number(0x258, 8), 0x100000u);
  EXPECT_EQ(number(0x210, 1), 0xffu);
  EXPECT_EQ(number(0x250, 8), 0u);
}

TEST_F(BootParamsTest, AnElfKernelGetsAHeader) {
  EXPECT_EQ(number(0x1fe, 2), 0xaa55u);
  EXPECT_EQ(number(0x202, 4), 0x53726448u);
  EXPECT_EQ(number(0x206, 2), 0x20cu);
  EXPECT_EQ(number(0x211, 1), 1u);
  EXPECT_EQ(number(0x236, 2), 1u);
  EXPECT_EQ(number(0x22c, 4), 0x7fff'ffffu);
  EXPECT_EQ(number(0x238, 4), 2047u);
}

TEST_F(BootParamsTest, RefusesWhatItHasNoRoomFor) {
  const std::vector<MemoryMapEntry> many(129, kMap[0]);
  boot.memory = std::span(many).first(128);
  EXPECT_EQ(number(0x1e8, 1), 128u);
  EXPECT_EQ(number(0xcbc, 8), 0u);
  EXPECT_EQ(number(0xcc4, 8), 0x9fc00u);
  boot.memory = many;
  EXPECT_EQ(make_boot_params(boot).error(), Error(BootError::kMapEntries, 129, 128));
}

TEST_F(BootParamsTest, RefusesAnInitrdThatIsNowhere) {
  boot.initrd = {GuestAddress(UINT64_MAX), 2};
  EXPECT_EQ(make_boot_params(boot).error(), Error(BootError::kRangeEnd, UINT64_MAX, 2));
}

TEST_F(BootParamsTest, LoadsAPage) {
  const auto memory = make_memory(GuestAddress(0x6000), 0x3000);
  fill(memory, 0xee);
  ASSERT_TRUE(load(memory, boot));
  EXPECT_EQ(number_at(read(memory, 0x7000, 0x1000), {0x21c, 4}), 0x1234u);
  EXPECT_EQ(read(memory, 0x6000, 0x1000), Image(0x1000, 0xee));
  EXPECT_EQ(read(memory, 0x8000, 0x1000), Image(0x1000, 0xee));
}

TEST_F(BootParamsTest, LoadsNothingUnlessAllIsRam) {
  const auto memory = make_memory(GuestAddress(0x6000), 0x3000);
  EXPECT_EQ(load(memory, boot, GuestAddress(0x8001)).error().as<MemoryError>(),
            MemoryError::kUnmapped);
  boot.initrd = {GuestAddress(UINT64_MAX), 2};
  EXPECT_EQ(load(memory, boot).error().as<BootError>(), BootError::kRangeEnd);
  EXPECT_EQ(read(memory, 0x6000, 0x3000), Image(0x3000));
}

}  // namespace
}  // namespace guestproof::loader
