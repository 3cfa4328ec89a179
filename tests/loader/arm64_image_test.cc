#include "guestproof/loader/arm64_image.h"

#include "support.h"

namespace guestproof::loader {
namespace {

namespace image = testing::arm64_image;
using testing::ImageField;

class Arm64ImageTest : public ::testing::Test {
 protected:
  Error refusal(const ImageField& field, std::uint64_t number) {
    put(file, field, number);
    return Arm64Image::parse(bytes_of(file)).error();
  }
  Arm64Image parsed() { return Arm64Image::parse(bytes_of(file)).value(); }
  Result<GuestRange> memory_at(std::uint64_t base) {
    return parsed().memory_at(GuestAddress(base));
  }

  Image file = image::make();
};

TEST_F(Arm64ImageTest, ParsesTheHeader) {
  EXPECT_EQ(parsed().bytes().data(), bytes_of(file).data());
  EXPECT_EQ(parsed().bytes().size(), 0x200u);
  EXPECT_EQ(parsed().text_offset(), 0x1000u);
  EXPECT_EQ(parsed().image_size(), 0x3000u);
  EXPECT_FALSE(parsed().big_endian());
  EXPECT_TRUE(parsed().anywhere());
  EXPECT_EQ(parsed().page_size(), 4096u);
}

TEST_F(Arm64ImageTest, ReportsWhatTheFlagsSay) {
  put(file, image::flags, 1);
  EXPECT_TRUE(parsed().big_endian());
  EXPECT_FALSE(parsed().anywhere());
  EXPECT_EQ(parsed().page_size(), 0u);
  put(file, image::flags, UINT64_MAX);
  EXPECT_EQ(parsed().page_size(), 65536u);
  put(file, image::flags, 4);
  EXPECT_EQ(parsed().page_size(), 16384u);
}

TEST_F(Arm64ImageTest, RefusesOtherFiles) {
  EXPECT_EQ(Arm64Image::parse(bytes_of(file).first(63)).error(),
            Error(Arm64ImageError::kShort, 63, 64));
  EXPECT_EQ(refusal(image::magic, 0x644d5200),
            Error(Arm64ImageError::kMagic, 0x644d5200, 0x644d5241));
}

TEST_F(Arm64ImageTest, RefusesSizesThatCannotBe) {
  EXPECT_EQ(refusal(image::image_size, 63), Error(Arm64ImageError::kImageSize, 63, 64));
  EXPECT_EQ(refusal(image::image_size, 0), Error(Arm64ImageError::kImageSize, 0, 64));
  EXPECT_EQ(refusal(image::text_offset, 0x200000),
            Error(Arm64ImageError::kTextOffset, 0x200000, 0x200000));
}

TEST_F(Arm64ImageTest, WhatFollowsTheImageIsIgnored) {
  put(file, image::image_size, 0x1ff);
  EXPECT_EQ(parsed().bytes().size(), 0x1ffu);
}

TEST_F(Arm64ImageTest, CountsFromAnAlignedBase) {
  EXPECT_EQ(memory_at(0x8000'0000), (GuestRange{GuestAddress(0x8000'1000), 0x3000}));
  EXPECT_EQ(memory_at(0x8010'0000).error(), Error(Arm64ImageError::kBase, 0x8010'0000, 0x200000));
}

TEST_F(Arm64ImageTest, StaysInPhysicalAddresses) {
  put(file, image::image_size, 0x1ff000);
  EXPECT_TRUE(memory_at(0xf'ffff'ffe0'0000));
  put(file, image::image_size, 0x1ff001);
  EXPECT_EQ(memory_at(0xf'ffff'ffe0'0000).error(),
            Error(Arm64ImageError::kBaseHigh, 0xf'ffff'ffe0'0000, 0x1ff001));
  EXPECT_EQ(memory_at(0xffff'ffff'ffe0'0000).error().as<Arm64ImageError>(),
            Arm64ImageError::kBaseHigh);
  put(file, image::image_size, UINT64_MAX);
  EXPECT_EQ(memory_at(0).error(), Error(Arm64ImageError::kBaseHigh, 0, UINT64_MAX));
}

TEST_F(Arm64ImageTest, LoadsTheFile) {
  const auto memory = make_memory(GuestAddress(0x8000'0000), 0x4000);
  fill(memory, 0xee);

  const auto kernel = load(memory, parsed(), GuestAddress(0x8000'0000));

  ASSERT_TRUE(kernel);
  EXPECT_EQ(*kernel, (LoadedKernel{KernelProtocol::kArm64,
                                   GuestAddress(0x8000'1000),
                                   {GuestAddress(0x8000'1000), 0x3000}}));
  Image expected(0x4000, 0xee);
  std::copy(file.begin(), file.end(), expected.begin() + 0x1000);
  EXPECT_EQ(read(memory, 0x8000'0000, 0x4000), expected);
}

TEST_F(Arm64ImageTest, LoadsNothingUnlessAllOfItIsRam) {
  const auto memory = make_memory(GuestAddress(0x8000'0000), 0x3000);
  EXPECT_EQ(load(memory, parsed(), GuestAddress(0x8000'0000)).error(),
            Error(MemoryError::kUnmapped, 0x8000'3000, 0x1000));
  EXPECT_EQ(load(memory, parsed(), GuestAddress(1)).error().as<Arm64ImageError>(),
            Arm64ImageError::kBase);
  EXPECT_EQ(read(memory, 0x8000'0000, 0x3000), Image(0x3000));
}

}  // namespace
}  // namespace guestproof::loader
