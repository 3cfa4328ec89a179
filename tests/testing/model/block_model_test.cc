// The model against what virtio 1.3 §5.2.6 says, written down here byte by byte.
#include "guestproof/testing/model/block_model.h"

#include <gtest/gtest.h>

namespace guestproof::testing {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint64_t kReadable = 0x100;
constexpr std::uint64_t kWritable = 0x1000;

class BlockModelTest : public ::testing::Test {
 protected:
  BlockModelTest() {
    model.setup.flush = true;
    model.setup.discard = {.max_sectors = 4, .max_segments = 2};
  }

  static Bytes header(std::uint8_t type, std::uint8_t sector = 0) {
    return {type, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, sector, 0, 0, 0, 0, 0, 0, 0};
  }
  static Bytes segment(std::uint8_t sector, std::uint8_t sectors, std::uint8_t flags = 0) {
    return {sector, 0, 0, 0, 0, 0, 0, 0, sectors, 0, 0, 0, flags, 0, 0, 0};
  }

  /// Serves a request of these readable bytes with this much room for the answer.
  BlockModelAnswer serve(const Bytes& readable, std::uint64_t writable) {
    EXPECT_EQ(ModelMemory(memory).write(kReadable, readable), readable.size());
    EXPECT_EQ(ModelMemory(memory).write(kWritable, Bytes(writable, 0xee)), writable);
    ModelChain chain;
    if (!readable.empty()) chain.readable = {{kReadable, readable.size()}};
    if (writable != 0) chain.writable = {{kWritable, writable}};
    return model.serve(memory, chain);
  }

  Bytes room(std::size_t bytes) {
    Bytes out(bytes);
    EXPECT_EQ(ModelMemory(memory).read(kWritable, out), bytes);
    return out;
  }
  Bytes stored(std::uint64_t offset, std::size_t bytes) {
    Bytes out(bytes);
    EXPECT_EQ(model.disk.read(offset, std::as_writable_bytes(std::span(out))).bytes, bytes);
    return out;
  }

  static constexpr WatchedMemory::RegionSpec kRegions[] = {{GuestAddress(0), 0x4000, false}};
  WatchedMemory memory{kRegions};
  BlockModel model;
};

TEST_F(BlockModelTest, InReadsSectorsAndThenWritesTheStatus) {
  const auto answer = serve(header(0, 3), 513);
  auto expected = stored(3 * 512, 512);
  expected.push_back(0);
  EXPECT_EQ(room(513), expected);
  EXPECT_EQ(answer.used, 513u);
  EXPECT_EQ(answer.status, 0);
  EXPECT_TRUE(answer.executed);
}

TEST_F(BlockModelTest, OutWritesSectors) {
  auto request = header(1, 31);
  request.resize(16 + 512, 0x42);
  const auto answer = serve(request, 1);
  EXPECT_EQ(stored(31 * 512, 512), Bytes(512, 0x42));
  EXPECT_EQ(room(1), Bytes{0});
  EXPECT_EQ(answer.used, 1u);
  EXPECT_EQ(model.disk.flushes(), 0u);
}

TEST_F(BlockModelTest, OutIsStableAtOnceWithoutTheFlushFeature) {
  model.setup.flush = false;
  auto request = header(1);
  request.resize(16 + 512, 0x42);
  EXPECT_EQ(serve(request, 1).status, 0);
  EXPECT_EQ(model.disk.flushes(), 1u);
}

TEST_F(BlockModelTest, OutOnAReadOnlyDeviceIsAnIoError) {
  model.setup.read_only = true;
  auto request = header(1);
  request.resize(16 + 512, 0x42);
  EXPECT_EQ(serve(request, 1).error.name, "block.read_only");
  EXPECT_EQ(room(1), Bytes{1});
  EXPECT_NE(stored(0, 512), Bytes(512, 0x42));
}

TEST_F(BlockModelTest, AFailedReadLeavesZeroes) {
  model.disk.faults.read_error = 100;
  auto expected = stored(0, 100);
  const auto answer = serve(header(0), 513);
  expected.resize(512, 0);
  expected.push_back(1);
  EXPECT_EQ(room(513), expected);
  EXPECT_EQ(answer.bytes, 100u);
  EXPECT_EQ(answer.used, 513u);
}

TEST_F(BlockModelTest, ARefusedReadCountsNoBytes) {
  const auto answer = serve(header(0, 32), 513);
  EXPECT_EQ(answer.error.name, "block.beyond_capacity");
  EXPECT_EQ(answer.used, 0u);
  auto expected = Bytes(512, 0xee);
  expected.push_back(1);
  EXPECT_EQ(room(513), expected);
}

TEST_F(BlockModelTest, TypesThatNobodyKnowsAreUnsupported) {
  EXPECT_EQ(serve(header(7), 1).error.name, "block.unsupported_type");
  EXPECT_EQ(room(1), Bytes{2});
}

TEST_F(BlockModelTest, GetIdWritesTwentyBytes) {
  model.setup.id = {'a', 'b'};
  EXPECT_EQ(serve(header(8), 21).used, 21u);
  Bytes expected(21, 0);
  expected[0] = 'a';
  expected[1] = 'b';
  EXPECT_EQ(room(21), expected);
}

TEST_F(BlockModelTest, NothingIsDiscardedUnlessEverySegmentMayBe) {
  const auto before = stored(0, 16384);
  auto request = header(11);
  for (const auto byte : segment(0, 4)) request.push_back(byte);
  for (const auto byte : segment(30, 3)) request.push_back(byte);
  EXPECT_EQ(serve(request, 1).error.name, "block.beyond_capacity");
  EXPECT_EQ(stored(0, 16384), before);
}

TEST_F(BlockModelTest, NothingIsDiscardedWhenTheSegmentsAreMoreThanTheDisk) {
  model.setup.capacity = 6;
  const auto before = stored(0, 16384);
  auto request = header(11);
  for (const auto byte : segment(0, 4)) request.push_back(byte);
  for (const auto byte : segment(0, 3)) request.push_back(byte);
  const auto answer = serve(request, 1);
  EXPECT_EQ(answer.error.name, "block.segments_total");
  EXPECT_EQ(answer.error.value, 7u);
  EXPECT_EQ(answer.error.limit, 6u);
  EXPECT_EQ(room(1), Bytes{1});
  EXPECT_EQ(stored(0, 16384), before);
}

TEST_F(BlockModelTest, UnknownFlagsCountMoreThanARangeThatIsTooLong) {
  auto request = header(11);
  for (const auto byte : segment(0, 5)) request.push_back(byte);
  for (const auto byte : segment(0, 1, 2)) request.push_back(byte);
  EXPECT_EQ(serve(request, 1).error.name, "block.segment_flags");
  EXPECT_EQ(room(1), Bytes{2});
}

TEST_F(BlockModelTest, WithoutRoomThereIsNoAnswer) {
  const auto answer = serve(header(0), 0);
  EXPECT_EQ(answer.error.name, "block.no_status");
  EXPECT_EQ(answer.status, std::nullopt);
  EXPECT_EQ(answer.used, 0u);
}

}  // namespace
}  // namespace guestproof::testing
