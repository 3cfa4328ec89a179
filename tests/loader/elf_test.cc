#include "guestproof/loader/elf.h"

#include "support.h"

namespace guestproof::loader {
namespace {

namespace image = testing::elf_image;
using testing::ImageField;

class ElfTest : public ::testing::Test {
 protected:
  /// What the file is refused for once `number` is in that field.
  Error refusal(const ImageField& field, std::uint64_t number) {
    put(file, field, number);
    return ElfImage::parse(bytes_of(file)).error();
  }
  ElfImage parsed() { return ElfImage::parse(bytes_of(file)).value(); }

  Image file = image::make();
};

TEST_F(ElfTest, ParsesSegmentsAndEntries) {
  const auto elf = parsed();

  ASSERT_EQ(elf.segments().size(), 2u);
  EXPECT_EQ(elf.segments()[0].memory, (GuestRange{GuestAddress(0x100000), 0x200}));
  EXPECT_EQ(elf.segments()[0].bytes.data(), bytes_of(file).data() + image::kFirstBytes);
  EXPECT_EQ(elf.segments()[0].bytes.size(), 0x100u);
  EXPECT_EQ(elf.segments()[1].memory, (GuestRange{GuestAddress(0x101000), 0x2080}));
  EXPECT_EQ(elf.memory(), (GuestRange{GuestAddress(0x100000), 0x3080}));
  EXPECT_EQ(elf.entry(KernelProtocol::kLinux64), GuestAddress(image::kEntryAddress));
  EXPECT_EQ(elf.entry(KernelProtocol::kPvh), GuestAddress(image::kPvhAddress));
  EXPECT_EQ(elf.entry(KernelProtocol::kArm64), std::nullopt);
}

TEST_F(ElfTest, AcceptsASharedObjectAndWhatFollowsTheSegments) {
  put(file, image::kType, 3);
  file.resize(file.size() + 100);
  EXPECT_EQ(parsed().segments().size(), 2u);
}

TEST_F(ElfTest, RefusesOtherFiles) {
  EXPECT_EQ(ElfImage::parse(bytes_of(file).first(63)).error(), Error(ElfError::kShort, 63, 64));
  EXPECT_EQ(refusal(image::kMagic, 0x464c457e), Error(ElfError::kMagic, 0x464c457e, 0x464c457f));
}

TEST_F(ElfTest, RefusesOtherKindsOfElf) {
  EXPECT_EQ(refusal(image::kType, 1), Error(ElfError::kType, 1, 3));
  EXPECT_EQ(refusal(image::kMachine, 183), Error(ElfError::kMachine, 183, 62));
  EXPECT_EQ(refusal(image::kByteOrder, 2), Error(ElfError::kByteOrder, 2, 1));
  EXPECT_EQ(refusal(image::kClass, 1), Error(ElfError::kClass, 1, 2));
}

TEST_F(ElfTest, TheTableOfHeadersLiesInTheFile) {
  EXPECT_EQ(refusal(image::kHeaderOffset, file.size() - 3 * 56 + 1),
            Error(ElfError::kHeaderTable, file.size() - 3 * 56 + 1, file.size()));
  EXPECT_EQ(refusal(image::kHeaderOffset, UINT64_MAX),
            Error(ElfError::kHeaderTable, UINT64_MAX, file.size()));
  EXPECT_EQ(refusal(image::kHeaders, 0), Error(ElfError::kHeaders, 0, 64));
  EXPECT_EQ(refusal(image::kHeaders, 65), Error(ElfError::kHeaders, 65, 64));
  EXPECT_EQ(refusal(image::kHeaderSize, 64), Error(ElfError::kHeaderSize, 64, 56));
}

TEST_F(ElfTest, ReadsATableAtTheEndOfTheFile) {
  const auto table = Image(file.begin() + 64, file.begin() + 64 + 3 * 56);
  put(file, image::kHeaderOffset, file.size());
  file.insert(file.end(), table.begin(), table.end());
  EXPECT_EQ(parsed().segments().size(), 2u);
}

TEST_F(ElfTest, AKernelHasNoInterpreter) {
  EXPECT_EQ(refusal(image::type(2), 3), Error(ElfError::kInterpreter, 2));
}

TEST_F(ElfTest, SegmentsLieInTheFile) {
  EXPECT_EQ(refusal(image::filesz(0), 0x201), Error(ElfError::kSegmentSize, 0x201, 0x200));
  put(file, image::filesz(0), 0x100);
  EXPECT_EQ(refusal(image::offset(0), file.size() - 0xff),
            Error(ElfError::kSegmentFile, file.size() - 0xff, file.size()));
  EXPECT_EQ(refusal(image::offset(0), UINT64_MAX - 0xff + 1),
            Error(ElfError::kSegmentFile, UINT64_MAX - 0xff + 1, file.size()));
}

TEST_F(ElfTest, SegmentsLieBetweenOneMebibyteAndFourGibibytes) {
  EXPECT_EQ(refusal(image::paddr(0), 0xfffff), Error(ElfError::kSegmentLow, 0xfffff, 0x100000));
  EXPECT_EQ(refusal(image::paddr(0), 0xffff'fe01),
            Error(ElfError::kSegmentHigh, 0xffff'fe01, 0x200));
  EXPECT_EQ(refusal(image::paddr(0), UINT64_MAX), Error(ElfError::kSegmentHigh, UINT64_MAX, 0x200));
  EXPECT_EQ(refusal(image::memsz(0), UINT64_MAX - 1).as<ElfError>(), ElfError::kSegmentHigh);
}

TEST_F(ElfTest, SegmentsDoNotOverlap) {
  EXPECT_EQ(refusal(image::paddr(1), 0x1001ff),
            Error(ElfError::kSegmentOverlap, 0x1001ff, 0x100000));
  put(file, image::paddr(0), 0x103000);
  EXPECT_EQ(refusal(image::paddr(1), 0x102000),
            Error(ElfError::kSegmentOverlap, 0x102000, 0x103000));
  put(file, image::paddr(0), 0x100000);
  put(file, image::kEntry, 0x100200);
  put(file, {image::kPvhNote + 16, 8}, 0x100200);
  put(file, image::paddr(1), 0x100200);
  EXPECT_EQ(parsed().memory(), (GuestRange{GuestAddress(0x100000), 0x2280}));
}

TEST_F(ElfTest, ASegmentOfNoMemoryIsNone) {
  put(file, image::filesz(1), 0);
  put(file, image::memsz(1), 0);
  put(file, image::type(2), 0);
  EXPECT_EQ(parsed().segments().size(), 1u);
  EXPECT_EQ(refusal(image::type(0), 0), Error(ElfError::kNoSegment, 3));
}

TEST_F(ElfTest, EntriesLieInBytesOfTheFile) {
  put(file, image::kEntry, 0x1000ff);
  put(file, {image::kPvhNote + 16, 8}, 0x10107f);
  EXPECT_EQ(parsed().entry(KernelProtocol::kPvh), GuestAddress(0x10107f));
  EXPECT_EQ(refusal({image::kPvhNote + 16, 8}, 0x101080), Error(ElfError::kPvhEntry, 0x101080, 2));
  put(file, {image::kPvhNote + 8, 4}, 17);
  EXPECT_EQ(refusal(image::kEntry, 0x100100), Error(ElfError::kEntry, 0x100100, 2));
}

TEST_F(ElfTest, AVirtualEntryIsNoneWhereThereIsAPvhEntry) {
  put(file, image::kEntry, 0xffff'ffff'8010'0000);
  const auto elf = parsed();
  EXPECT_EQ(elf.entry(KernelProtocol::kLinux64), std::nullopt);
  EXPECT_EQ(elf.entry(KernelProtocol::kPvh), GuestAddress(image::kPvhAddress));
}

TEST_F(ElfTest, APvhEntryOfFourBytes) {
  put(file, {image::kPvhNote + 4, 4}, 4);
  put(file, {image::kPvhNote + 20, 4}, 0xffff'ffff);
  put(file, image::filesz(2), image::kNotesEnd - image::kNotes - 4);
  EXPECT_EQ(parsed().entry(KernelProtocol::kPvh), GuestAddress(image::kPvhAddress));
}

TEST_F(ElfTest, NotesOfOthersAreNoEntry) {
  put(file, {image::kPvhNote + 14, 1}, 'm');
  EXPECT_EQ(parsed().entry(KernelProtocol::kPvh), std::nullopt);
}

TEST_F(ElfTest, NotesLieInTheFile) {
  EXPECT_EQ(refusal(image::offset(2), image::kNotes + 1),
            Error(ElfError::kNoteFile, image::kNotes + 1, file.size()));
  file.resize(0x20000);
  EXPECT_EQ(refusal(image::filesz(2), 0x10001), Error(ElfError::kNoteBytes, 0x10001, 0x10000));
}

TEST_F(ElfTest, NotesAreWholeOnes) {
  EXPECT_EQ(refusal(image::filesz(2), 0x14 + 11), Error(ElfError::kNoteHeader, 11, 12));
  EXPECT_EQ(refusal(image::filesz(2), 0x14 + 23), Error(ElfError::kNoteLength, 24, 23));
  EXPECT_EQ(refusal({image::kNotes, 4}, UINT32_MAX),
            Error(ElfError::kNoteLength, 0x1'0000'0010, 0x14 + 23));
}

TEST_F(ElfTest, PvhEntriesAreWholeOnesAndOne) {
  EXPECT_EQ(refusal({image::kPvhNote + 4, 4}, 7), Error(ElfError::kPvhLength, 7, 8));
  put(file, {image::kPvhNote + 4, 4}, 8);
  put(file, {image::kNotes + 8, 4}, 18);
  put(file, {image::kNotes + 16, 4}, 0x100000);
  EXPECT_EQ(ElfImage::parse(bytes_of(file)).error(),
            Error(ElfError::kPvhTwice, image::kPvhAddress, 0x100000));
}

TEST_F(ElfTest, NotesAreAlignedToFourOrEight) {
  put(file, image::align(2), 0);
  EXPECT_TRUE(ElfImage::parse(bytes_of(file)));
  EXPECT_EQ(refusal(image::align(2), 16), Error(ElfError::kNoteAlignment, 16, 8));
  // The first note has 20 bytes, so the second is looked for after 24.
  EXPECT_EQ(refusal(image::align(2), 8), Error(ElfError::kNoteLength, 42, 20));
  file.insert(file.begin() + image::kPvhNote, 4, 0);
  put(file, image::filesz(2), image::kNotesEnd - image::kNotes + 4);
  EXPECT_EQ(parsed().entry(KernelProtocol::kPvh), GuestAddress(image::kPvhAddress));
}

TEST_F(ElfTest, NotesAlignedToEight) {
  file.resize(image::kNotes);
  const std::uint32_t notes[] = {1, 1, 5, 'G', 7, 0, 4, 8, 18, 0x6e6558, image::kPvhAddress, 0};
  for (const auto word : notes) testing::append_number(file, 4, word);
  put(file, image::filesz(2), sizeof notes);
  put(file, image::align(2), 8);
  EXPECT_EQ(parsed().entry(KernelProtocol::kPvh), GuestAddress(image::kPvhAddress));
}

TEST_F(ElfTest, LoadsSegmentsAndZeros) {
  const auto memory = make_memory(GuestAddress(0x100000), 0x4000);
  fill(memory, 0xee);

  const auto kernel = load(memory, parsed(), KernelProtocol::kPvh);

  ASSERT_TRUE(kernel);
  EXPECT_EQ(*kernel, (LoadedKernel{KernelProtocol::kPvh,
                                   GuestAddress(image::kPvhAddress),
                                   {GuestAddress(0x100000), 0x3080}}));
  Image expected(0x4000, 0xee);
  std::copy_n(file.begin() + image::kFirstBytes, 0x100, expected.begin());
  std::fill_n(expected.begin() + 0x100, 0x100, 0);
  std::copy_n(file.begin() + image::kSecondBytes, 0x80, expected.begin() + 0x1000);
  std::fill_n(expected.begin() + 0x1080, 0x2000, 0);
  EXPECT_EQ(read(memory, 0x100000, 0x4000), expected);
}

TEST_F(ElfTest, LoadsNothingUnlessAllFits) {
  const auto memory = make_memory(GuestAddress(0x100000), 0x3000);
  fill(memory, 0xee);
  EXPECT_EQ(load(memory, parsed(), KernelProtocol::kLinux64).error(),
            Error(MemoryError::kUnmapped, 0x103000, 0x80));
  EXPECT_EQ(read(memory, 0x100000, 0x3000), Image(0x3000, 0xee));
}

TEST_F(ElfTest, LoadsOnlyForAnEntryThatThereIs) {
  const auto memory = make_memory(GuestAddress(0x100000), 0x4000);
  put(file, {image::kPvhNote + 8, 4}, 17);
  EXPECT_EQ(load(memory, parsed(), KernelProtocol::kPvh).error(), Error(ElfError::kProtocol, 1, 1));
  EXPECT_TRUE(load(memory, parsed(), KernelProtocol::kLinux64));
}

}  // namespace
}  // namespace guestproof::loader
