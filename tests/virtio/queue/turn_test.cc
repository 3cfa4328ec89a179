#include "guestproof/virtio/queue/turn.h"

#include <functional>

#include "guestproof/virtio/queue/shared_queue.h"
#include "queue_fixture.h"

namespace guestproof::virtio {
namespace {

class TurnTest : public QueueFixture {
 protected:
  void SetUp() override { activate({}); }

  void add(unsigned chains) {
    for (; chains != 0; --chains) driver.add_chain({{kData, 4, true}});
  }
  /// A turn that completes every chain, and the next thing that the driver does after each.
  Turn turn(std::uint32_t looks, const std::function<void()>& after_each = [] {}) {
    const auto taken = take_turn(queue, looks, [&](Chain<Queue> chain) -> Result<void> {
      const auto done = chain.complete(4);
      after_each();
      return done;
    });
    EXPECT_TRUE(taken);
    return taken.value_or(Turn{});
  }
};

TEST_F(TurnTest, ServesWhatIsAvailableAndAsksForKicks) {
  add(3);
  const auto done = turn(4);
  EXPECT_TRUE(done.notify);
  EXPECT_FALSE(done.more);
  EXPECT_EQ(driver.used_index(), 3u);
  EXPECT_EQ(driver.used_flags(), 0u);
}

TEST_F(TurnTest, EndsWhenItsLooksAreUsedUp) {
  add(3);
  const auto first = turn(2);
  EXPECT_TRUE(first.more);
  EXPECT_EQ(driver.used_index(), 2u);
  EXPECT_EQ(driver.used_flags(), VIRTQ_USED_F_NO_NOTIFY);

  const auto second = turn(2);
  EXPECT_FALSE(second.more);
  EXPECT_EQ(driver.used_index(), 3u);
  EXPECT_EQ(driver.used_flags(), 0u);
}

TEST_F(TurnTest, OfTheWholeQueueServesAFullQueue) {
  add(kSize);
  const auto done = turn(whole_queue(queue));
  EXPECT_FALSE(done.more);
  EXPECT_EQ(driver.used_index(), kSize);
}

TEST_F(TurnTest, EndsThoughTheDriverAddsAChainForEveryOneThatItGetsBack) {
  add(1);
  unsigned added = 1;
  const auto done = turn(whole_queue(queue), [&] {
    if (++added < 1000) add(1);
  });
  EXPECT_TRUE(done.more);
  EXPECT_EQ(driver.used_index(), kSize + 1u);
}

TEST_F(TurnTest, NotifiesOfWhatItReturnedThoughThereIsMore) {
  add(5);
  EXPECT_TRUE(turn(2).notify);
  EXPECT_TRUE(turn(2).notify);
}

// The driver with event index wants to hear of the third chain: the second turn returns it.
TEST_F(TurnTest, NotifiesAtTheEndOfTheTurnThatPassesTheDriversEvent) {
  activate({.event_index = true});
  driver.set_used_event(2);
  add(6);
  EXPECT_FALSE(turn(2).notify);
  EXPECT_TRUE(turn(2).notify);
  EXPECT_FALSE(turn(2).notify);
}

TEST_F(TurnTest, LeavesTheKickEventBehindUntilThereIsNoMore) {
  activate({.event_index = true});
  add(3);
  EXPECT_TRUE(turn(2).more);
  EXPECT_EQ(driver.available_event(), 0u);
  EXPECT_FALSE(turn(2).more);
  EXPECT_EQ(driver.available_event(), 3u);
}

// The available index is 1 whenever it is looked at after asking for kicks, and 0 whenever a chain
// is to be taken: the device could go to and fro for as long as the guest does.
TEST_F(TurnTest, EndsThoughTheAvailableIndexComesAndGoes) {
  const auto index = plus(layout.available_ring, kAvailIdxOffset);
  for (unsigned nth = 2; nth < 200; ++nth)
    memory.add_race({index, static_cast<std::uint8_t>(nth), std::byte(nth % 2 == 0 ? 1 : 0)});

  const auto done = turn(5);

  EXPECT_TRUE(done.more);
  EXPECT_FALSE(done.notify);
  EXPECT_EQ(memory.fetch_count(index), 10u);
  EXPECT_EQ(driver.used_flags(), VIRTQ_USED_F_NO_NOTIFY);
}

// The chain becomes available after the queue was seen empty and before kicks are on.
TEST_F(TurnTest, LooksAgainOnceKicksAreOn) {
  add(1);
  driver.set_available_index(0);
  memory.add_race({plus(layout.available_ring, kAvailIdxOffset), 2, std::byte{1}});
  EXPECT_FALSE(turn(whole_queue(queue)).more);
  EXPECT_EQ(driver.used_index(), 1u);
}

TEST_F(TurnTest, ReturnsWhatIsDropped) {
  add(2);
  const auto done = take_turn(queue, 3, [](Chain<Queue>) -> Result<void> { return {}; });
  EXPECT_TRUE(done->notify);
  EXPECT_EQ(driver.used_index(), 2u);
}

TEST_F(TurnTest, EndsAtTheFirstErrorOfTheDevice) {
  add(2);
  const auto done = take_turn(queue, 3, [](Chain<Queue> chain) { return chain.complete(5); });
  EXPECT_EQ(done.error(), Error(QueueError::kUsedLength, 5, 4));
  EXPECT_EQ(driver.used_index(), 1u);
}

TEST_F(TurnTest, ReportsABrokenQueue) {
  add(1);
  driver.publish(kSize);
  const auto done = take_turn(queue, 3, [](Chain<Queue>) -> Result<void> { return {}; });
  EXPECT_EQ(done.error(), Error(QueueError::kHeadIndex, kSize, kSize));
  EXPECT_EQ(driver.used_index(), 1u);
}

TEST_F(TurnTest, OfAQueueThatIsNotActiveIsAnError) {
  queue.reset();
  const auto done =
      take_turn(queue, whole_queue(queue), [](Chain<Queue>) -> Result<void> { return {}; });
  EXPECT_EQ(done.error(), QueueError::kNotActive);
}

TEST_F(TurnTest, ServesASharedQueue) {
  SharedQueue<Memory> shared;
  ASSERT_TRUE(shared.activate(memory, layout.config(), {}));
  add(kSize);
  const auto done =
      take_turn(shared, whole_queue(shared), [](auto chain) { return chain.complete(0); });
  EXPECT_FALSE(done->more);
  EXPECT_EQ(driver.used_index(), kSize);
}

using TurnDeathTest = TurnTest;

TEST_F(TurnDeathTest, WithoutALookIsTheCallersBug) {
  EXPECT_DEATH(turn(0), "invariant broken: looks != 0");
}

}  // namespace
}  // namespace guestproof::virtio
