#include "guestproof/virtio/queue/split_queue.h"

#include <gmock/gmock.h>

#include <vector>

#include "guestproof/memory/mapped_memory.h"
#include "queue_fixture.h"

namespace guestproof::virtio {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SplitQueueTest : public QueueFixture {
 protected:
  void SetUp() override { activate({}); }

  /// Descriptor i is a chain of one writable buffer, for every i.
  void write_single_descriptors() {
    for (std::uint16_t i = 0; i < kSize; ++i)
      driver.write_descriptor(i, kData, 4, VIRTQ_DESC_F_WRITE, 0);
  }
  /// Makes heads 0 to count − 1 (modulo the size) available in one step.
  void publish_together(std::uint16_t count) {
    const auto start = driver.available_index();
    for (std::uint16_t i = 0; i < count; ++i)
      driver.set_available_entry(static_cast<std::uint16_t>((start + i) % kSize), i % kSize);
    driver.set_available_index(static_cast<std::uint16_t>(start + count));
  }
  void expect_broken(const Error& error) {
    EXPECT_EQ(queue.pop().error(), error);
    EXPECT_EQ(queue.broken(), error);
    EXPECT_EQ(queue.pop().error(), error);  // and it stays so
  }
};

TEST_F(SplitQueueTest, HasNothingWhileNothingIsAvailable) {
  EXPECT_FALSE(has_chain());
  EXPECT_FALSE(has_chain());
  EXPECT_FALSE(queue.broken());
}

TEST_F(SplitQueueTest, HasEveryChainOnceInTheRingsOrder) {
  write_single_descriptors();
  driver.publish(5);
  driver.publish(0);
  driver.publish(7);

  EXPECT_EQ(take().head(), 5u);
  EXPECT_EQ(take().head(), 0u);
  EXPECT_EQ(take().head(), 7u);
  EXPECT_FALSE(has_chain());
}

TEST_F(SplitQueueTest, SeesAllChainsOfOneKick) {
  write_single_descriptors();
  publish_together(kSize);

  std::vector<std::uint16_t> heads;
  while (auto chain = queue.pop().value()) heads.push_back(chain->head());

  EXPECT_THAT(heads, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST_F(SplitQueueTest, ReadsTheIndexAgainOnlyWhenAllAnnouncedChainsWereTaken) {
  write_single_descriptors();
  publish_together(3);
  const auto index = plus(layout.available_ring, kAvailIdxOffset);

  const auto a = take(), b = take(), c = take();
  EXPECT_EQ(memory.fetch_count(index), 1u);

  EXPECT_FALSE(has_chain());
  EXPECT_EQ(memory.fetch_count(index), 2u);
}

TEST_F(SplitQueueTest, ReadsEachRingEntryOnce) {
  write_single_descriptors();
  publish_together(2);

  const auto a = take(), b = take();

  EXPECT_EQ(memory.fetch_count(plus(layout.available_ring, kAvailRingOffset)), 1u);
  EXPECT_EQ(memory.fetch_count(plus(layout.available_ring, kAvailRingOffset + 2)), 1u);
  EXPECT_EQ(memory.fetch_count(plus(layout.available_ring, kAvailRingOffset + 4)), 0u);
}

TEST_F(SplitQueueTest, WritesNothingButTheUsedElementAndItsIndex) {
  driver.add_chain({{kData, 4, true}});

  serve_one();

  ASSERT_EQ(memory.writes().size(), 2u);
  EXPECT_EQ(memory.writes()[0].address, plus(layout.used_ring, kUsedRingOffset));
  EXPECT_EQ(memory.writes()[0].length, 8u);
  EXPECT_EQ(memory.writes()[1].address, plus(layout.used_ring, kUsedIdxOffset));
  EXPECT_EQ(memory.writes()[1].length, 2u);
}

TEST_F(SplitQueueTest, TakingWritesNothing) {
  driver.add_chain({{kData, 4, true}});
  const auto chain = take();
  EXPECT_THAT(memory.writes(), IsEmpty());
}

TEST_F(SplitQueueTest, TakesExactlySizeEntriesAhead) {
  write_single_descriptors();
  publish_together(kSize);

  EXPECT_TRUE(has_chain());
  EXPECT_FALSE(queue.broken());
}

TEST_F(SplitQueueTest, BreaksOnSizePlusOneEntriesAhead) {
  write_single_descriptors();
  publish_together(kSize + 1);

  expect_broken(Error(QueueError::kAvailIndex, kSize + 1, kSize));
}

TEST_F(SplitQueueTest, BreaksOnAnIndexThatGoesBack) {
  serve(3);
  driver.set_available_index(2);

  expect_broken(Error(QueueError::kAvailIndex, 0xffff, kSize));
}

TEST_F(SplitQueueTest, TakesExactlySizeEntriesAheadAcross65535) {
  serve(65535);
  ASSERT_EQ(driver.used_index(), 65535u);
  write_single_descriptors();
  publish_together(kSize);
  ASSERT_EQ(driver.available_index(), kSize - 1);

  std::uint16_t taken = 0;
  while (queue.pop().value()) ++taken;

  EXPECT_EQ(taken, kSize);
  EXPECT_EQ(driver.used_index(), kSize - 1);
}

TEST_F(SplitQueueTest, BreaksOnSizePlusOneEntriesAheadAcross65535) {
  serve(65535);
  write_single_descriptors();
  publish_together(kSize + 1);

  expect_broken(Error(QueueError::kAvailIndex, kSize + 1, kSize));
}

TEST_F(SplitQueueTest, GoesOnAfterBothIndicesWrapped) {
  serve(65536 + 5);

  const auto head = driver.add_chain({{kData, 4, true}});
  ASSERT_TRUE(take().complete(4));

  EXPECT_EQ(driver.used_index(), 6u);
  EXPECT_EQ(driver.used_entry(5).id, head);
  EXPECT_EQ(driver.used_entry(5).len, 4u);
}

TEST_F(SplitQueueTest, BreaksOnAHeadOutsideTheTable) {
  driver.publish(kSize);
  expect_broken(Error(QueueError::kHeadIndex, kSize, kSize));
}

TEST_F(SplitQueueTest, BreaksOnTheLargestHead) {
  driver.publish(0xffff);
  expect_broken(Error(QueueError::kHeadIndex, 0xffff, kSize));
}

TEST_F(SplitQueueTest, BreaksOnAHeadThatIsInFlight) {
  write_single_descriptors();
  driver.publish(3);
  driver.publish(3);
  auto chain = take();

  expect_broken(Error(QueueError::kHeadInFlight, 3));

  EXPECT_EQ(queue.in_flight(), 1u);
  EXPECT_TRUE(chain.complete(4));
  EXPECT_EQ(driver.used_index(), 1u);
}

TEST_F(SplitQueueTest, TakesAHeadAgainOnceItWasReturned) {
  write_single_descriptors();
  driver.publish(3);
  driver.publish(3);

  serve_one();
  serve_one();

  EXPECT_FALSE(queue.broken());
}

TEST_F(SplitQueueTest, ReturnsChainsThatWereTakenBeforeItBroke) {
  write_single_descriptors();
  driver.publish(1);
  driver.publish(kSize);
  auto chain = take();
  ASSERT_FALSE(queue.pop());

  EXPECT_TRUE(chain.complete(4));

  EXPECT_EQ(driver.take_used()->id, 1u);
}

TEST_F(SplitQueueTest, KnowsAllHeadsInFlight) {
  write_single_descriptors();
  publish_together(kSize);
  std::vector<Chain<Queue>> held;
  for (int i = 0; i < kSize; ++i) held.push_back(take());

  EXPECT_EQ(queue.in_flight(), kSize);
  held.clear();
  EXPECT_EQ(queue.in_flight(), 0u);
}

TEST_F(SplitQueueTest, OfOneDescriptorWorks) {
  testing::Driver small_driver(guest, testing::QueueLayout::at(kTable, 1));
  Queue small;
  ASSERT_TRUE(small.activate(memory, small_driver.layout().config(), {}));

  for (std::uint32_t i = 0; i < 3; ++i) {
    small_driver.add_chain({{kData, i, true}});
    ASSERT_TRUE(small.pop().value().value().complete(i));
    EXPECT_EQ(small_driver.take_used()->len, i);
  }
  EXPECT_FALSE(small.pop().value());
}

TEST_F(SplitQueueTest, OfTheLargestSizeWorksFromEndToEnd) {
  constexpr std::uint16_t kLargest = kMaxQueueSize;
  const auto large_memory =
      MappedMemory::Builder().anonymous(GuestAddress(0), 0x100000).build().value();
  testing::Driver large_driver(large_memory, testing::QueueLayout::at(GuestAddress(0), kLargest));
  SplitQueue<MappedMemory> large;
  ASSERT_TRUE(large.activate(large_memory, large_driver.layout().config(), {}));
  for (std::uint32_t i = 0; i < kLargest; ++i) large_driver.add_chain({{kData, 4, true}});

  std::vector<Chain<SplitQueue<MappedMemory>>> held;
  while (auto chain = large.pop().value()) held.push_back(std::move(*chain));

  EXPECT_EQ(held.size(), kLargest);
  EXPECT_EQ(held.back().head(), kLargest - 1);
  held.clear();
  EXPECT_EQ(large_driver.used_index(), kLargest);
}

// A chain was lost, and the queue's destructor aborted, when taking it was interrupted: by an
// allocation that failed, say.
TEST_F(SplitQueueTest, TakesAChainAgainWhoseTakingWasInterrupted) {
  struct Interrupted {};
  const auto interrupt = +[] { throw Interrupted{}; };
  const auto head = driver.add_chain({{kData, 1}, {kData, 2}, {kData, 3, true}});

  for (std::uint64_t step = 0; step < 4; ++step) {  // the index, the entry, a descriptor, the last
    memory.limit_steps(step, interrupt);
    EXPECT_THROW(static_cast<void>(queue.pop()), Interrupted);
    EXPECT_EQ(queue.in_flight(), 0u);
  }
  memory.limit_steps(UINT64_MAX, nullptr);
  const auto chain = take();

  EXPECT_EQ(chain.head(), head);
  EXPECT_EQ(chain.readable_bytes(), 3u);
  EXPECT_EQ(chain.writable_bytes(), 3u);
}

TEST_F(SplitQueueTest, EchoesAChainInMappedMemory) {
  const auto mapped = MappedMemory::Builder().anonymous(GuestAddress(0), 0x10000).build().value();
  testing::Driver mapped_driver(mapped, testing::QueueLayout::at(kRings, kSize));
  SplitQueue<MappedMemory> mapped_queue;
  ASSERT_TRUE(mapped_queue.activate(mapped, layout.config(), {}));
  ASSERT_TRUE(write_object(mapped, kData, le32(0x12345678)));
  const auto head = mapped_driver.add_chain({{kData, 4}, {kTable, 4, true}});

  auto chain = std::move(mapped_queue.pop().value().value());
  ASSERT_TRUE(chain.writer().write_object(chain.reader().read_object<le32>().value()));
  ASSERT_TRUE(chain.complete(4));

  EXPECT_EQ(mapped_driver.take_used()->id, head);
  EXPECT_EQ(read_object<le32>(mapped, kTable).value(), 0x12345678u);
}

class InactiveQueueTest : public QueueFixture {};

TEST_F(InactiveQueueTest, GivesNothingAndTouchesNothing) {
  EXPECT_FALSE(queue.active());
  EXPECT_EQ(queue.pop().error(), QueueError::kNotActive);
  EXPECT_EQ(queue.save().error(), QueueError::kNotActive);
  EXPECT_EQ(queue.remap(memory).error(), QueueConfigError::kNotReady);
  EXPECT_FALSE(queue.needs_notification());
  EXPECT_FALSE(queue.enable_kicks());
  queue.disable_kicks();
  EXPECT_THAT(memory.writes(), IsEmpty());
}

TEST_F(InactiveQueueTest, StaysInactiveWhenItsAreasAreNotInMemory) {
  const auto lost = testing::QueueLayout::at(kNowhere, kSize).config();

  EXPECT_EQ(queue.activate(memory, lost, {}).error(),
            Error(QueueConfigError::kDescriptorTableRange, kNowhere.raw(), 16 * kSize));

  EXPECT_FALSE(queue.active());
}

TEST_F(InactiveQueueTest, StaysInactiveWhenTheConfigurationIsNotReady) {
  EXPECT_EQ(queue.activate(memory, QueueConfig::create(kSize).value(), {}).error(),
            QueueConfigError::kNotReady);
  EXPECT_FALSE(queue.active());
}

TEST_F(InactiveQueueTest, IsInactiveAfterAFailedSecondActivation) {
  activate({});
  EXPECT_FALSE(queue.activate(memory, testing::QueueLayout::at(kNowhere, kSize).config(), {}));
  EXPECT_EQ(queue.pop().error(), QueueError::kNotActive);
}

class ResetTest : public SplitQueueTest {};

TEST_F(ResetTest, HasNoChainsAfterwards) {
  write_single_descriptors();
  publish_together(3);
  ASSERT_TRUE(has_chain());

  queue.reset();

  EXPECT_FALSE(queue.active());
  EXPECT_EQ(queue.pop().error(), QueueError::kNotActive);
}

TEST_F(ResetTest, HealsABrokenQueue) {
  driver.publish(kSize);
  ASSERT_FALSE(queue.pop());

  queue.reset();
  driver.set_available_index(0);
  activate({});

  EXPECT_FALSE(queue.broken());
  EXPECT_FALSE(has_chain());
}

TEST_F(ResetTest, StartsFromIndexZeroAgain) {
  serve(5);

  queue.reset();
  driver.set_available_index(0);
  activate({});
  serve(1);

  EXPECT_EQ(driver.used_index(), 1u);
}

TEST_F(ResetTest, ForgetsHeadsInFlight) {
  write_single_descriptors();
  driver.publish(3);
  const auto held = take();

  queue.reset();
  driver.set_available_index(0);
  activate({});
  driver.publish(3);

  EXPECT_EQ(take().head(), 3u);
}

TEST_F(ResetTest, OfAQueueThatWasNeverActiveIsHarmless) {
  Queue fresh;
  fresh.reset();
  EXPECT_FALSE(fresh.active());
}

class NotificationTest : public QueueFixture {};

TEST_F(NotificationTest, IsNeededOnceForWhatWasReturned) {
  activate({});
  EXPECT_FALSE(queue.needs_notification());

  serve(2);

  EXPECT_TRUE(queue.needs_notification());
  EXPECT_FALSE(queue.needs_notification());
}

TEST_F(NotificationTest, IsNotNeededForChainsThatAreOnlyTaken) {
  activate({});
  driver.add_chain({{kData, 4, true}});
  const auto chain = take();

  EXPECT_FALSE(queue.needs_notification());
}

TEST_F(NotificationTest, IsNeededForADroppedChainToo) {
  activate({});
  driver.add_chain({{kData, 4, true}});
  ASSERT_TRUE(has_chain());

  EXPECT_TRUE(queue.needs_notification());
}

TEST_F(NotificationTest, HonoursNoInterrupt) {
  activate({});
  driver.set_available_flags(VIRTQ_AVAIL_F_NO_INTERRUPT);
  serve(1);
  EXPECT_FALSE(queue.needs_notification());

  driver.set_available_flags(0);
  serve(1);
  EXPECT_TRUE(queue.needs_notification());
}

TEST_F(NotificationTest, LooksAtTheOneFlagOnly) {
  activate({});
  driver.set_available_flags(static_cast<std::uint16_t>(~VIRTQ_AVAIL_F_NO_INTERRUPT));
  serve(1);
  EXPECT_TRUE(queue.needs_notification());
}

TEST_F(NotificationTest, IgnoresTheEventIndexUnlessNegotiated) {
  activate({});
  driver.set_used_event(100);
  serve(1);
  EXPECT_TRUE(queue.needs_notification());
}

TEST_F(NotificationTest, IgnoresTheFlagsWithEventIndex) {
  activate({.event_index = true});
  driver.set_available_flags(VIRTQ_AVAIL_F_NO_INTERRUPT);
  driver.set_used_event(0);
  serve(1);
  EXPECT_TRUE(queue.needs_notification());
}

TEST_F(NotificationTest, ComesWhenTheEventEntryWasWritten) {
  activate({.event_index = true});
  driver.set_used_event(2);

  serve(2);
  EXPECT_FALSE(queue.needs_notification());
  serve(1);
  EXPECT_TRUE(queue.needs_notification());
  EXPECT_FALSE(queue.needs_notification());
  serve(1);
  EXPECT_FALSE(queue.needs_notification());
}

TEST_F(NotificationTest, ComesForABatchThatPassesTheEventEntry) {
  activate({.event_index = true});
  driver.set_used_event(1);

  serve(4);

  EXPECT_TRUE(queue.needs_notification());
}

TEST_F(NotificationTest, ComesAcross65535) {
  activate({.event_index = true});
  serve(65534);
  static_cast<void>(queue.needs_notification());
  driver.set_used_event(65535);

  serve(1);
  EXPECT_FALSE(queue.needs_notification());
  serve(1);
  EXPECT_EQ(driver.used_index(), 0u);
  EXPECT_TRUE(queue.needs_notification());
  EXPECT_FALSE(queue.needs_notification());
}

TEST_F(NotificationTest, IsNotLostAfter65536EntriesWithoutAsking) {
  activate({.event_index = true});
  driver.set_used_event(0x8000);

  serve(65536);

  EXPECT_EQ(driver.used_index(), 0u);
  EXPECT_TRUE(queue.needs_notification());
  EXPECT_FALSE(queue.needs_notification());
}

TEST_F(NotificationTest, IsCertainOnceTheDistanceIsNoLongerKnown) {
  activate({.event_index = true});
  driver.set_used_event(0x8000);

  serve(65536 + 1);

  EXPECT_TRUE(queue.needs_notification());
}

TEST_F(NotificationTest, IsNotLostAfter65536EntriesWithoutEventIndex) {
  activate({});
  serve(65536);
  EXPECT_TRUE(queue.needs_notification());
  EXPECT_FALSE(queue.needs_notification());
}

TEST_F(NotificationTest, StartsAfreshWithEveryActivation) {
  activate({});
  serve(1);

  queue.reset();
  driver.set_available_index(0);
  activate({});

  EXPECT_FALSE(queue.needs_notification());
}

class KickTest : public QueueFixture {};

TEST_F(KickTest, AreSuppressedAndWantedThroughTheFlags) {
  activate({});

  queue.disable_kicks();
  EXPECT_EQ(driver.used_flags(), VIRTQ_USED_F_NO_NOTIFY);

  EXPECT_FALSE(queue.enable_kicks());
  EXPECT_EQ(driver.used_flags(), 0u);
}

TEST_F(KickTest, AreWantedAtTheNextChainThroughTheEventIndex) {
  activate({.event_index = true});
  serve(5);

  EXPECT_FALSE(queue.enable_kicks());

  EXPECT_EQ(driver.available_event(), 5u);
}

TEST_F(KickTest, LeaveTheFlagsAtZeroWithEventIndex) {
  activate({.event_index = true});

  queue.disable_kicks();
  static_cast<void>(queue.enable_kicks());

  EXPECT_EQ(driver.used_flags(), 0u);
}

TEST_F(KickTest, LeaveTheEventIndexAloneUnlessNegotiated) {
  activate({});
  serve(5);
  static_cast<void>(queue.enable_kicks());
  EXPECT_EQ(driver.available_event(), 0u);
}

TEST_F(KickTest, EnablingSaysThatChainsCameInBetween) {
  activate({.event_index = true});
  ASSERT_FALSE(has_chain());
  driver.add_chain({{kData, 4, true}});

  EXPECT_TRUE(queue.enable_kicks());
  serve_one();
  EXPECT_FALSE(queue.enable_kicks());
}

TEST_F(KickTest, EnablingSaysThatAnnouncedChainsAreLeft) {
  activate({});
  driver.add_chain({{kData, 4, true}});
  driver.add_chain({{kData, 4, true}});
  serve_one();

  EXPECT_TRUE(queue.enable_kicks());
}

TEST_F(KickTest, AreWantedAtTheFirstChainThatIsNotTakenThoughMoreAreAnnounced) {
  activate({.event_index = true});
  driver.add_chain({{kData, 4, true}});
  driver.add_chain({{kData, 4, true}});
  serve_one();

  EXPECT_TRUE(queue.enable_kicks());

  EXPECT_EQ(driver.available_event(), 1u);
}

TEST_F(KickTest, EventIndexGoesOnAcross65535) {
  activate({.event_index = true});
  serve(65536 + 2);
  EXPECT_FALSE(queue.enable_kicks());
  EXPECT_EQ(driver.available_event(), 2u);
}

// A loop `do { … } while (enable_kicks())` over a broken queue must end.
TEST_F(KickTest, EnablingEndsTheLoopOfABrokenQueue) {
  activate({});
  driver.publish(kSize);
  ASSERT_FALSE(queue.pop());

  EXPECT_FALSE(queue.enable_kicks());
}

class RemapTest : public SplitQueueTest {
 protected:
  Memory moved{kRegions};
  Memory::GuestView moved_guest = moved.guest();
};

TEST_F(RemapTest, GoesOnInTheNewMemory) {
  serve(3);
  testing::Driver moved_driver(moved_guest, layout);
  moved_driver.set_available_index(3);
  const auto head = moved_driver.add_chain({{kData, 4, true}});

  ASSERT_TRUE(queue.remap(moved));
  serve_one();

  EXPECT_EQ(moved_driver.used_index(), 4u);
  EXPECT_EQ(moved_driver.used_entry(3).id, head);
  EXPECT_EQ(driver.used_index(), 3u);
}

TEST_F(RemapTest, ChainsInFlightGoOnInTheNewMemory) {
  ASSERT_TRUE(write_object(moved_guest, kData, le32(7)));
  driver.add_chain({{kData, 4}, {kTable, 4, true}});
  auto chain = take();

  ASSERT_TRUE(queue.remap(moved));

  EXPECT_EQ(chain.reader().read_object<le32>().value(), 7u);
  ASSERT_TRUE(chain.complete(4));
  EXPECT_EQ(driver.used_index(), 0u);
}

TEST_F(RemapTest, WithoutAnAreaMakesTheQueueInactive) {
  driver.add_chain({{kData, 4, true}});
  auto chain = take();
  const std::array regions{Memory::RegionSpec{kBorder, 0x1000}};
  const Memory elsewhere(regions);

  EXPECT_EQ(queue.remap(elsewhere).error(), QueueConfigError::kDescriptorTableRange);

  EXPECT_FALSE(queue.active());
  EXPECT_EQ(chain.complete(0).error(), QueueError::kStaleChain);
}

class DirtyQueueTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(queue.activate(memory, driver.layout().config(), {})); }
  std::vector<std::uint64_t> take_dirty() { return memory.regions().front().dirty()->take(); }

  // Page 1 holds the rings, pages 2 and 3 a buffer across their border.
  MappedMemory memory = MappedMemory::Builder()
                            .anonymous(GuestAddress(0), 0x10000)
                            .track_dirty_pages()
                            .build()
                            .value();
  testing::Driver<MappedMemory> driver{memory, testing::QueueLayout::at(GuestAddress(0x1000), 8)};
  SplitQueue<MappedMemory> queue;
};

TEST_F(DirtyQueueTest, MarksThePagesOfUsedRingAndBuffersWhenTheyAreWritten) {
  driver.add_chain({{GuestAddress(0x5000), 4}, {GuestAddress(0x2ffe), 4, true}});
  take_dirty();

  auto chain = std::move(queue.pop().value().value());
  static_cast<void>(chain.reader().read_object<le32>());
  EXPECT_THAT(take_dirty(), ElementsAre(0u));

  ASSERT_TRUE(chain.writer().write_object(le32(1)));
  EXPECT_THAT(take_dirty(), ElementsAre(0b1100u));

  ASSERT_TRUE(chain.complete(4));
  EXPECT_THAT(take_dirty(), ElementsAre(0b0010u));
}

TEST_F(DirtyQueueTest, MarksTheUsedRingForNotificationWishes) {
  take_dirty();

  queue.disable_kicks();
  EXPECT_THAT(take_dirty(), ElementsAre(0b0010u));

  static_cast<void>(queue.enable_kicks());
  EXPECT_THAT(take_dirty(), ElementsAre(0b0010u));
}

}  // namespace
}  // namespace guestproof::virtio
