// A chain is an obligation: it is returned exactly once, whatever its holder does.
#include "guestproof/virtio/queue/chain.h"

#include <gmock/gmock.h>

#include <array>
#include <functional>
#include <optional>

#include "queue_fixture.h"

namespace guestproof::virtio {
namespace {

class ChainTest : public QueueFixture {
 protected:
  void SetUp() override { activate({}); }
};

TEST_F(ChainTest, CompletedIsReturnedWithItsLength) {
  const auto head = driver.add_chain({{kData, 64, true}});

  ASSERT_TRUE(take().complete(64));

  const auto used = driver.take_used();
  ASSERT_TRUE(used);
  EXPECT_EQ(used->id, head);
  EXPECT_EQ(used->len, 64u);
  EXPECT_EQ(queue.in_flight(), 0u);
}

TEST_F(ChainTest, DroppedIsReturnedWithLengthZero) {
  const auto head = driver.add_chain({{kData, 64, true}});

  {
    const auto chain = take();
  }

  const auto used = driver.take_used();
  ASSERT_TRUE(used);
  EXPECT_EQ(used->id, head);
  EXPECT_EQ(used->len, 0u);
  EXPECT_FALSE(driver.take_used());
}

TEST_F(ChainTest, MovedAwayIsReturnedByItsNewHolderOnly) {
  driver.add_chain({{kData, 64, true}});
  std::optional<Chain<Queue>> holder;

  {
    auto chain = take();
    holder.emplace(std::move(chain));
  }
  EXPECT_FALSE(driver.take_used());

  holder.reset();
  EXPECT_TRUE(driver.take_used());
  EXPECT_FALSE(driver.take_used());
}

TEST_F(ChainTest, ReplacedByAssignmentIsReturned) {
  const auto first_head = driver.add_chain({{kData, 64, true}});
  const auto second_head = driver.add_chain({{kData, 64, true}});
  auto chain = take();

  chain = take();

  EXPECT_EQ(driver.take_used()->id, first_head);
  EXPECT_EQ(chain.head(), second_head);
  EXPECT_EQ(queue.in_flight(), 1u);
}

TEST_F(ChainTest, SurvivesAssignmentToItself) {
  driver.add_chain({{kData, 64, true}});
  auto chain = take();
  auto& same = chain;

  chain = std::move(same);

  EXPECT_FALSE(driver.take_used());
  EXPECT_TRUE(chain.complete(1));
}

TEST_F(ChainTest, KeepsTheCallerFromClaimingMoreThanIsWritable) {
  const auto head = driver.add_chain({{kData, 64}, {kData, 8, true}});
  auto chain = take();

  EXPECT_EQ(chain.complete(9).error(), Error(QueueError::kUsedLength, 9, 8));

  EXPECT_EQ(driver.used_index(), 0u);
  EXPECT_EQ(queue.in_flight(), 1u);
  EXPECT_EQ(chain.head(), head);
  EXPECT_TRUE(chain.complete(8));
  EXPECT_EQ(driver.take_used()->len, 8u);
}

TEST_F(ChainTest, WithoutWritableBytesIsReturnedWithLengthZeroOnly) {
  driver.add_chain({{kData, 64}});
  auto chain = take();

  EXPECT_EQ(chain.complete(1).error(), Error(QueueError::kUsedLength, 1, 0));
  EXPECT_TRUE(chain.complete(0));
}

TEST_F(ChainTest, Of2To32WritableBytesTakesTheLargestLength) {
  driver.add_chain({{kData, 0xffffffff, true}, {kData, 1, true}});

  ASSERT_TRUE(take().complete(0xffffffff));

  EXPECT_EQ(driver.take_used()->len, 0xffffffffu);
}

TEST_F(ChainTest, MalformedIsReturnedWithLengthZeroOnly) {
  driver.write_descriptor(0, kData, 4, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 0);
  driver.publish(0);
  auto chain = take();
  ASSERT_TRUE(chain.fault());

  EXPECT_EQ(chain.complete(1).error(), QueueError::kUsedLength);
  EXPECT_TRUE(chain.complete(0));
}

TEST_F(ChainTest, AreReturnedInAnyOrder) {
  const auto first = driver.add_chain({{kData, 4, true}});
  const auto second = driver.add_chain({{kData, 4, true}});
  const auto third = driver.add_chain({{kData, 4, true}});
  auto a = take(), b = take(), c = take();

  ASSERT_TRUE(c.complete(3));
  EXPECT_EQ(driver.used_index(), 1u);
  ASSERT_TRUE(a.complete(1));
  ASSERT_TRUE(b.complete(2));

  EXPECT_EQ(driver.take_used()->id, third);
  EXPECT_EQ(driver.take_used()->id, first);
  EXPECT_EQ(driver.take_used()->id, second);
}

TEST_F(ChainTest, HeldOverAResetIsStaleAndWritesNothing) {
  driver.add_chain({{kData, 4, true}});
  auto chain = take();
  queue.reset();
  memory.clear_log();

  EXPECT_EQ(chain.complete(4).error(), Error(QueueError::kStaleChain, 0));

  EXPECT_TRUE(memory.writes().empty());
}

TEST_F(ChainTest, DroppedAfterAResetWritesNothing) {
  driver.add_chain({{kData, 4, true}});
  {
    const auto chain = take();
    queue.reset();
    memory.clear_log();
  }
  EXPECT_TRUE(memory.writes().empty());
}

TEST_F(ChainTest, HeldOverAReactivationDoesNotReturnItsNamesake) {
  driver.add_chain({{kData, 4, true}});
  auto old_chain = take();
  queue.reset();
  driver.set_available_index(0);
  activate({});
  driver.publish(old_chain.head());
  auto new_chain = take();
  ASSERT_EQ(new_chain.head(), old_chain.head());

  EXPECT_EQ(old_chain.complete(4).error(), QueueError::kStaleChain);

  EXPECT_EQ(driver.used_index(), 0u);
  EXPECT_EQ(queue.in_flight(), 1u);
  EXPECT_TRUE(new_chain.complete(4));
}

// A device that held a chain over a reset wrote into memory that the driver had back.
TEST_F(ChainTest, HeldOverAResetHasNoBytes) {
  driver.add_chain({{kData, 4}, {kBorder, 4, true}});
  const auto chain = take();
  EXPECT_FALSE(chain.stale());

  queue.reset();
  memory.clear_log();

  EXPECT_TRUE(chain.stale());
  EXPECT_EQ(chain.fault(), Error(QueueError::kStaleChain, 0));
  EXPECT_TRUE(chain.readable().empty());
  EXPECT_TRUE(chain.writable().empty());
  EXPECT_EQ(chain.reader().read_object<std::uint8_t>().error(), Error(ChainError::kReadPastEnd, 1));
  EXPECT_EQ(chain.writer().write_object(std::uint8_t{1}).error(),
            Error(ChainError::kWritePastEnd, 1));
  EXPECT_TRUE(memory.fetches().empty());
  EXPECT_TRUE(memory.writes().empty());
}

TEST_F(ChainTest, IsStaleHoweverItsQueueWasReset) {
  const auto state = queue.save().value();
  const auto config = layout.config(256);
  const std::array<std::function<bool()>, 3> ways{
      [&] { return queue.activate(memory, config, {}).has_value(); },
      [&] { return !queue.activate(memory, QueueConfig::create(kSize).value(), {}); },
      [&] { return queue.restore(memory, state, 256, {}).has_value(); }};
  for (const auto& reset : ways) {
    activate({});
    driver.set_available_index(0);
    driver.add_chain({{kData, 4, true}});
    const auto chain = take();
    EXPECT_TRUE(reset());
    EXPECT_TRUE(chain.stale());
    EXPECT_EQ(chain.writable_bytes(), 0u);
  }
}

TEST_F(ChainTest, TakenAfterAResetIsNotStale) {
  driver.add_chain({{kData, 4, true}});
  serve_one();
  activate({});
  driver.set_available_index(0);
  driver.add_chain({{kData, 4, true}});
  const auto chain = take();
  EXPECT_FALSE(chain.stale());
  EXPECT_EQ(chain.writable_bytes(), 4u);
}

TEST_F(ChainTest, MalformedAndHeldOverAResetIsStale) {
  driver.write_descriptor(0, kData, 4, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 0);
  driver.publish(0);
  auto chain = take();
  queue.reset();
  EXPECT_TRUE(chain.stale());
  EXPECT_EQ(chain.complete(0).error(), QueueError::kStaleChain);
}

TEST_F(ChainTest, RecordsAreRecycled) {
  driver.add_chain({{kData, 4, true}});
  const auto* first = take().writable().data();
  driver.add_chain({{kData, 4, true}});

  EXPECT_EQ(take().writable().data(), first);
}

TEST_F(ChainTest, ReaderAndWriterSeeTheirOwnPartsOnly) {
  ASSERT_TRUE(write_object(guest, kData, le32(0x12345678)));
  driver.add_chain({{kData, 4}, {kBorder, 4, true}});
  auto chain = take();
  auto reader = chain.reader();
  auto writer = chain.writer();

  EXPECT_EQ(reader.remaining(), 4u);
  EXPECT_EQ(writer.remaining(), 4u);
  ASSERT_TRUE(writer.write_object(reader.read_object<le32>().value()));
  EXPECT_EQ(read_object<le32>(guest, kBorder).value(), 0x12345678u);
  EXPECT_EQ(reader.read_object<std::uint8_t>().error(), ChainError::kReadPastEnd);
  EXPECT_EQ(writer.write_object(std::uint8_t{1}).error(), ChainError::kWritePastEnd);
}

using ChainDeathTest = ChainTest;

TEST_F(ChainDeathTest, CompletedTwiceIsTheCallersBug) {
  driver.add_chain({{kData, 4, true}});
  auto chain = take();
  ASSERT_TRUE(chain.complete(4));

  EXPECT_DEATH(static_cast<void>(chain.complete(4)), "invariant broken: record_ != nullptr");
}

TEST_F(ChainDeathTest, OutlivingItsQueueIsTheCallersBug) {
  EXPECT_DEATH(
      {
        std::optional<Queue> short_lived(std::in_place);
        static_cast<void>(short_lived->activate(memory, layout.config(), {}));
        driver.add_chain({{kData, 4, true}});
        const auto chain = std::move(short_lived->pop().value().value());
        short_lived.reset();
      },
      "invariant broken");
}

}  // namespace
}  // namespace guestproof::virtio
