// What SharedQueue adds to SplitQueue: several threads. Meant for ThreadSanitizer too, so the
// driver and the devices share guest memory only in the order that the rings' indices, or a packed
// ring's flags, give.
#include "guestproof/virtio/queue/shared_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "guestproof/memory/mapped_memory.h"
#include "guestproof/testing/packed_driver.h"
#include "guestproof/virtio/queue/virt_queue.h"
#include "print.h"

namespace guestproof::virtio {
namespace {

using ::testing::Each;
using Queue = SharedQueue<MappedMemory>;

constexpr std::uint16_t kSize = 16;
constexpr GuestAddress kRings{0x1000};
constexpr std::uint64_t kBuffers = 0x8000;

class SharedQueueTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(queue.activate(memory, driver.layout().config(), {})); }

  /// Descriptor i holds a number to read, descriptor i + 1 takes the answer, for even i.
  void write_descriptors() {
    for (std::uint16_t i = 0; i < kSize; i = static_cast<std::uint16_t>(i + 2)) {
      const auto next = static_cast<std::uint16_t>(i + 1);
      driver.write_descriptor(i, buffer(i), 8, VIRTQ_DESC_F_NEXT, next);
      driver.write_descriptor(next, buffer(next), 8, VIRTQ_DESC_F_WRITE, 0);
    }
  }
  static GuestAddress buffer(std::uint32_t descriptor) {
    return GuestAddress(kBuffers + 8ULL * descriptor);
  }
  void publish(std::uint16_t head, std::uint64_t number) {
    ASSERT_TRUE(write_object(memory, buffer(head), le64(number)));
    driver.publish(head);
  }

  MappedMemory memory = MappedMemory::Builder().anonymous(GuestAddress(0), 0x10000).build().value();
  testing::Driver<MappedMemory> driver{memory, testing::QueueLayout::at(kRings, kSize)};
  Queue queue;
};

/// Answers a number with its successor.
template <class AnyQueue>
void answer(Chain<AnyQueue>& chain) {
  const auto number = chain.reader().template read_object<le64>().value();
  EXPECT_TRUE(chain.writer().write_object(le64(number + 1)));
  EXPECT_TRUE(chain.complete(8));
}

/// Takes and answers chains until `total` were answered by all threads together.
template <class AnyQueue>
void serve(AnyQueue& queue, std::atomic<std::uint32_t>& answered, std::uint32_t total) {
  while (answered.load() < total) {
    auto chain = queue.pop().value();
    if (!chain) {
      std::this_thread::yield();
      continue;
    }
    answer(*chain);
    answered.fetch_add(1);
  }
}

TEST_F(SharedQueueTest, DoesWhatTheQueueForOneThreadDoes) {
  EXPECT_TRUE(queue.active());
  EXPECT_FALSE(queue.pop().value());
  EXPECT_FALSE(queue.enable_kicks());
  write_descriptors();
  publish(0, 41);
  EXPECT_TRUE(queue.enable_kicks());

  auto chain = queue.pop().value().value();
  EXPECT_EQ(queue.in_flight(), 1u);
  EXPECT_EQ(queue.save().error(), Error(QueueError::kChainsInFlight, 1));
  answer(chain);

  EXPECT_EQ(read_object<le64>(memory, buffer(1)).value(), 42u);
  EXPECT_TRUE(queue.needs_notification());
  EXPECT_FALSE(queue.needs_notification());
  queue.disable_kicks();
  EXPECT_EQ(driver.used_flags(), VIRTQ_USED_F_NO_NOTIFY);
}

TEST_F(SharedQueueTest, SavesRestoresRemapsAndResets) {
  write_descriptors();
  publish(0, 1);
  static_cast<void>(queue.pop());
  const auto state = queue.save().value();

  queue.reset();
  EXPECT_EQ(queue.pop().error(), QueueError::kNotActive);
  ASSERT_TRUE(queue.restore(memory, state, kSize, {}));
  ASSERT_TRUE(queue.remap(memory));
  EXPECT_EQ(queue.save().value(), state);
  EXPECT_EQ(&queue.memory(), &memory);
}

TEST_F(SharedQueueTest, StaysBrokenForEveryThread) {
  driver.publish(kSize);
  const Error broken(QueueError::kHeadIndex, kSize, kSize);
  std::thread([&] { EXPECT_EQ(queue.pop().error(), broken); }).join();

  EXPECT_EQ(queue.pop().error(), broken);
  EXPECT_EQ(queue.broken(), broken);
}

// One thread drives, two take and answer: every number is answered once, none is lost.
TEST_F(SharedQueueTest, ServesOneDriverWithTwoDevices) {
  constexpr std::uint32_t kNumbers = 20'000;
  write_descriptors();
  std::atomic<std::uint32_t> answered{0};
  std::thread device_a([&] { serve(queue, answered, kNumbers); });
  std::thread device_b([&] { serve(queue, answered, kNumbers); });

  std::vector<std::uint8_t> answers(kNumbers + 1);
  std::deque<std::uint16_t> free_heads{0, 2, 4, 6, 8, 10, 12, 14};
  for (std::uint32_t sent = 0, received = 0; received < kNumbers;) {
    for (; sent < kNumbers && !free_heads.empty(); ++sent, free_heads.pop_front())
      publish(free_heads.front(), sent);
    while (const auto used = driver.take_used()) {
      const auto number = read_object<le64>(memory, buffer(used->id + 1)).value();
      answers[number] = static_cast<std::uint8_t>(answers[number] + 1);
      free_heads.push_back(static_cast<std::uint16_t>(used->id));
      ++received;
    }
    std::this_thread::yield();
  }
  device_a.join();
  device_b.join();

  EXPECT_EQ(answers[0], 0u);
  EXPECT_THAT(std::span(answers).subspan(1), Each(1));
  EXPECT_EQ(queue.in_flight(), 0u);
  EXPECT_FALSE(queue.broken());
}

/// A packed ring, whose size is no power of two, with the answers in order.
class SharedVirtQueueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(queue.activate(memory, layout.config(16), {.packed = true, .in_order = true}));
  }
  static GuestAddress buffer(std::uint32_t number) {
    return GuestAddress(kBuffers + 16ULL * (number % 64));
  }
  void send(std::uint32_t number) {
    ASSERT_TRUE(write_object(memory, buffer(number), le64(number)));
    driver.add_chain(
        {{buffer(number), 8, false}, {GuestAddress(buffer(number).raw() + 8), 8, true}});
  }
  std::uint64_t answer_to(std::uint32_t number) {
    return read_object<le64>(memory, GuestAddress(buffer(number).raw() + 8)).value();
  }

  const MappedMemory memory =
      MappedMemory::Builder().anonymous(GuestAddress(0), 0x10000).build().value();
  const testing::QueueLayout layout = testing::QueueLayout::at(kRings, 11, RingLayout::kPacked);
  testing::PackedDriver<MappedMemory> driver{memory, layout};
  SharedVirtQueue<MappedMemory> queue;
};

// In every place of the ring.
TEST_F(SharedVirtQueueTest, KeepsAnAnswerBackUntilItIsItsTurn) {
  for (std::uint32_t number = 0; number < 44; number += 2) {
    send(number);
    send(number + 1);
    auto first = queue.pop().value().value();
    auto second = queue.pop().value().value();
    answer(second);
    EXPECT_FALSE(driver.take_used());
    answer(first);
    EXPECT_TRUE(driver.take_used());
    EXPECT_TRUE(driver.take_used());
    EXPECT_EQ(answer_to(number), number + 1);
    EXPECT_EQ(answer_to(number + 1), number + 2);
  }
}

TEST_F(SharedVirtQueueTest, ServesOneDriverWithTwoDevices) {
  constexpr std::uint32_t kNumbers = 20'000;
  std::atomic<std::uint32_t> answered{0};
  std::thread device_a([&] { serve(queue, answered, kNumbers); });
  std::thread device_b([&] { serve(queue, answered, kNumbers); });

  for (std::uint32_t sent = 0, received = 0; received < kNumbers;) {
    for (; sent < kNumbers && driver.free_slots() >= 2; ++sent) send(sent);
    for (; driver.take_used(); ++received) EXPECT_EQ(answer_to(received), received + 1);
    std::this_thread::yield();
  }
  device_a.join();
  device_b.join();

  EXPECT_EQ(queue.in_flight(), 0u);
  EXPECT_FALSE(queue.broken());
}

// One thread takes, another returns: the form of a device with an asynchronous back end.
TEST_F(SharedQueueTest, ReturnsInAnotherThreadWhatOneTook) {
  constexpr std::uint32_t kRounds = 2'000;
  write_descriptors();
  std::mutex mutex;
  std::vector<Chain<Queue>> in_progress;
  std::thread backend([&] {
    for (std::uint32_t done = 0; done < kRounds;) {
      std::vector<Chain<Queue>> batch;
      {
        const std::lock_guard lock(mutex);
        batch.swap(in_progress);
      }
      for (auto& chain : batch) answer(chain);
      done += static_cast<std::uint32_t>(batch.size());
      std::this_thread::yield();
    }
  });

  for (std::uint32_t round = 0; round < kRounds; ++round) {
    publish(static_cast<std::uint16_t>(round % 8 * 2), round);
    auto chain = queue.pop().value().value();
    {
      const std::lock_guard lock(mutex);
      in_progress.push_back(std::move(chain));
    }
    while (static_cast<std::uint16_t>(round + 1 - driver.used_index()) == 8)
      std::this_thread::yield();
  }
  backend.join();

  EXPECT_EQ(driver.used_index(), kRounds);
  EXPECT_EQ(queue.in_flight(), 0u);
}

}  // namespace
}  // namespace guestproof::virtio
