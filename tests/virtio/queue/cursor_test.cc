#include "guestproof/virtio/queue/cursor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <vector>

#include "guestproof/base/endian.h"
#include "guestproof/testing/watched_memory.h"
#include "print.h"

namespace guestproof::virtio {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::WatchedMemory;

constexpr GuestAddress kBase{0x1000};
constexpr GuestAddress kBorder{0x2000};  // first and second region touch here
constexpr GuestAddress kHole{0x3000};    // after the second region
constexpr GuestAddress kReadOnly{0x8000};
constexpr GuestAddress kTop{UINT64_MAX - 0xfff};  // the last page of the address space

constexpr GuestAddress before(GuestAddress address, std::uint64_t bytes) {
  return GuestAddress(address.raw() - bytes);
}

std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> result;
  for (const int value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

class CursorTest : public ::testing::Test {
 protected:
  using Buffers = std::vector<Buffer>;

  [[nodiscard]] Reader<WatchedMemory> reader(Buffers buffers) {
    const auto& kept = chains.emplace_back(std::move(buffers));
    return {memory, kept, sum(kept)};
  }
  [[nodiscard]] Writer<WatchedMemory> writer(Buffers buffers) {
    const auto& kept = chains.emplace_back(std::move(buffers));
    return {memory, kept, sum(kept)};
  }
  static std::uint64_t sum(const Buffers& buffers) {
    std::uint64_t total = 0;
    for (const auto& buffer : buffers) total += buffer.length;
    return total;
  }
  /// The guest's bytes.
  void put(GuestAddress address, const std::vector<std::byte>& in) const {
    ASSERT_TRUE(write_bytes(memory.guest(), address, in));
  }
  [[nodiscard]] std::vector<std::byte> get(GuestAddress address, std::size_t length) const {
    std::vector<std::byte> result(length);
    EXPECT_TRUE(read_bytes(memory.guest(), address, result));
    return result;
  }

  static constexpr std::array kRegions{
      WatchedMemory::RegionSpec{kBase, 0x1000},
      WatchedMemory::RegionSpec{kBorder, 0x1000},
      WatchedMemory::RegionSpec{kReadOnly, 0x1000, true},
      WatchedMemory::RegionSpec{kTop, 0x1000},
  };
  WatchedMemory memory{kRegions};
  std::deque<Buffers> chains;  // what readers and writers walk
  // An object's bytes 1 to 8 lie in buffers of 3, 1 and 4 bytes, in no order, one across a border.
  const Buffers cut{{before(kBorder, 2), 3}, {kBase, 1}, {GuestAddress(0x1100), 4}};
  std::array<std::byte, 8> out{};
};

using ReaderTest = CursorTest;
using WriterTest = CursorTest;

TEST_F(ReaderTest, ReadsAnObjectHoweverItIsCut) {
  put(before(kBorder, 2), bytes({1, 2, 3}));
  put(kBase, bytes({4}));
  put(GuestAddress(0x1100), bytes({5, 6, 7, 8}));
  auto in = reader(cut);

  EXPECT_EQ(in.read_object<le64>().value(), 0x0807060504030201u);

  EXPECT_EQ(in.remaining(), 0u);
}

TEST_F(ReaderTest, FetchesEveryByteOnceAndNoOther) {
  auto in = reader(cut);

  ASSERT_TRUE(in.read(out));

  ASSERT_EQ(memory.fetches().size(), 3u);
  EXPECT_EQ(memory.fetch_count(before(kBorder, 2)), 1u);
  EXPECT_EQ(memory.fetch_count(kBorder), 1u);
  EXPECT_EQ(memory.fetch_count(kBase), 1u);
  EXPECT_EQ(memory.fetch_count(GuestAddress(0x1103)), 1u);
  EXPECT_THAT(memory.writes(), IsEmpty());
}

TEST_F(ReaderTest, GoesOnWhereItStopped) {
  put(kBase, bytes({1, 2, 3, 4}));
  auto in = reader({{kBase, 4}});

  EXPECT_EQ(in.read_object<std::uint8_t>().value(), 1u);
  EXPECT_EQ(in.remaining(), 3u);
  EXPECT_EQ(in.read_object<le16>().value(), 0x0302u);
  EXPECT_EQ(in.read_object<std::uint8_t>().value(), 4u);
}

TEST_F(ReaderTest, ReadsUpToTheEndAndNothingPastIt) {
  auto in = reader({{kBase, 4}, {kBorder, 3}});

  const auto too_much = in.read(out);
  ASSERT_FALSE(too_much);
  EXPECT_EQ(too_much.error(), Error(ChainError::kReadPastEnd, 8, 7));
  EXPECT_EQ(in.remaining(), 7u);
  EXPECT_THAT(memory.fetches(), IsEmpty());

  EXPECT_TRUE(in.read(std::span(out).first(7)));
  EXPECT_TRUE(in.read(std::span(out).first(0)));
  EXPECT_EQ(in.read_object<std::uint8_t>().error(), Error(ChainError::kReadPastEnd, 1, 0));
}

TEST_F(ReaderTest, OfNoBuffersHasNothing) {
  auto in = reader({});

  EXPECT_EQ(in.remaining(), 0u);
  EXPECT_TRUE(in.read({}));
  EXPECT_TRUE(in.skip(0));
  EXPECT_EQ(in.skip(1).error(), ChainError::kReadPastEnd);
}

TEST_F(ReaderTest, StopsAtAHoleWithTheBytesBeforeIt) {
  put(before(kHole, 2), bytes({1, 2}));
  auto in = reader({{before(kHole, 2), 8}});

  const auto read = in.read(out);

  ASSERT_FALSE(read);
  EXPECT_EQ(read.error(), Error(MemoryError::kUnmapped, kHole.raw(), 6));
  EXPECT_EQ(in.remaining(), 6u);
  EXPECT_EQ(out[1], std::byte{2});
}

TEST_F(ReaderTest, ReadsTheLastByteOfTheAddressSpace) {
  put(GuestAddress(UINT64_MAX), bytes({9}));
  auto in = reader({{GuestAddress(UINT64_MAX), 1}});

  EXPECT_EQ(in.read_object<std::uint8_t>().value(), 9u);
}

TEST_F(ReaderTest, NeverWrapsRoundToAddressZero) {
  auto in = reader({{before(GuestAddress(UINT64_MAX), 3), 8}});

  const auto read = in.read(out);

  ASSERT_FALSE(read);
  EXPECT_EQ(read.error(), Error(MemoryError::kAddressOverflow, UINT64_MAX - 3, 4));
  EXPECT_EQ(in.remaining(), 4u);
}

TEST_F(ReaderTest, SkipsAcrossBuffersWithoutFetching) {
  put(GuestAddress(0x1101), bytes({6}));
  auto in = reader(cut);

  ASSERT_TRUE(in.skip(5));

  EXPECT_THAT(memory.fetches(), IsEmpty());
  EXPECT_EQ(in.read_object<std::uint8_t>().value(), 6u);
}

TEST_F(ReaderTest, SkipsOverAddressesThatAreNotInMemory) {
  put(kBase, bytes({7}));
  auto in = reader({{kHole, 0xffffffff}, {kBase, 1}});

  ASSERT_TRUE(in.skip(0xffffffff));

  EXPECT_EQ(in.read_object<std::uint8_t>().value(), 7u);
}

TEST_F(ReaderTest, RefusesToSkipPastTheEnd) {
  auto in = reader(cut);

  EXPECT_EQ(in.skip(9).error(), Error(ChainError::kReadPastEnd, 9, 8));
  EXPECT_EQ(in.skip(UINT64_MAX).error(), Error(ChainError::kReadPastEnd, UINT64_MAX, 8));

  EXPECT_EQ(in.remaining(), 8u);
  EXPECT_TRUE(in.skip(8));
}

TEST_F(ReaderTest, SplitsAtEveryByte) {
  put(before(kBorder, 2), bytes({1, 2, 3}));
  put(kBase, bytes({4}));
  put(GuestAddress(0x1100), bytes({5, 6, 7, 8}));
  for (std::size_t length = 0; length <= 8; ++length) {
    auto rest = reader(cut);
    auto front = rest.split(length).value();

    EXPECT_EQ(front.remaining(), length);
    EXPECT_EQ(rest.remaining(), 8 - length);
    ASSERT_TRUE(front.read(std::span(out).first(length)));
    ASSERT_TRUE(rest.read(std::span(out).subspan(length)));
    EXPECT_THAT(std::vector(out.begin(), out.end()), bytes({1, 2, 3, 4, 5, 6, 7, 8}));
    EXPECT_EQ(front.skip(1).error(), ChainError::kReadPastEnd);
  }
}

TEST_F(ReaderTest, RefusesToSplitPastTheEndAndStaysWhereItWas) {
  auto in = reader(cut);

  EXPECT_EQ(in.split(9).error(), Error(ChainError::kReadPastEnd, 9, 8));

  EXPECT_EQ(in.remaining(), 8u);
}

TEST_F(ReaderTest, VisitsTheContiguousPartsInOrder) {
  auto in = reader(cut);
  std::vector<std::size_t> sizes;

  ASSERT_TRUE(in.visit_slices(7, [&](const auto& slice) { sizes.push_back(slice.size()); }));

  EXPECT_THAT(sizes, ElementsAre(2, 1, 1, 3));
  EXPECT_EQ(in.remaining(), 1u);
}

TEST_F(ReaderTest, ReadsReadOnlyMemory) {
  auto in = reader({{kReadOnly, 8}});
  EXPECT_TRUE(in.read(out));
}

TEST_F(WriterTest, WritesAnObjectHoweverItIsCut) {
  auto to = writer(cut);

  ASSERT_TRUE(to.write_object(le64(0x0807060504030201)));

  EXPECT_EQ(get(before(kBorder, 2), 4), bytes({1, 2, 3, 0}));
  EXPECT_EQ(get(kBase, 2), bytes({4, 0}));
  EXPECT_EQ(get(GuestAddress(0x1100), 5), bytes({5, 6, 7, 8, 0}));
  EXPECT_EQ(to.remaining(), 0u);
  EXPECT_THAT(memory.fetches(), IsEmpty());
}

TEST_F(WriterTest, WritesUpToTheEndAndNothingPastIt) {
  auto to = writer({{kBase, 4}, {kBorder, 3}});

  const auto too_much = to.write(out);
  ASSERT_FALSE(too_much);
  EXPECT_EQ(too_much.error(), Error(ChainError::kWritePastEnd, 8, 7));
  EXPECT_THAT(memory.writes(), IsEmpty());

  EXPECT_TRUE(to.write(std::span(out).first(7)));
  EXPECT_EQ(to.fill(1, std::byte{1}).error(), Error(ChainError::kWritePastEnd, 1, 0));
  EXPECT_EQ(to.skip(1).error(), Error(ChainError::kWritePastEnd, 1, 0));
}

TEST_F(WriterTest, StopsAtReadOnlyMemoryWithTheBytesBeforeIt) {
  auto to = writer({{kBase, 4}, {kReadOnly, 4}});

  const auto written = to.write(bytes({1, 2, 3, 4, 5, 6, 7, 8}));

  ASSERT_FALSE(written);
  EXPECT_EQ(written.error(), Error(MemoryError::kReadOnly, kReadOnly.raw()));
  EXPECT_EQ(to.remaining(), 4u);
  EXPECT_EQ(get(kBase, 4), bytes({1, 2, 3, 4}));
  EXPECT_EQ(get(kReadOnly, 4), bytes({0, 0, 0, 0}));
}

TEST_F(WriterTest, StopsAtAHoleAndAtTheEndOfTheAddressSpace) {
  auto into_hole = writer({{before(kHole, 2), 8}});
  EXPECT_EQ(into_hole.write(out).error(), Error(MemoryError::kUnmapped, kHole.raw(), 6));

  auto past_top = writer({{before(GuestAddress(UINT64_MAX), 3), 8}});
  EXPECT_EQ(past_top.write(out).error(), Error(MemoryError::kAddressOverflow, UINT64_MAX - 3, 4));
}

TEST_F(WriterTest, FillsAcrossBuffers) {
  auto to = writer(cut);

  ASSERT_TRUE(to.fill(5, std::byte{0xee}));

  EXPECT_THAT(get(before(kBorder, 2), 3), Each(std::byte{0xee}));
  EXPECT_EQ(get(GuestAddress(0x1100), 2), bytes({0xee, 0}));
  EXPECT_EQ(to.remaining(), 3u);
}

TEST_F(WriterTest, SkipsWithoutWriting) {
  auto to = writer(cut);

  ASSERT_TRUE(to.skip(7));
  ASSERT_TRUE(to.write_object(std::uint8_t{9}));

  ASSERT_EQ(memory.writes().size(), 1u);
  EXPECT_EQ(memory.writes().front().address, GuestAddress(0x1103));
  EXPECT_EQ(memory.writes().front().length, 1u);
}

TEST_F(WriterTest, SplitsAtEveryByte) {
  for (std::size_t length = 0; length <= 8; ++length) {
    memory.reset();
    auto rest = writer(cut);
    auto front = rest.split(length).value();

    EXPECT_EQ(front.remaining(), length);
    ASSERT_TRUE(rest.fill(rest.remaining(), std::byte{2}));
    ASSERT_TRUE(front.fill(front.remaining(), std::byte{1}));

    auto in = reader(cut);
    ASSERT_TRUE(in.read(out));
    EXPECT_THAT(std::span(out).first(length), Each(std::byte{1}));
    EXPECT_THAT(std::span(out).subspan(length), Each(std::byte{2}));
  }
}

TEST_F(WriterTest, RefusesToSplitPastTheEndAndStaysWhereItWas) {
  auto to = writer(cut);

  EXPECT_EQ(to.split(9).error(), Error(ChainError::kWritePastEnd, 9, 8));

  EXPECT_EQ(to.remaining(), 8u);
}

TEST_F(WriterTest, VisitsTheContiguousPartsInOrder) {
  auto to = writer(cut);
  std::vector<std::size_t> sizes;

  ASSERT_TRUE(to.visit_slices(8, [&](const auto& slice) { sizes.push_back(slice.size()); }));

  EXPECT_THAT(sizes, ElementsAre(2, 1, 1, 4));
}

}  // namespace
}  // namespace guestproof::virtio
