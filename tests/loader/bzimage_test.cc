#include "guestproof/loader/bzimage.h"

#include <string_view>

#include "support.h"

namespace guestproof::loader {
namespace {

namespace image = testing::bzimage_image;
using testing::ImageField;
using namespace std::string_view_literals;

class BzImageTest : public ::testing::Test {
 protected:
  Error refusal(const ImageField& field, std::uint64_t number) {
    put(file, field, number);
    return BzImage::parse(bytes_of(file)).error();
  }
  BzImage parsed() { return BzImage::parse(bytes_of(file)).value(); }
  Result<GuestRange> memory_at(std::uint64_t address) {
    return parsed().memory_at(GuestAddress(address));
  }
  Payload payload(std::string_view begins) {
    std::copy(begins.begin(), begins.end(), file.begin() + image::kKernel + image::kPayload);
    return parsed().payload().value().value();
  }

  Image file = image::make();
};

TEST_F(BzImageTest, ParsesHeaderKernelAndPayload) {
  const auto bzimage = parsed();

  EXPECT_EQ(bzimage.header().version, 0x20f);
  EXPECT_EQ(bzimage.header().cmdline_size, 2047u);
  EXPECT_EQ(bzimage.header().initrd_addr_max, 0x7fff'ffffu);
  EXPECT_EQ(bzimage.header().pref_address, 0x100000u);
  EXPECT_EQ(bzimage.kernel().data(), bytes_of(file).data() + image::kKernel);
  EXPECT_EQ(bzimage.kernel().size(), 0x400u);
  const auto packed = bzimage.payload().value().value();
  EXPECT_EQ(packed.format, PayloadFormat::kLz4);
  EXPECT_EQ(packed.stream.data(), bzimage.kernel().data() + image::kPayload);
  EXPECT_EQ(packed.stream.size(), 0x1cu);
  EXPECT_EQ(packed.unpacked_size, 12345u);
}

TEST_F(BzImageTest, TheHeaderEndsWhereItsJumpSays) {
  put(file, image::kernel_info_offset, 0x1234);
  file[0x26c] = 99;
  EXPECT_EQ(parsed().header().kernel_info_offset, 0x1234u);
  EXPECT_EQ(parsed().header().later[0], 0);
  put(file, image::jump_length, 0x268 - 0x202);
  EXPECT_EQ(parsed().header().kernel_info_offset, 0u);
  put(file, image::jump_length, 0x290 - 0x202);
  EXPECT_EQ(parsed().header().later[0], 99);
}

TEST_F(BzImageTest, RefusesOtherFiles) {
  EXPECT_EQ(BzImage::parse(bytes_of(file).first(0x28f)).error(),
            Error(BzImageError::kShort, 0x28f, 0x290));
  EXPECT_EQ(refusal(image::version, 0x20b), Error(BzImageError::kVersion, 0x20b, 0x20c));
  EXPECT_EQ(refusal(image::magic, 0), Error(BzImageError::kMagic, 0, 0x53726448));
  EXPECT_EQ(refusal(image::boot_flag, 0x55aa), Error(BzImageError::kBootFlag, 0x55aa, 0xaa55));
}

TEST_F(BzImageTest, RefusesKernelsWithoutA64BitEntry) {
  EXPECT_EQ(refusal(image::xloadflags, 0xfffe), Error(BzImageError::kNot64Bit, 0xfffe, 1));
  EXPECT_EQ(refusal(image::loadflags, 0x80), Error(BzImageError::kNotHigh, 0x80, 1));
}

TEST_F(BzImageTest, TheHeaderHasWhatIsNeededAndFitsTheZeroPage) {
  EXPECT_EQ(refusal(image::jump_length, 0x267 - 0x202),
            Error(BzImageError::kHeaderEnd, 0x267, 0x290));
  EXPECT_EQ(refusal(image::jump_length, 0x291 - 0x202),
            Error(BzImageError::kHeaderEnd, 0x291, 0x290));
}

TEST_F(BzImageTest, TheKernelFollowsTheSetup) {
  EXPECT_EQ(refusal(image::setup_sects, 3), Error(BzImageError::kSetup, 0x800, 0x800));
  EXPECT_EQ(refusal(image::setup_sects, 0), Error(BzImageError::kSetup, 0xa00, 0x800));
  file.resize(0x1000);
  EXPECT_EQ(parsed().kernel().data(), bytes_of(file).data() + 0xa00);
}

TEST_F(BzImageTest, TheKernelIsInTheFile) {
  EXPECT_EQ(refusal(image::syssize, 0x41), Error(BzImageError::kKernelSize, 0x410, 0x400));
  EXPECT_EQ(refusal(image::syssize, UINT32_MAX),
            Error(BzImageError::kKernelSize, 0xf'ffff'fff0, 0x400));
  EXPECT_EQ(refusal(image::syssize, 0x20), Error(BzImageError::kEntry, 0x200, 0x200));
  EXPECT_EQ(refusal(image::syssize, 0), Error(BzImageError::kEntry, 0, 0x200));
}

// memtest86+ 6.10 has 8 bytes of its last paragraph.
TEST_F(BzImageTest, TheLastParagraphMayEndWithTheFile) {
  file.resize(file.size() - 15);
  EXPECT_EQ(parsed().kernel().size(), 0x3f1u);
  file.pop_back();
  EXPECT_EQ(BzImage::parse(bytes_of(file)).error(), Error(BzImageError::kKernelSize, 0x400, 0x3f0));
}

TEST_F(BzImageTest, WhatFollowsTheKernelIsIgnored) {
  file.resize(file.size() + 100, 0xff);
  EXPECT_EQ(parsed().kernel().size(), 0x400u);
}

TEST_F(BzImageTest, AlignmentIsAPowerOfTwo) {
  EXPECT_EQ(refusal(image::kernel_alignment, 0), Error(BzImageError::kAlignment, 0, 0x8000'0000));
  EXPECT_EQ(refusal(image::kernel_alignment, 0x3000).as<BzImageError>(), BzImageError::kAlignment);
}

TEST_F(BzImageTest, OneThatIsNotRelocatableNeedsNoAlignment) {
  put(file, image::relocatable_kernel, 0);
  put(file, image::kernel_alignment, 0);
  EXPECT_EQ(memory_at(0x100000), (GuestRange{GuestAddress(0x100000), 0x3000}));
}

TEST_F(BzImageTest, RunsBetweenOneMebibyteAndFourGibibytes) {
  EXPECT_EQ(refusal(image::pref_address, 0xffff'd001),
            Error(BzImageError::kPreferredAddress, 0xffff'd001, 0x3000));
  EXPECT_EQ(refusal(image::pref_address, UINT64_MAX).as<BzImageError>(),
            BzImageError::kPreferredAddress);
  put(file, image::pref_address, 0);
  EXPECT_TRUE(BzImage::parse(bytes_of(file)));
  EXPECT_EQ(refusal(image::relocatable_kernel, 0),
            Error(BzImageError::kPreferredAddress, 0, 0x3000));
}

TEST_F(BzImageTest, PayloadsLieInTheKernel) {
  put(file, image::payload_offset, 0x3e1);
  EXPECT_EQ(parsed().payload().error(), Error(BzImageError::kPayload, 0x3e1, 0x400));
  put(file, image::payload_offset, UINT32_MAX);
  EXPECT_EQ(parsed().payload().error(), Error(BzImageError::kPayload, UINT32_MAX, 0x400));
  put(file, image::payload_length, 0);
  EXPECT_FALSE(parsed().payload().value());
}

TEST_F(BzImageTest, APackedPayloadHasItsSize) {
  put(file, image::payload_length, 7);
  EXPECT_EQ(parsed().payload().error(), Error(BzImageError::kPayloadShort, 7, 8));
  put(file, image::payload_length, 8);
  EXPECT_EQ(parsed().payload().value()->stream.size(), 4u);
}

TEST_F(BzImageTest, KnowsFormatsByTheirMagic) {
  EXPECT_EQ(payload("\x1f\x8b\x08"sv).format, PayloadFormat::kGzip);
  EXPECT_EQ(payload("BZh"sv).format, PayloadFormat::kBzip2);
  EXPECT_EQ(payload("\x5d\0\0"sv).format, PayloadFormat::kLzma);
  EXPECT_EQ(payload("\xfd"
                    "7zXZ\0"sv)
                .format,
            PayloadFormat::kXz);
  EXPECT_EQ(payload("\x89LZO\0\r\n\x1a\n"sv).format, PayloadFormat::kLzo);
  EXPECT_EQ(payload("\x28\xb5\x2f\xfd"sv).format, PayloadFormat::kZstd);
  EXPECT_EQ(payload("\x7f"
                    "ELF"sv)
                .format,
            PayloadFormat::kElf);
  EXPECT_EQ(payload("????"sv).format, PayloadFormat::kUnknown);
}

TEST_F(BzImageTest, GzipEndsWithItsSize) {
  const auto packed = payload("\x1f\x8b\x08"sv);
  EXPECT_EQ(packed.stream.size(), 0x20u);
  EXPECT_EQ(packed.unpacked_size, 12345u);
}

TEST_F(BzImageTest, WhatIsNotPackedHasNoSize) {
  EXPECT_EQ(payload("????"sv).stream.size(), 0x20u);
  EXPECT_EQ(payload("????"sv).unpacked_size, 0u);
  put(file, image::payload_length, 3);
  EXPECT_EQ(payload("????"sv).stream.size(), 3u);
}

TEST_F(BzImageTest, NeedsItsInitSizeFromWhereItRuns) {
  EXPECT_EQ(memory_at(0x100000), (GuestRange{GuestAddress(0x100000), 0x3000}));
  EXPECT_EQ(memory_at(0x105000), (GuestRange{GuestAddress(0x105000), 0x3000}));
  put(file, image::pref_address, 0x200000);
  EXPECT_EQ(memory_at(0x100000), (GuestRange{GuestAddress(0x100000), 0x103000}));
  EXPECT_EQ(memory_at(0x201000), (GuestRange{GuestAddress(0x201000), 0x3000}));
  put(file, image::kernel_alignment, 0x400000);
  EXPECT_EQ(memory_at(0x100000), (GuestRange{GuestAddress(0x100000), 0x303000}));
  put(file, image::init_size, 0);
  put(file, image::pref_address, 0);
  put(file, image::kernel_alignment, 1);
  EXPECT_EQ(memory_at(0x100001), (GuestRange{GuestAddress(0x100001), 0x400}));
}

TEST_F(BzImageTest, OneThatIsNotRelocatableRunsWhereItPrefers) {
  put(file, image::relocatable_kernel, 0);
  put(file, image::pref_address, 0x180000);
  put(file, image::kernel_alignment, 0x400000);
  EXPECT_EQ(memory_at(0x100000), (GuestRange{GuestAddress(0x100000), 0x83000}));
  EXPECT_EQ(memory_at(0x400000).error(), Error(BzImageError::kNotRelocatable, 0x400000, 0x100000));
}

// Such files were taken, and then refused where they prefer to be.
TEST_F(BzImageTest, HasADefaultAddressThatItCanBeLoadedAt) {
  const auto fallback = GuestAddress(0x100000);
  put(file, image::pref_address, 0x1000000);
  EXPECT_EQ(parsed().default_load_address(), GuestAddress(0x1000000));
  put(file, image::pref_address, 0x1000800);
  EXPECT_EQ(parsed().default_load_address(), fallback);
  put(file, image::pref_address, 0xff000);
  EXPECT_EQ(parsed().default_load_address(), fallback);
  put(file, image::pref_address, 0);
  EXPECT_EQ(parsed().default_load_address(), fallback);
  put(file, image::pref_address, 0x1000000);
  put(file, image::relocatable_kernel, 0);
  EXPECT_EQ(parsed().default_load_address(), fallback);
}

TEST_F(BzImageTest, IsLoadedWhereItCanBe) {
  EXPECT_EQ(memory_at(0xff000).error(), Error(BzImageError::kLoadLow, 0xff000, 0x100000));
  EXPECT_EQ(memory_at(0x100800).error(), Error(BzImageError::kLoadAlignment, 0x100800, 0x1000));
  EXPECT_TRUE(memory_at(0xffff'd000));
  EXPECT_EQ(memory_at(0xffff'e000).error(),
            Error(BzImageError::kLoadHigh, 0xffff'e000, 0x1'0000'0000));
  EXPECT_EQ(memory_at(UINT64_MAX).error(),
            Error(BzImageError::kLoadHigh, UINT64_MAX, 0x1'0000'0000));
  put(file, image::init_size, 0);
  put(file, image::kernel_alignment, 0x100);
  EXPECT_EQ(memory_at(0xffff'fd00).error(),
            Error(BzImageError::kLoadHigh, 0xffff'fd00, 0x1'0000'0000));
}

TEST_F(BzImageTest, LoadsTheKernel) {
  const auto memory = make_memory(GuestAddress(0x100000), 0x8000);
  fill(memory, 0xee);

  const auto kernel = load(memory, parsed(), GuestAddress(0x105000));

  ASSERT_TRUE(kernel);
  EXPECT_EQ(*kernel, (LoadedKernel{KernelProtocol::kLinux64,
                                   GuestAddress(0x105200),
                                   {GuestAddress(0x105000), 0x3000}}));
  Image expected(0x8000, 0xee);
  std::copy_n(file.begin() + image::kKernel, 0x400, expected.begin() + 0x5000);
  EXPECT_EQ(read(memory, 0x100000, 0x8000), expected);
}

TEST_F(BzImageTest, LoadsNothingUnlessWhatItNeedsIsRam) {
  const auto memory = make_memory(GuestAddress(0x100000), 0x8000);
  EXPECT_EQ(load(memory, parsed(), GuestAddress(0x106000)).error(),
            Error(MemoryError::kUnmapped, 0x108000, 0x1000));
  EXPECT_EQ(load(memory, parsed(), GuestAddress(0)).error().as<BzImageError>(),
            BzImageError::kLoadLow);
  EXPECT_EQ(read(memory, 0x100000, 0x8000), Image(0x8000));
}

}  // namespace
}  // namespace guestproof::loader
