#include "guestproof/memory/mapped_memory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "descriptor_limit.h"
#include "guestproof/base/endian.h"
#include "print.h"

namespace guestproof {
namespace {

using ::testing::ElementsAre;
using Builder = MappedMemory::Builder;

constexpr std::uint64_t kPage = 4096;
constexpr GuestAddress kBase{0x10000};

constexpr GuestAddress at(std::uint64_t raw) { return GuestAddress(raw); }

/// A file of `bytes` bytes that no folder names.
Fd temporary_file(std::uint64_t bytes) {
  Fd file(::memfd_create("test", MFD_CLOEXEC));
  EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(bytes)), 0);
  return file;
}

TEST(MappedMemoryTest, AnonymousMemoryIsZeroAndKeepsWhatIsWritten) {
  const auto memory = Builder().anonymous(kBase, kPage).build().value();

  EXPECT_EQ(read_object<le32>(memory, kBase).value(), 0u);
  ASSERT_TRUE(write_object(memory, kBase, le32(0x12345678)));
  EXPECT_EQ(read_object<le32>(memory, kBase).value(), 0x12345678u);
  EXPECT_EQ(memory.regions().front().fd(), -1);
}

TEST(MappedMemoryTest, FindsTheFirstAndTheLastByteAndNothingBeside) {
  const auto memory = Builder().anonymous(kBase, kPage).build().value();

  EXPECT_TRUE(memory.find(kBase, 1, Access::kWrite));
  EXPECT_TRUE(memory.find(at(kBase.raw() + kPage - 1), 1, Access::kWrite));
  EXPECT_EQ(memory.find(at(kBase.raw() - 1), 1, Access::kRead).error(), MemoryError::kUnmapped);
  EXPECT_EQ(memory.find(at(kBase.raw() + kPage), 1, Access::kRead).error(), MemoryError::kUnmapped);
}

TEST(MappedMemoryTest, CutsASliceAtTheEndOfItsRegion) {
  const auto memory = Builder().anonymous(kBase, kPage).build().value();

  EXPECT_EQ(memory.find(at(kBase.raw() + kPage - 8), 100, Access::kRead).value().size(), 8u);
  EXPECT_EQ(memory.find(kBase, UINT64_MAX, Access::kRead).value().size(), kPage);
}

TEST(MappedMemoryTest, FindsAnEmptySliceWhereverItPoints) {
  const auto memory = Builder().anonymous(kBase, kPage).build().value();

  const auto slice = memory.find(at(0x666), 0, Access::kWrite);

  ASSERT_TRUE(slice);
  EXPECT_EQ(slice->size(), 0u);
  slice->read(0, {});
  slice->write(0, {});
  slice->fill(0, 0, std::byte{1});
}

TEST(MappedMemoryTest, SortsRegionsAndRunsAcrossThoseThatTouch) {
  const auto memory =
      Builder().anonymous(at(kBase.raw() + kPage), kPage).anonymous(kBase, kPage).build().value();

  EXPECT_EQ(memory.regions().front().base(), kBase);
  ASSERT_TRUE(write_object(memory, at(kBase.raw() + kPage - 3), le64(0x0123456789abcdef)));
  EXPECT_EQ(read_object<le64>(memory, at(kBase.raw() + kPage - 3)).value(), 0x0123456789abcdefu);
}

TEST(MappedMemoryTest, StaysUsableWhereItIsMovedTo) {
  auto from = Builder().anonymous(kBase, kPage).track_dirty_pages().build().value();
  ASSERT_TRUE(write_object(from, kBase, le32(7)));

  const auto to = std::move(from);

  EXPECT_EQ(read_object<le32>(to, kBase).value(), 7u);
  EXPECT_TRUE(to.regions().front().dirty()->is_dirty(0));
}

TEST(MappedMemoryTest, MemfdMemoryCanBeMappedAgain) {
  const auto memory = Builder().memfd(kBase, kPage).build().value();
  ASSERT_TRUE(write_object(memory, kBase, le32(0x12345678)));

  le32 through_file;
  ASSERT_EQ(::pread(memory.regions().front().fd(), &through_file, 4, 0), 4);

  EXPECT_EQ(through_file, 0x12345678u);
}

TEST(MappedMemoryTest, MemfdMemoryCannotShrinkUnderItsMapping) {
  const auto memory = Builder().memfd(kBase, 2 * kPage).build().value();

  EXPECT_EQ(::ftruncate(memory.regions().front().fd(), kPage), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST(MappedMemoryTest, FileMemoryIsTheFileFromItsOffsetOn) {
  auto file = temporary_file(2 * kPage);
  const auto second = file.duplicate().value();
  const le32 stored(0x12345678);
  ASSERT_EQ(::pwrite(second.get(), &stored, 4, kPage), 4);

  const auto memory =
      Builder().file(kBase, kPage, std::move(file), kPage, Protection::kReadWrite).build().value();

  EXPECT_EQ(read_object<le32>(memory, kBase).value(), 0x12345678u);
  ASSERT_TRUE(write_object(memory, kBase, le32(0x9abcdef0)));
  le32 changed;
  ASSERT_EQ(::pread(second.get(), &changed, 4, kPage), 4);
  EXPECT_EQ(changed, 0x9abcdef0u);
  EXPECT_EQ(memory.regions().front().file_offset(), kPage);
}

TEST(MappedMemoryTest, ReadOnlyFileMemoryRefusesWrites) {
  const auto memory =
      Builder().file(kBase, kPage, temporary_file(kPage), 0, Protection::kReadOnly).build().value();

  EXPECT_TRUE(memory.find(kBase, 4, Access::kRead));
  EXPECT_EQ(memory.find(kBase, 4, Access::kWrite).error(),
            Error(MemoryError::kReadOnly, kBase.raw()));
}

TEST(MappedMemoryTest, ReadOnlyAnonymousMemoryIsFilledByTheHost) {
  const auto memory = Builder().anonymous(kBase, kPage, Protection::kReadOnly).build().value();

  *memory.regions().front().host() = std::byte{7};

  EXPECT_EQ(read_object<std::uint8_t>(memory, kBase).value(), 7u);
  EXPECT_EQ(memory.find(kBase, 4, Access::kWrite).error(),
            Error(MemoryError::kReadOnly, kBase.raw()));
}

TEST(MappedMemoryTest, ReachesTheLastByteOfTheAddressSpace) {
  const auto last_page = UINT64_MAX - kPage + 1;
  const auto memory = Builder().anonymous(at(last_page), kPage).build().value();

  ASSERT_TRUE(write_object(memory, at(UINT64_MAX - 3), le32(7)));
  EXPECT_EQ(read_object<le32>(memory, at(UINT64_MAX - 3)).value(), 7u);
  EXPECT_EQ(memory.find(at(0), 1, Access::kRead).error(), MemoryError::kUnmapped);
}

// A system call says EFAULT where this process would fault.
TEST(MappedMemoryTest, NothingCanBeTouchedBesideARegion) {
  const auto memory = Builder()
                          .anonymous(kBase, kPage)
                          .memfd(at(kBase.raw() + kPage), kPage)
                          .file(at(kBase.raw() + 2 * kPage), kPage, temporary_file(3 * kPage),
                                kPage, Protection::kReadWrite)
                          .build()
                          .value();
  const Fd zeroes(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  const Fd file = temporary_file(1);

  for (const auto& region : memory.regions()) {
    for (auto* inside : {region.host(), region.host() + kPage - 1})
      EXPECT_EQ(::read(zeroes.get(), inside, 1), 1);
    for (auto* beside : {region.host() - 1, region.host() + kPage}) {
      EXPECT_EQ(::read(zeroes.get(), beside, 1), -1);
      EXPECT_EQ(errno, EFAULT);
      EXPECT_EQ(::pwrite(file.get(), beside, 1, 0), -1);
      EXPECT_EQ(errno, EFAULT);
    }
  }
}

TEST(MappedMemoryBuilderTest, RefusesAMapWithoutRegions) {
  EXPECT_EQ(Builder().build().error(), MemoryError::kNoRegions);
}

TEST(MappedMemoryBuilderTest, RefusesAnEmptyRegion) {
  EXPECT_EQ(Builder().anonymous(kBase, 0).build().error(),
            Error(MemoryError::kRegionEmpty, kBase.raw()));
}

TEST(MappedMemoryBuilderTest, RefusesWhatIsNotAMultipleOfThePage) {
  EXPECT_EQ(Builder().anonymous(at(0x10001), kPage).build().error(),
            Error(MemoryError::kRegionUnaligned, 0x10001, kPage));
  EXPECT_EQ(Builder().memfd(kBase, 100).build().error(),
            Error(MemoryError::kRegionUnaligned, 100, kPage));
  EXPECT_EQ(Builder()
                .file(kBase, kPage, temporary_file(2 * kPage), 8, Protection::kReadOnly)
                .build()
                .error(),
            Error(MemoryError::kRegionUnaligned, 8, kPage));
}

TEST(MappedMemoryBuilderTest, RefusesOverlapOfOnePageInEitherOrder) {
  EXPECT_EQ(Builder()
                .anonymous(kBase, 2 * kPage)
                .anonymous(at(kBase.raw() + kPage), kPage)
                .build()
                .error(),
            Error(MemoryError::kRegionOverlap, kBase.raw() + kPage, kBase.raw()));
  EXPECT_EQ(Builder()
                .anonymous(at(kBase.raw() + kPage), kPage)
                .anonymous(kBase, 2 * kPage)
                .build()
                .error(),
            MemoryError::kRegionOverlap);
  EXPECT_EQ(Builder().anonymous(kBase, kPage).anonymous(kBase, kPage).build().error(),
            MemoryError::kRegionOverlap);
}

TEST(MappedMemoryBuilderTest, RefusesARegionThatPassesTheAddressSpace) {
  const auto last_page = UINT64_MAX - kPage + 1;

  EXPECT_TRUE(Builder().anonymous(at(last_page), kPage).build());
  EXPECT_EQ(Builder().anonymous(at(last_page), 2 * kPage).build().error(),
            Error(MemoryError::kRegionPastEnd, last_page, 2 * kPage));
}

// The end of the first wraps to 0.
TEST(MappedMemoryBuilderTest, RefusesOverlapAtTheEndOfTheAddressSpace) {
  const auto last_page = UINT64_MAX - kPage + 1;

  EXPECT_EQ(Builder()
                .anonymous(at(last_page - kPage), 2 * kPage)
                .anonymous(at(last_page), kPage)
                .build()
                .error(),
            Error(MemoryError::kRegionOverlap, last_page, last_page - kPage));
}

TEST(MappedMemoryBuilderTest, RefusesAFileThatEndsBeforeTheRegion) {
  EXPECT_EQ(Builder()
                .file(kBase, 2 * kPage, temporary_file(2 * kPage), kPage, Protection::kReadWrite)
                .build()
                .error(),
            Error(MemoryError::kFileTooSmall, 3 * kPage, 2 * kPage));
}

TEST(MappedMemoryBuilderTest, RefusesAFileOffsetWhoseEndPassesTheLargestNumber) {
  const auto last_page = UINT64_MAX - kPage + 1;

  EXPECT_EQ(Builder()
                .file(kBase, kPage, temporary_file(kPage), last_page, Protection::kReadWrite)
                .build()
                .error(),
            Error(MemoryError::kFileTooSmall, UINT64_MAX, kPage));
}

TEST(MappedMemoryBuilderTest, SaysWhichSystemCallFailed) {
  EXPECT_EQ(Builder().file(kBase, kPage, Fd(), 0, Protection::kReadWrite).build().error(),
            Error(SystemError::kStat, EBADF));
  EXPECT_EQ(Builder().anonymous(kBase, std::uint64_t{1} << 62).build().error(),
            Error(SystemError::kMap, ENOMEM));
  EXPECT_EQ(Builder().anonymous(at(0), UINT64_MAX - kPage + 1).build().error(),
            Error(SystemError::kMap, ENOMEM));
  EXPECT_EQ(Builder().memfd(kBase, std::uint64_t{1} << 63).build().error(),
            Error(SystemError::kTruncate, EINVAL));
  EXPECT_EQ(Builder()
                .file(kBase, kPage, Fd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)), 0,
                      Protection::kReadWrite)
                .build()
                .error(),
            Error(SystemError::kMap, EACCES));
}

TEST(MappedMemoryBuilderTest, SaysThatNoMemoryFileCouldBeMade) {
  const NoMoreDescriptors limit;
  EXPECT_EQ(Builder().memfd(kBase, kPage).build().error(), Error(SystemError::kMemfd, EMFILE));
}

// The second region fails: the first must not stay mapped, nor its file open.
TEST(MappedMemoryBuilderTest, MapsAllOrNone) {
  Fd file = temporary_file(kPage);
  const int raw = file.get();

  EXPECT_FALSE(Builder()
                   .file(kBase, kPage, std::move(file), 0, Protection::kReadWrite)
                   .anonymous(kBase, kPage)
                   .build());

  EXPECT_EQ(::fcntl(raw, F_GETFD), -1);
}

class DirtyTrackingTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::vector<std::uint64_t> take() const {
    return memory.regions().front().dirty()->take();
  }
  [[nodiscard]] MappedSlice slice() const {
    return memory.find(kBase, 4 * kPage, Access::kWrite).value();
  }

  MappedMemory memory = Builder().anonymous(kBase, 4 * kPage).track_dirty_pages().build().value();
};

TEST_F(DirtyTrackingTest, IsOffUnlessAskedFor) {
  const auto untracked = Builder().anonymous(kBase, kPage).build().value();
  EXPECT_EQ(untracked.regions().front().dirty(), nullptr);
}

TEST_F(DirtyTrackingTest, DoesNotMarkReads) {
  static_cast<void>(read_object<le64>(memory, kBase));
  static_cast<void>(slice().load<std::uint32_t>(8));
  static_cast<void>(slice().load_acquire<std::uint16_t>(2));
  static_cast<void>(slice().io_source());

  EXPECT_THAT(take(), ElementsAre(0u));
}

// Marked before the system call has written, a page could be taken and copied without the bytes.
TEST_F(DirtyTrackingTest, DoesNotMarkWhatASystemCallIsOnlyAboutToWrite) {
  static_cast<void>(slice().io_target());
  EXPECT_THAT(take(), ElementsAre(0u));
}

TEST_F(DirtyTrackingTest, MarksBothPagesOfAStoreAcrossTheirBorder) {
  slice().store(2 * kPage - 4, std::uint64_t{1});
  EXPECT_THAT(take(), ElementsAre(0b0110u));
}

TEST_F(DirtyTrackingTest, MarksEveryKindOfWrite) {
  slice().store_release(0, std::uint16_t{1});
  EXPECT_THAT(take(), ElementsAre(0b0001u));

  slice().write(kPage, std::as_bytes(std::span("bytes")));
  EXPECT_THAT(take(), ElementsAre(0b0010u));

  slice().fill(2 * kPage, 2 * kPage, std::byte{1});
  EXPECT_THAT(take(), ElementsAre(0b1100u));

  slice().subslice(0, 2 * kPage).written_by_io();
  EXPECT_THAT(take(), ElementsAre(0b0011u));
}

TEST_F(DirtyTrackingTest, MarksThePageThatASubsliceLiesIn) {
  slice().subslice(kPage, 2 * kPage).subslice(kPage, 16).store(0, std::uint8_t{1});
  EXPECT_THAT(take(), ElementsAre(0b0100u));
}

TEST_F(DirtyTrackingTest, HasABitmapForEachRegion) {
  const auto two = Builder()
                       .anonymous(kBase, kPage)
                       .anonymous(at(kBase.raw() + kPage), kPage)
                       .track_dirty_pages()
                       .build()
                       .value();

  ASSERT_TRUE(write_object(two, at(kBase.raw() + kPage), le32(1)));

  EXPECT_FALSE(two.regions().front().dirty()->is_dirty(0));
  EXPECT_TRUE(two.regions().back().dirty()->is_dirty(0));
}

TEST(MappedSliceTest, GivesItsHostRangeToSystemCalls) {
  const auto memory = Builder().anonymous(kBase, kPage).build().value();
  const auto slice = memory.find(at(kBase.raw() + 16), 32, Access::kWrite).value();

  EXPECT_EQ(slice.io_source().iov_base, memory.regions().front().host() + 16);
  EXPECT_EQ(slice.io_source().iov_len, 32u);
  EXPECT_EQ(slice.io_target().iov_base, slice.io_source().iov_base);
}

}  // namespace
}  // namespace guestproof
