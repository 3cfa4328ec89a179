// Every way in which a descriptor chain can be right or wrong, seen through the queue that takes
// it.
#include "guestproof/virtio/queue/chain_walk.h"

#include <gmock/gmock.h>

#include <vector>

#include "guestproof/memory/mapped_memory.h"
#include "queue_fixture.h"

namespace guestproof::virtio {

bool operator==(const Buffer& a, const Buffer& b) {
  return a.address == b.address && a.length == b.length;
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint16_t kNext = VIRTQ_DESC_F_NEXT;
constexpr std::uint16_t kWrite = VIRTQ_DESC_F_WRITE;
constexpr std::uint16_t kIndirect = VIRTQ_DESC_F_INDIRECT;

class ChainWalkTest : public QueueFixture {
 protected:
  void SetUp() override { activate({.event_index = false, .indirect = true}); }

  /// Writes entry `index` of the indirect table at `table`.
  void write_indirect(GuestAddress table, std::uint16_t index, std::uint32_t length,
                      std::uint16_t flags, std::uint16_t next) {
    driver.write_descriptor_at(plus(table, 16ULL * index), kData, length, flags, next);
  }
  /// The fault of the next chain, which must have one; its head must come back, once.
  Error take_fault() {
    auto chain = take();
    EXPECT_TRUE(chain.fault());
    EXPECT_EQ(chain.readable_bytes() + chain.writable_bytes(), 0u);
    EXPECT_THAT(chain.readable(), IsEmpty());
    EXPECT_THAT(chain.writable(), IsEmpty());
    const auto fault = chain.fault();
    const auto head = chain.head();
    EXPECT_TRUE(chain.complete(0));
    const auto used = driver.take_used();
    EXPECT_EQ(used->id, head);
    EXPECT_EQ(used->len, 0u);
    EXPECT_FALSE(queue.broken());
    return *fault;
  }
};

TEST_F(ChainWalkTest, CollectsReadableThenWritableBuffers) {
  driver.add_chain({{kData, 16}, {kBorder, 8}, {kTable, 32, true}, {kEnd, 1, true}});

  const auto chain = take();

  EXPECT_FALSE(chain.fault());
  EXPECT_THAT(chain.readable(), ElementsAre(Buffer{kData, 16}, Buffer{kBorder, 8}));
  EXPECT_THAT(chain.writable(), ElementsAre(Buffer{kTable, 32}, Buffer{kEnd, 1}));
  EXPECT_EQ(chain.readable_bytes(), 24u);
  EXPECT_EQ(chain.writable_bytes(), 33u);
}

TEST_F(ChainWalkTest, TakesAChainOfOneDirectionOnly) {
  driver.add_chain({{kData, 16}});
  driver.add_chain({{kData, 16, true}});

  EXPECT_EQ(take().writable_bytes(), 0u);
  EXPECT_EQ(take().readable_bytes(), 0u);
}

TEST_F(ChainWalkTest, TakesAChainAsLongAsTheQueue) {
  driver.add_chain(std::array<testing::BufferSpec, kSize>{{{kData, 1},
                                                           {kData, 1},
                                                           {kData, 1},
                                                           {kData, 1},
                                                           {kData, 1},
                                                           {kData, 1},
                                                           {kData, 1},
                                                           {kData, 1}}});

  EXPECT_EQ(take().readable_bytes(), kSize);
}

TEST_F(ChainWalkTest, FollowsNextInAnyOrderOfTheTable) {
  driver.write_descriptor(6, kData, 1, kNext, 0);
  driver.write_descriptor(0, kData, 2, kNext, 7);
  driver.write_descriptor(7, kData, 4, 0, 0);
  driver.publish(6);

  const auto chain = take();

  EXPECT_EQ(chain.head(), 6u);
  EXPECT_EQ(chain.readable_bytes(), 7u);
}

TEST_F(ChainWalkTest, IgnoresNextWithoutItsFlag) {
  driver.write_descriptor(0, kData, 4, 0, 0xffff);
  driver.publish(0);

  EXPECT_EQ(take().readable_bytes(), 4u);
}

TEST_F(ChainWalkTest, FetchesEveryDescriptorOnce) {
  driver.add_chain({{kData, 1}, {kData, 1}, {kData, 1, true}});

  const auto chain = take();

  for (std::uint64_t byte = 0; byte < 3 * sizeof(VirtqDesc); ++byte)
    ASSERT_EQ(memory.fetch_count(plus(layout.descriptor_table, byte)), 1u) << byte;
  EXPECT_EQ(memory.fetch_count(plus(layout.descriptor_table, 3 * sizeof(VirtqDesc))), 0u);
  EXPECT_EQ(memory.fetch_count(kData), 0u);
}

TEST_F(ChainWalkTest, KeepsWhatItReadWhenTheDriverWritesAgain) {
  driver.write_descriptor(0, kData, 4, kWrite, 0);
  driver.publish(0);
  const auto chain = take();

  driver.write_descriptor(0, kNowhere, 4000, 0, 0);

  EXPECT_THAT(chain.writable(), ElementsAre(Buffer{kData, 4}));
}

TEST_F(ChainWalkTest, DropsBuffersOfLengthZero) {
  driver.add_chain(
      {{kNowhere, 0}, {kData, 4}, {kNowhere, 0}, {kNowhere, 0, true}, {kData, 8, true}});

  const auto chain = take();

  EXPECT_FALSE(chain.fault());
  EXPECT_THAT(chain.readable(), ElementsAre(Buffer{kData, 4}));
  EXPECT_THAT(chain.writable(), ElementsAre(Buffer{kData, 8}));
}

TEST_F(ChainWalkTest, TakesAChainOfNothingButLengthZero) {
  driver.add_chain({{kNowhere, 0}, {kNowhere, 0, true}});

  const auto chain = take();

  EXPECT_FALSE(chain.fault());
  EXPECT_EQ(chain.readable_bytes() + chain.writable_bytes(), 0u);
}

TEST_F(ChainWalkTest, LengthZeroStillHasADirection) {
  driver.add_chain({{kData, 0, true}, {kData, 4}});

  EXPECT_EQ(take_fault(), Error(ChainError::kReadableAfterWritable, 1));
}

TEST_F(ChainWalkTest, LeavesBufferAddressesToTheirUse) {
  driver.add_chain({{kNowhere, 4}, {kTop, 0x2000, true}});

  const auto chain = take();

  EXPECT_FALSE(chain.fault());
  EXPECT_EQ(chain.reader().skip(4).has_value(), true);
  EXPECT_EQ(chain.reader().read_object<le32>().error(), MemoryError::kUnmapped);
}

TEST_F(ChainWalkTest, RefusesALoopOfOneDescriptor) {
  driver.write_descriptor(3, kData, 1, kNext, 3);
  driver.publish(3);

  EXPECT_EQ(take_fault(), Error(ChainError::kTooLong, kSize, kSize));
}

TEST_F(ChainWalkTest, RefusesALoopThroughTheWholeTable) {
  for (std::uint16_t i = 0; i < kSize; ++i)
    driver.write_descriptor(i, kData, 0, kNext, static_cast<std::uint16_t>((i + 1) % kSize));
  driver.publish(5);

  EXPECT_EQ(take_fault(), ChainError::kTooLong);
}

TEST_F(ChainWalkTest, ReadsNoMoreThanQueueSizeDescriptorsOfALoop) {
  driver.write_descriptor(3, kData, 1, kNext, 3);
  driver.publish(3);

  static_cast<void>(take_fault());

  EXPECT_EQ(memory.fetch_count(plus(layout.descriptor_table, 3 * sizeof(VirtqDesc))), kSize);
}

TEST_F(ChainWalkTest, RefusesANextPastTheTable) {
  driver.write_descriptor(0, kData, 1, kNext, kSize);
  driver.publish(0);
  driver.write_descriptor(1, kData, 1, kNext, 0xffff);
  driver.publish(1);

  EXPECT_EQ(take_fault(), Error(ChainError::kNextIndex, kSize, kSize));
  EXPECT_EQ(take_fault(), Error(ChainError::kNextIndex, 0xffff, kSize));
}

TEST_F(ChainWalkTest, RefusesReadableAfterWritable) {
  driver.add_chain({{kData, 4}, {kData, 4, true}, {kData, 4}});

  EXPECT_EQ(take_fault(), Error(ChainError::kReadableAfterWritable, 2));
}

TEST_F(ChainWalkTest, TakesExactly2To32Bytes) {
  driver.add_chain({{kData, 0xffffffff}, {kData, 1, true}});

  const auto chain = take();

  EXPECT_FALSE(chain.fault());
  EXPECT_EQ(chain.readable_bytes(), 0xffffffffu);
  EXPECT_EQ(chain.writable_bytes(), 1u);
}

TEST_F(ChainWalkTest, RefusesOneByteMoreThan2To32) {
  driver.add_chain({{kData, 0xffffffff}, {kData, 2, true}});

  EXPECT_EQ(take_fault(), Error(ChainError::kTotalLength, kMaxChainBytes + 1, kMaxChainBytes));
}

TEST_F(ChainWalkTest, RefusesASumThatIsSmallModulo2To32) {
  driver.add_chain({{kData, 0x80000000}, {kData, 0x80000000}, {kData, 16}});

  EXPECT_EQ(take_fault(), Error(ChainError::kTotalLength, kMaxChainBytes + 16, kMaxChainBytes));
}

TEST_F(ChainWalkTest, RefusesASelfLoopOfTheLargestLength) {
  driver.write_descriptor(0, kData, 0xffffffff, kNext, 0);
  driver.publish(0);

  EXPECT_EQ(take_fault(), ChainError::kTotalLength);
}

TEST_F(ChainWalkTest, GoesOnWithTheNextChainAfterABadOne) {
  driver.write_descriptor(7, kData, 1, kNext, 7);
  driver.publish(7);
  driver.add_chain({{kData, 4}});

  EXPECT_EQ(take_fault(), ChainError::kTooLong);
  EXPECT_EQ(take().readable_bytes(), 4u);
}

// A driver could make the host keep as many copies of descriptors as the square of the queue's
// size.
TEST_F(ChainWalkTest, AcceptsTheMostDescriptorsOfALargeQueueAndNoMore) {
  constexpr std::uint16_t kLarge = 2 * kMaxChainDescriptors;
  const auto mapped = MappedMemory::Builder().anonymous(GuestAddress(0), 0x40000).build().value();
  testing::Driver large_driver(mapped, testing::QueueLayout::at(kRings, kLarge));
  SplitQueue<MappedMemory> large;
  ASSERT_TRUE(large.activate(mapped, large_driver.layout().config(), {}));

  large_driver.add_chain(std::vector<testing::BufferSpec>(kMaxChainDescriptors, {kData, 1}));
  auto longest = std::move(large.pop().value().value());
  EXPECT_FALSE(longest.fault());
  EXPECT_EQ(longest.readable().size(), kMaxChainDescriptors);

  large_driver.add_chain(std::vector<testing::BufferSpec>(kMaxChainDescriptors + 1, {kData, 1}));
  const auto longer = std::move(large.pop().value().value());
  EXPECT_EQ(longer.fault(),
            Error(ChainError::kTooLong, kMaxChainDescriptors, kMaxChainDescriptors));
}

using IndirectTest = ChainWalkTest;

TEST_F(IndirectTest, CollectsTheBuffersOfTheTable) {
  driver.add_indirect_chain(kTable, {{kData, 16}, {kBorder, 8, true}});

  const auto chain = take();

  EXPECT_FALSE(chain.fault());
  EXPECT_THAT(chain.readable(), ElementsAre(Buffer{kData, 16}));
  EXPECT_THAT(chain.writable(), ElementsAre(Buffer{kBorder, 8}));
}

TEST_F(IndirectTest, MayEndADirectChain) {
  driver.write_descriptor(0, kData, 1, kNext, 1);
  driver.write_descriptor(1, kTable, 32, kIndirect, 0);
  write_indirect(kTable, 0, 2, kNext, 1);
  write_indirect(kTable, 1, 4, kWrite, 0);
  driver.publish(0);

  const auto chain = take();

  EXPECT_FALSE(chain.fault());
  EXPECT_EQ(chain.readable_bytes(), 3u);
  EXPECT_EQ(chain.writable_bytes(), 4u);
}

TEST_F(IndirectTest, IgnoresTheWriteFlagOfItsDescriptor) {
  driver.write_descriptor(0, kTable, 16, kIndirect | kWrite, 0);
  write_indirect(kTable, 0, 4, 0, 0);
  driver.publish(0);

  EXPECT_EQ(take().readable_bytes(), 4u);
}

TEST_F(IndirectTest, TableMayBeUnaligned) {
  driver.add_indirect_chain(plus(kTable, 3), {{kData, 16}, {kData, 8}});
  EXPECT_EQ(take().readable_bytes(), 24u);
}

TEST_F(IndirectTest, TableMayRunAcrossRegionsThatTouch) {
  driver.add_indirect_chain(before(kBorder, 24), {{kData, 1}, {kData, 2}, {kData, 4}});

  const auto chain = take();

  EXPECT_FALSE(chain.fault());
  EXPECT_EQ(chain.readable_bytes(), 7u);
  for (std::uint64_t byte = 0; byte < 48; ++byte)
    ASSERT_EQ(memory.fetch_count(plus(before(kBorder, 24), byte)), 1u) << byte;
}

TEST_F(IndirectTest, TableMayBeReadOnly) {
  driver.add_indirect_chain(kReadOnly, {{kData, 4, true}});
  EXPECT_EQ(take().writable_bytes(), 4u);
}

TEST_F(IndirectTest, TableMayLeaveMemoryWhereTheChainDoesNotReadIt) {
  driver.write_descriptor(0, before(kEnd, 16), 64, kIndirect, 0);
  write_indirect(before(kEnd, 16), 0, 4, 0, 0);
  driver.publish(0);

  EXPECT_EQ(take().readable_bytes(), 4u);
}

TEST_F(IndirectTest, TableMayReachTheEndOfTheAddressSpaceAndClaimMore) {
  driver.write_descriptor(0, before(GuestAddress(UINT64_MAX), 15), 64, kIndirect, 0);
  write_indirect(before(GuestAddress(UINT64_MAX), 15), 0, 4, 0, 0);
  driver.publish(0);

  EXPECT_EQ(take().readable_bytes(), 4u);
}

TEST_F(IndirectTest, TableOfTheLargestLengthIsReadOnlyWhereTheChainGoes) {
  driver.write_descriptor(0, kTable, 0xfffffff0, kIndirect, 0);
  write_indirect(kTable, 0, 4, kNext, 100);
  write_indirect(kTable, 100, 8, 0, 0);
  driver.publish(0);

  EXPECT_EQ(take().readable_bytes(), 12u);
}

TEST_F(IndirectTest, TableAsLongAsTheQueueIsTaken) {
  driver.add_indirect_chain(kTable, std::array<testing::BufferSpec, kSize>{{{kData, 1},
                                                                            {kData, 1},
                                                                            {kData, 1},
                                                                            {kData, 1},
                                                                            {kData, 1},
                                                                            {kData, 1},
                                                                            {kData, 1},
                                                                            {kData, 1}}});
  EXPECT_EQ(take().readable_bytes(), kSize);
}

TEST_F(IndirectTest, IsRefusedUnlessNegotiated) {
  activate({.event_index = false, .indirect = false});
  driver.add_indirect_chain(kTable, {{kData, 4}});

  EXPECT_EQ(take_fault(), ChainError::kIndirectNotNegotiated);
  EXPECT_EQ(memory.fetch_count(kTable), 0u);
}

TEST_F(IndirectTest, IsRefusedInsideATable) {
  driver.write_descriptor(0, kTable, 32, kIndirect, 0);
  write_indirect(kTable, 0, 4, kNext, 1);
  write_indirect(kTable, 1, 16, kIndirect, 0);
  driver.publish(0);

  EXPECT_EQ(take_fault(), Error(ChainError::kIndirectNested, 1));
}

TEST_F(IndirectTest, IsRefusedWhenItsTableContainsItself) {
  driver.write_descriptor(2, plus(layout.descriptor_table, 32), 16, kIndirect, 0);
  driver.publish(2);

  EXPECT_EQ(take_fault(), Error(ChainError::kIndirectNested, 0));
}

TEST_F(IndirectTest, IsRefusedTogetherWithNext) {
  driver.write_descriptor(0, kTable, 16, kIndirect | kNext, 3);
  write_indirect(kTable, 0, 4, 0, 0);
  driver.publish(0);

  EXPECT_EQ(take_fault(), Error(ChainError::kIndirectWithNext, 3));
}

TEST_F(IndirectTest, TableLengthMustBeAPositiveMultipleOf16) {
  for (const std::uint32_t length : {0u, 15u, 17u, 0x10001u, 0xffffffffu}) {
    driver.write_descriptor(0, kTable, length, kIndirect, 0);
    driver.publish(0);
    EXPECT_EQ(take_fault(), Error(ChainError::kIndirectLength, length, 16));
  }
}

TEST_F(IndirectTest, TableLengthIsNotCutTo16Bits) {
  driver.write_descriptor(0, kTable, 0x10000, kIndirect, 0);
  write_indirect(kTable, 0, 4, 0, 0);
  driver.publish(0);

  EXPECT_EQ(take().readable_bytes(), 4u);
}

TEST_F(IndirectTest, TableOutsideMemoryIsRefused) {
  driver.write_descriptor(0, kNowhere, 16, kIndirect, 0);
  driver.publish(0);
  EXPECT_EQ(take_fault(), Error(ChainError::kIndirectUnmapped, kNowhere.raw()));
}

TEST_F(IndirectTest, TableThatLeavesMemoryIsRefusedWhereTheChainReadsIt) {
  driver.write_descriptor(0, before(kEnd, 24), 32, kIndirect, 0);
  write_indirect(before(kEnd, 24), 0, 4, kNext, 1);
  driver.publish(0);

  EXPECT_EQ(take_fault(), Error(ChainError::kIndirectUnmapped, before(kEnd, 8).raw()));
}

TEST_F(IndirectTest, TableThatPassesTheAddressSpaceIsRefusedWhereTheChainReadsIt) {
  const auto table = before(GuestAddress(UINT64_MAX), 15);
  driver.write_descriptor(0, table, 32, kIndirect, 0);
  write_indirect(table, 0, 4, kNext, 1);
  driver.publish(0);

  EXPECT_EQ(take_fault(), Error(ChainError::kIndirectUnmapped, table.raw()));
}

TEST_F(IndirectTest, NextPastTheTableIsRefused) {
  driver.write_descriptor(0, kTable, 32, kIndirect, 0);
  write_indirect(kTable, 0, 4, kNext, 2);
  driver.publish(0);

  EXPECT_EQ(take_fault(), Error(ChainError::kNextIndex, 2, 2));
}

TEST_F(IndirectTest, LoopInTheTableIsRefused) {
  driver.write_descriptor(0, kTable, 32, kIndirect, 0);
  write_indirect(kTable, 0, 4, kNext, 1);
  write_indirect(kTable, 1, 4, kNext, 0);
  driver.publish(0);

  EXPECT_EQ(take_fault(), ChainError::kTooLong);
}

TEST_F(IndirectTest, ChainLongerThanTheQueueIsRefused) {
  driver.write_descriptor(0, kTable, 16 * (kSize + 1), kIndirect, 0);
  for (std::uint16_t i = 0; i <= kSize; ++i)
    write_indirect(kTable, i, 1, i < kSize ? kNext : 0, static_cast<std::uint16_t>(i + 1));
  driver.publish(0);

  EXPECT_EQ(take_fault(), Error(ChainError::kTooLong, kSize, kSize));
}

TEST_F(IndirectTest, DirectDescriptorsCountTowardsTheLength) {
  driver.write_descriptor(0, kData, 1, kNext, 1);
  driver.write_descriptor(1, kTable, 16 * kSize, kIndirect, 0);
  for (std::uint16_t i = 0; i < kSize; ++i)
    write_indirect(kTable, i, 1, i + 1 < kSize ? kNext : 0, static_cast<std::uint16_t>(i + 1));
  driver.publish(0);

  EXPECT_EQ(take_fault(), ChainError::kTooLong);
}

TEST_F(IndirectTest, LengthSumGoesOnFromTheDirectDescriptors) {
  driver.write_descriptor(0, kData, 0xffffffff, kNext, 1);
  driver.write_descriptor(1, kTable, 16, kIndirect, 0);
  write_indirect(kTable, 0, 2, 0, 0);
  driver.publish(0);

  EXPECT_EQ(take_fault(), ChainError::kTotalLength);
}

TEST_F(IndirectTest, DirectionGoesOnFromTheDirectDescriptors) {
  driver.write_descriptor(0, kData, 4, kNext | kWrite, 1);
  driver.write_descriptor(1, kTable, 16, kIndirect, 0);
  write_indirect(kTable, 0, 4, 0, 0);
  driver.publish(0);

  EXPECT_EQ(take_fault(), Error(ChainError::kReadableAfterWritable, 1));
}

TEST_F(IndirectTest, LengthOfItsDescriptorDoesNotCountAsBytes) {
  driver.write_descriptor(0, kTable, 0xfffffff0, kIndirect, 0);
  write_indirect(kTable, 0, 0xffffffff, 0, 0);
  driver.publish(0);

  EXPECT_EQ(take().readable_bytes(), 0xffffffffu);
}

}  // namespace
}  // namespace guestproof::virtio
