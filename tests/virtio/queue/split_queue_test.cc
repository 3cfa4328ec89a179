#include "guestproof/virtio/queue/split_queue.h"

#include <gtest/gtest.h>

#include "guestproof/memory/mapped_memory.h"
#include "guestproof/testing/driver.h"

namespace guestproof::virtio {
namespace {

using testing::Driver;
using testing::QueueLayout;

constexpr GuestAddress kRings{0x1000};
constexpr GuestAddress kData{0x8000};

class SplitQueueTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(queue.activate(memory, driver.layout().config(), {})); }

  MappedMemory memory = MappedMemory::Builder().anonymous(GuestAddress(0), 0x10000).build().value();
  Driver<MappedMemory> driver{memory, QueueLayout::at(kRings, 8)};
  SplitQueue<MappedMemory> queue;
};

TEST_F(SplitQueueTest, EchoesAChain) {
  ASSERT_TRUE(write_object(memory, kData, le32(0x12345678)));
  const auto head = driver.add_chain({{kData, 4, false}, {GuestAddress(0x9000), 4, true}});

  auto popped = queue.pop();
  ASSERT_TRUE(popped && *popped);
  auto& chain = **popped;
  EXPECT_FALSE(chain.fault());
  const auto word = chain.reader().read_object<le32>();
  ASSERT_TRUE(word);
  EXPECT_EQ(*word, 0x12345678u);
  ASSERT_TRUE(chain.writer().write_object(*word));
  ASSERT_TRUE(chain.complete(4));

  const auto used = driver.take_used();
  ASSERT_TRUE(used);
  EXPECT_EQ(used->id, head);
  EXPECT_EQ(used->len, 4u);
  EXPECT_EQ(read_object<le32>(memory, GuestAddress(0x9000)).value(), 0x12345678u);
}

}  // namespace
}  // namespace guestproof::virtio
