#include "guestproof/virtio/queue/packed_ring.h"

#include <gmock/gmock.h>

#include <vector>

#include "packed_fixture.h"

namespace guestproof::virtio {
namespace {

using testing::BufferSpec;
using testing::QueueLayout;

constexpr std::uint16_t kNext = VIRTQ_DESC_F_NEXT, kWrite = VIRTQ_DESC_F_WRITE,
                        kIndirect = VIRTQ_DESC_F_INDIRECT, kAvail = VIRTQ_DESC_F_AVAIL,
                        kUsed = VIRTQ_DESC_F_USED;

class PackedRingTest : public PackedFixture {
 protected:
  /// The fault of the chain that is available. REQUIRES: the queue does not break.
  [[nodiscard]] std::optional<Error> fault() { return take().fault(); }
  [[nodiscard]] std::uint64_t fetches_of(GuestAddress address, std::uint64_t length) const {
    std::uint64_t most = 0;
    for (std::uint64_t i = 0; i < length; ++i)
      most = std::max<std::uint64_t>(most, memory.fetch_count(plus(address, i)));
    return most;
  }
  static constexpr GuestAddress plus(GuestAddress address, std::uint64_t bytes) {
    return GuestAddress(address.raw() + bytes);
  }
};

TEST_F(PackedRingTest, HasNothingInARingOfZeroes) {
  EXPECT_FALSE(has_chain());
  EXPECT_EQ(queue.in_flight(), 0u);
}

TEST_F(PackedRingTest, HasAChainOfOneDescriptor) {
  const auto id = driver.add_chain({{kData, 64, true}});

  const auto chain = take();

  EXPECT_EQ(chain.head(), id);
  EXPECT_EQ(chain.writable_bytes(), 64u);
  EXPECT_EQ(queue.in_flight(), 1u);
}

TEST_F(PackedRingTest, TakesTheBufferIdFromTheLastDescriptor) {
  driver.write_descriptor(0, kData, 8, 4, kNext | kAvail);
  driver.write_descriptor(1, kData, 8, 3, kNext | kWrite | kAvail);
  driver.write_descriptor(2, kData, 8, 2, kWrite | kAvail);

  const auto chain = take();

  EXPECT_EQ(chain.head(), 2u);
  EXPECT_EQ(chain.readable().size(), 1u);
  EXPECT_EQ(chain.writable().size(), 2u);
}

TEST_F(PackedRingTest, GoesOnRoundTheRingManyTimes) {
  for (int turn = 0; turn < 7; ++turn)
    for (const std::size_t slots : {1, 2, 3, 4, 5}) ASSERT_NO_FATAL_FAILURE(serve(slots));
}

TEST_F(PackedRingTest, WritesOneUsedDescriptorForAChainAndSkipsTheRest) {
  driver.add_chain({{kData, 8, false}, {kData, 8, true}, {kData, 8, true}});
  driver.add_chain({{kData, 8, true}});
  auto first = take();
  auto second = take();

  ASSERT_TRUE(first.complete(9));
  ASSERT_TRUE(second.complete(0));

  const auto used = driver.read_descriptor(0);
  EXPECT_EQ(used.id, 0u);
  EXPECT_EQ(used.len, 9u);
  EXPECT_EQ(used.flags, kAvail | kUsed | kWrite);
  EXPECT_EQ(used.addr, kData.raw());
  const auto untouched = driver.read_descriptor(1);
  EXPECT_EQ(untouched.flags, kNext | kWrite | kAvail);
  EXPECT_EQ(driver.read_descriptor(3).flags, kAvail | kUsed);
}

TEST_F(PackedRingTest, WritesUsedDescriptorsInTheOrderOfCompletion) {
  const auto first_id = driver.add_chain({{kData, 8, true}});
  const auto second_id = driver.add_chain({{kData, 8, true}, {kData, 8, true}});
  auto first = take();
  auto second = take();

  ASSERT_TRUE(second.complete(2));
  ASSERT_TRUE(first.complete(1));

  EXPECT_EQ(driver.read_descriptor(0).id, second_id);
  EXPECT_EQ(driver.read_descriptor(2).id, first_id);
  EXPECT_EQ(driver.take_used()->id, second_id);
  EXPECT_EQ(driver.take_used()->id, first_id);
  EXPECT_FALSE(driver.take_used());
}

TEST_F(PackedRingTest, FetchesEachByteOfAChainOnce) {
  driver.add_chain({{kData, 8, false}, {kData, 8, true}});
  memory.clear_log();

  const auto chain = take();

  EXPECT_EQ(fetches_of(kRings, 32), 1u);
  EXPECT_EQ(fetches_of(plus(kRings, 32), 16u * (kSize - 2)), 0u);
}

TEST_F(PackedRingTest, WritesNothingButTheUsedDescriptor) {
  driver.add_chain({{kData, 8, true}});
  memory.clear_log();

  ASSERT_TRUE(take().complete(8));

  for (const auto& write : memory.writes()) {
    EXPECT_GE(write.address.raw(), kRings.raw() + 8);
    EXPECT_LE(write.address.raw() + write.length, kRings.raw() + 16);
  }
}

TEST_F(PackedRingTest, OfOneDescriptorWorks) {
  layout = QueueLayout::at(kRings, 1, RingLayout::kPacked);
  driver = Driver(guest, layout);
  activate(kPackedEvent);

  for (int i = 0; i < 5; ++i) ASSERT_NO_FATAL_FAILURE(serve(1));
  EXPECT_FALSE(has_chain());
}

TEST_F(PackedRingTest, BreaksOnAChainThatGoesOnInADescriptorThatIsNotAvailable) {
  driver.write_descriptor(0, kData, 8, 0, kNext | kAvail);
  driver.write_descriptor(1, kData, 8, 0, kUsed);

  EXPECT_EQ(queue.pop().error(), Error(QueueError::kDescriptorNotAvailable, 1));
  EXPECT_EQ(queue.pop().error(), QueueError::kDescriptorNotAvailable);
  EXPECT_EQ(queue.in_flight(), 0u);
}

TEST_F(PackedRingTest, BreaksOnAChainWithoutEnd) {
  for (std::uint16_t slot = 0; slot < kSize; ++slot)
    driver.write_descriptor(slot, kData, 8, 0, kNext | kAvail);

  EXPECT_EQ(queue.pop().error(), Error(QueueError::kDescriptorInFlight, 0));
}

TEST_F(PackedRingTest, BreaksOnAChainThatRunsIntoOneInFlight) {
  driver.add_chain({{kData, 8, true}, {kData, 8, true}});
  const auto held = take();
  for (std::uint16_t slot = 2; slot < kSize; ++slot)
    driver.write_descriptor(slot, kData, 8, 1, kNext | kAvail);

  EXPECT_EQ(queue.pop().error(), Error(QueueError::kDescriptorInFlight, 0));
  EXPECT_EQ(queue.in_flight(), 1u);
}

TEST_F(PackedRingTest, BreaksWhenAllIsInFlightAndMoreIsMadeAvailable) {
  for (std::uint16_t i = 0; i < kSize; ++i) driver.add_chain({{kData, 8, true}});
  std::vector<Chain<Queue>> held;
  for (std::uint16_t i = 0; i < kSize; ++i) held.push_back(take());
  ASSERT_FALSE(has_chain());

  driver.set_flags(0, kUsed);

  EXPECT_EQ(queue.pop().error(), Error(QueueError::kDescriptorInFlight, 0));
  EXPECT_TRUE(held.front().complete(8));
}

TEST_F(PackedRingTest, BreaksOnABufferIdThatNoChainCanHave) {
  driver.write_descriptor(0, kData, 8, kSize, kAvail);

  EXPECT_EQ(queue.pop().error(), Error(QueueError::kHeadIndex, kSize, kSize));
}

TEST_F(PackedRingTest, BreaksOnABufferIdThatIsInFlight) {
  driver.write_descriptor(0, kData, 8, 3, kAvail);
  driver.write_descriptor(1, kData, 8, 3, kAvail);
  const auto held = take();

  EXPECT_EQ(queue.pop().error(), Error(QueueError::kHeadInFlight, 3));
}

TEST_F(PackedRingTest, FollowsAMalformedChainToItsEnd) {
  driver.add_chain({{kData, 8, true}, {kData, 8, false}, {kData, 8, true}});
  driver.add_chain({{kData, 8, true}});

  const auto bad = take();
  const auto good = take();

  EXPECT_EQ(*bad.fault(), Error(ChainError::kReadableAfterWritable, 1));
  EXPECT_TRUE(bad.writable().empty());
  EXPECT_EQ(good.writable_bytes(), 8u);
}

TEST_F(PackedRingTest, RefusesAnIndirectDescriptorAmongOthers) {
  driver.write_descriptor(0, kData, 8, 0, kNext | kAvail);
  driver.write_descriptor(1, kTable, 16, 0, kIndirect | kAvail);
  EXPECT_EQ(*fault(), Error(ChainError::kIndirectInChain, 1));

  driver.write_descriptor(2, kTable, 16, 0, kIndirect | kNext | kAvail);
  driver.write_descriptor(3, kData, 8, 0, kAvail);
  EXPECT_EQ(*fault(), Error(ChainError::kIndirectInChain, 0));
}

TEST_F(PackedRingTest, RefusesAnIndirectDescriptorThatWasNotNegotiated) {
  activate({.packed = true});
  driver.write_descriptor(0, kTable, 16, 0, kIndirect | kAvail);

  EXPECT_EQ(*fault(), ChainError::kIndirectNotNegotiated);
}

TEST_F(PackedRingTest, RefusesATableThatIsNoWholeNumberOfDescriptors) {
  driver.write_descriptor(0, kTable, 0, 0, kIndirect | kAvail);
  driver.write_descriptor(1, kTable, 24, 0, kIndirect | kAvail);

  EXPECT_EQ(*fault(), Error(ChainError::kIndirectLength, 0, 16));
  EXPECT_EQ(*fault(), Error(ChainError::kIndirectLength, 24, 16));
}

TEST_F(PackedRingTest, RefusesATableLongerThanTheQueue) {
  driver.write_descriptor(0, kTable, 16 * (kSize + 1), 0, kIndirect | kAvail);

  EXPECT_EQ(*fault(), Error(ChainError::kTooLong, kSize, kSize));
}

TEST(PackedRing, RefusesAChainLongerThanAnyMayBe) {
  using Memory = testing::WatchedMemory;
  constexpr std::array kRegions{Memory::RegionSpec{GuestAddress(0), 0x10000}};
  Memory memory(kRegions);
  const auto guest = memory.guest();
  const auto layout =
      QueueLayout::at(GuestAddress(0), 2 * kMaxChainDescriptors, RingLayout::kPacked);
  testing::PackedDriver<Memory::GuestView> driver(guest, layout);
  VirtQueue<Memory> queue;
  ASSERT_TRUE(queue.activate(memory, layout.config(), {.packed = true}));
  const BufferSpec byte{GuestAddress(0xf000), 1, true};

  driver.add_chain(std::vector(kMaxChainDescriptors, byte));
  driver.add_chain(std::vector(kMaxChainDescriptors - 1, byte));
  EXPECT_EQ(queue.pop().value()->writable_bytes(), kMaxChainDescriptors);
  EXPECT_FALSE(queue.pop().value()->fault());
  ASSERT_TRUE(driver.take_used());
  driver.add_chain(std::vector(kMaxChainDescriptors + 1, byte));
  EXPECT_EQ(*queue.pop().value()->fault(),
            Error(ChainError::kTooLong, kMaxChainDescriptors, kMaxChainDescriptors));
}

TEST_F(PackedRingTest, RefusesATableOutsideMemory) {
  driver.write_descriptor(0, GuestAddress(0x7ff0), 32, 0, kIndirect | kAvail);

  EXPECT_EQ(*fault(), Error(ChainError::kIndirectUnmapped, 0x8000));
}

TEST_F(PackedRingTest, IgnoresWhatIsReservedInATable) {
  driver.add_indirect_chain(kTable, {{kData, 8, false}, {kData, 4, true}});
  // No NEXT is needed, and INDIRECT, the availability bits and the Buffer ID mean nothing there.
  ASSERT_TRUE(
      write_object(guest, kTable, PackedDesc{kData.raw(), 8, 0xffff, kIndirect | kAvail | kUsed}));

  const auto chain = take();

  EXPECT_FALSE(chain.fault());
  EXPECT_EQ(chain.readable_bytes(), 8u);
  EXPECT_EQ(chain.writable_bytes(), 4u);
  ASSERT_NO_FATAL_FAILURE(serve(1));  // the table took one descriptor of the ring
}

class PackedNotifyTest : public PackedRingTest {
 protected:
  void SetUp() override { activate(kPackedEvent); }
};

TEST_F(PackedNotifyTest, HappensUnlessTheDriverSaysNo) {
  EXPECT_FALSE(queue.needs_notification());
  serve(1);
  EXPECT_TRUE(queue.needs_notification());
  EXPECT_FALSE(queue.needs_notification());

  driver.set_event(0, RING_EVENT_FLAGS_DISABLE);
  serve(1);
  EXPECT_FALSE(queue.needs_notification());

  driver.set_event(0, RING_EVENT_FLAGS_ENABLE);
  EXPECT_FALSE(queue.needs_notification());
}

TEST_F(PackedNotifyTest, HappensToNobodyWhereThereIsNoQueue) {
  serve(1);
  queue.reset();
  EXPECT_FALSE(queue.needs_notification());
}

TEST_F(PackedNotifyTest, HappensWhenTheDescriptorWasPassed) {
  driver.set_event(driver.off_wrap(6), RING_EVENT_FLAGS_DESC);
  for (int i = 0; i < 6; ++i) {
    serve(1);
    EXPECT_FALSE(queue.needs_notification()) << i;
  }

  serve(2);

  EXPECT_TRUE(queue.needs_notification());
}

TEST_F(PackedNotifyTest, HappensWhenTheDescriptorIsInsideAChain) {
  driver.set_event(driver.off_wrap(2), RING_EVENT_FLAGS_DESC);

  serve(3);

  EXPECT_TRUE(queue.needs_notification());
}

TEST_F(PackedNotifyTest, TellsTurnsApart) {
  driver.set_event(driver.off_wrap(kSize + 1), RING_EVENT_FLAGS_DESC);
  serve(2);
  EXPECT_FALSE(queue.needs_notification());
}

TEST_F(PackedNotifyTest, HappensForCertainAfterTwoTurns) {
  driver.set_event(driver.off_wrap(2 * kSize - 1), RING_EVENT_FLAGS_DESC);
  for (int i = 0; i < 2 * kSize; ++i) serve(1);

  EXPECT_TRUE(queue.needs_notification());
}

TEST_F(PackedNotifyTest, TakesFlagsItDoesNotKnowForYes) {
  driver.set_event(driver.off_wrap(4), 3);
  serve(1);
  EXPECT_TRUE(queue.needs_notification());

  activate(kPacked);  // without event index
  driver = Driver(guest, layout);
  driver.set_event(driver.off_wrap(4), RING_EVENT_FLAGS_DESC);
  serve(1);
  EXPECT_TRUE(queue.needs_notification());
}

TEST_F(PackedNotifyTest, KicksAreAskedForAtTheNextDescriptor) {
  serve(3);

  EXPECT_FALSE(queue.enable_kicks());
  EXPECT_EQ(driver.device_event().desc, driver.off_wrap(3));
  EXPECT_EQ(driver.device_event().flags, RING_EVENT_FLAGS_DESC);

  serve(3);
  EXPECT_FALSE(queue.enable_kicks());
  EXPECT_EQ(driver.device_event().desc, driver.off_wrap(6));

  queue.disable_kicks();
  EXPECT_EQ(driver.device_event().flags, RING_EVENT_FLAGS_DISABLE);
}

TEST_F(PackedNotifyTest, EnablingKicksSaysWhatCameInBetween) {
  queue.disable_kicks();
  driver.add_chain({{kData, 8, true}});

  EXPECT_TRUE(queue.enable_kicks());
}

TEST_F(PackedNotifyTest, WithoutEventIndexKicksAreOnOrOff) {
  activate(kPacked);

  EXPECT_FALSE(queue.enable_kicks());
  EXPECT_EQ(driver.device_event().flags, RING_EVENT_FLAGS_ENABLE);
  queue.disable_kicks();
  EXPECT_EQ(driver.device_event().flags, RING_EVENT_FLAGS_DISABLE);
}

class PackedSaveTest : public PackedNotifyTest {
 protected:
  /// Through the bytes and back.
  void save_and_restore() {
    const auto state = QueueState::decode(queue.save().value().encode()).value();
    ASSERT_TRUE(queue.restore(memory, state, 256, kPackedEvent));
  }
};

TEST_F(PackedSaveTest, SaysWhereTheRingStands) {
  serve(3);
  ASSERT_TRUE(queue.needs_notification());
  serve(3);

  const auto state = queue.save().value();

  EXPECT_EQ(state.next_avail, driver.off_wrap(6));
  EXPECT_EQ(state.next_used, driver.off_wrap(6));
  EXPECT_EQ(state.signalled_used, driver.off_wrap(3));
}

TEST_F(PackedSaveTest, GoesOnFromEveryPlaceOfTwoTurns) {
  for (int i = 0; i < 3 * kSize; ++i) {
    ASSERT_NO_FATAL_FAILURE(serve(2));
    ASSERT_NO_FATAL_FAILURE(save_and_restore());
  }
}

TEST_F(PackedSaveTest, KeepsHowLongAgoTheLastNotificationWas) {
  for (int passed = 1; passed <= 2 * kSize; ++passed) {
    driver.set_event(driver.off_wrap(driver.used_slots()), RING_EVENT_FLAGS_DESC);
    for (int i = 0; i < passed; ++i) serve(1);
    save_and_restore();
    EXPECT_TRUE(queue.needs_notification()) << passed;
  }
}

TEST_F(PackedSaveTest, DoesNotKnowANotificationTwoTurnsAgo) {
  for (int i = 0; i < 2 * kSize; ++i) serve(1);

  EXPECT_EQ(queue.save().value().signalled_used, std::nullopt);
}

}  // namespace
}  // namespace guestproof::virtio
