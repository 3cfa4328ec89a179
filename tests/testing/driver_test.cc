#include "guestproof/testing/driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guestproof/memory/mapped_memory.h"

namespace guestproof::testing {
namespace {

using virtio::VirtqDesc;
using virtio::VirtqUsedElem;

constexpr GuestAddress kRings{0x1000};
constexpr GuestAddress kData{0x8000};
constexpr GuestAddress kTable{0x4000};
constexpr std::uint16_t kSize = 4;

class DriverTest : public ::testing::Test {
 protected:
  [[nodiscard]] VirtqDesc descriptor(GuestAddress table, std::uint16_t index) const {
    return read_object<VirtqDesc>(memory, GuestAddress(table.raw() + 16ULL * index)).value();
  }
  [[nodiscard]] std::uint16_t word(GuestAddress base, std::uint64_t offset) const {
    return read_object<le16>(memory, GuestAddress(base.raw() + offset)).value();
  }
  /// What a device does to return a chain.
  void use(std::uint16_t index, std::uint32_t head, std::uint32_t length) {
    const auto slot = layout.used_ring.raw() + 4 + 8ULL * (index % kSize);
    ASSERT_TRUE(write_object(memory, GuestAddress(slot), VirtqUsedElem{head, length}));
    ASSERT_TRUE(write_object(memory, GuestAddress(layout.used_ring.raw() + 2),
                             le16(static_cast<std::uint16_t>(index + 1))));
  }

  MappedMemory memory = MappedMemory::Builder().anonymous(GuestAddress(0), 0x10000).build().value();
  QueueLayout layout = QueueLayout::at(kRings, kSize);
  Driver<MappedMemory> driver{memory, layout};
};

TEST(QueueLayoutTest, PutsTheAreasOneAfterTheOtherAligned) {
  const auto layout = QueueLayout::at(GuestAddress(0x1000), 1);

  EXPECT_EQ(layout.descriptor_table, GuestAddress(0x1000));
  EXPECT_EQ(layout.available_ring, GuestAddress(0x1010));
  EXPECT_EQ(layout.used_ring, GuestAddress(0x1018));
  EXPECT_EQ(QueueLayout::bytes(1), 0x18u + 14u);
}

TEST(QueueLayoutTest, MakesAReadyConfiguration) {
  const auto layout = QueueLayout::at(kRings, 8);

  const auto config = layout.config(256);

  EXPECT_TRUE(config.ready());
  EXPECT_EQ(config.size(), 8u);
  EXPECT_EQ(config.max_size(), 256u);
  EXPECT_EQ(config.descriptor_table(), layout.descriptor_table);
  EXPECT_EQ(config.available_ring(), layout.available_ring);
  EXPECT_EQ(config.used_ring(), layout.used_ring);
}

TEST_F(DriverTest, WritesADirectChainAndPublishesItsHead) {
  const auto head = driver.add_chain({{kData, 16, false}, {GuestAddress(0x9000), 32, true}});

  EXPECT_EQ(head, 0u);
  const auto first = descriptor(layout.descriptor_table, 0);
  EXPECT_EQ(first.addr, kData.raw());
  EXPECT_EQ(first.len, 16u);
  EXPECT_EQ(first.flags, virtio::VIRTQ_DESC_F_NEXT);
  EXPECT_EQ(first.next, 1u);
  EXPECT_EQ(descriptor(layout.descriptor_table, 1).flags, virtio::VIRTQ_DESC_F_WRITE);
  EXPECT_EQ(word(layout.available_ring, 2), 1u);
  EXPECT_EQ(word(layout.available_ring, 4), head);
}

TEST_F(DriverTest, WrapsRoundTheDescriptorTableAndTheRing) {
  driver.add_chain({{kData, 1}, {kData, 1}, {kData, 1}});

  const auto head = driver.add_chain({{kData, 1}, {kData, 1}});

  EXPECT_EQ(head, 3u);
  EXPECT_EQ(descriptor(layout.descriptor_table, 3).next, 0u);
  EXPECT_EQ(word(layout.available_ring, 4 + 2), 3u);
}

TEST_F(DriverTest, WritesAnIndirectTableAndOneDescriptorForIt) {
  const auto head = driver.add_indirect_chain(kTable, {{kData, 16, false}, {kData, 32, true}});

  const auto outer = descriptor(layout.descriptor_table, head);
  EXPECT_EQ(outer.addr, kTable.raw());
  EXPECT_EQ(outer.len, 32u);
  EXPECT_EQ(outer.flags, virtio::VIRTQ_DESC_F_INDIRECT);
  EXPECT_EQ(descriptor(kTable, 0).next, 1u);
  EXPECT_EQ(descriptor(kTable, 0).flags, virtio::VIRTQ_DESC_F_NEXT);
  EXPECT_EQ(descriptor(kTable, 1).flags, virtio::VIRTQ_DESC_F_WRITE);
}

TEST_F(DriverTest, PublishesIndicesThatWrap) {
  driver.set_available_index(0xffff);

  driver.publish(2);

  EXPECT_EQ(driver.available_index(), 0u);
  EXPECT_EQ(word(layout.available_ring, 2), 0u);
  EXPECT_EQ(word(layout.available_ring, 4 + 2 * 3), 2u);
}

TEST_F(DriverTest, WritesItsNotificationWishes) {
  driver.set_available_flags(1);
  driver.set_used_event(0x1234);

  EXPECT_EQ(word(layout.available_ring, 0), 1u);
  EXPECT_EQ(word(layout.available_ring, 4 + 2 * kSize), 0x1234u);
}

TEST_F(DriverTest, ReadsTheDevicesNotificationWishes) {
  ASSERT_TRUE(write_object(memory, layout.used_ring, le16(1)));
  ASSERT_TRUE(
      write_object(memory, GuestAddress(layout.used_ring.raw() + 4 + 8 * kSize), le16(0x1234)));

  EXPECT_EQ(driver.used_flags(), 1u);
  EXPECT_EQ(driver.available_event(), 0x1234u);
}

TEST_F(DriverTest, TakesReturnedChainsInOrderAndOnce) {
  use(0, 3, 30);
  use(1, 1, 10);

  EXPECT_EQ(driver.take_used()->id, 3u);
  const auto second = driver.take_used();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->id, 1u);
  EXPECT_EQ(second->len, 10u);
  EXPECT_FALSE(driver.take_used());
}

TEST_F(DriverTest, TakesReturnedChainsRoundTheRing) {
  for (std::uint16_t i = 0; i <= kSize; ++i) {
    use(i, i, 0);
    ASSERT_EQ(driver.take_used()->id, i);
  }
  EXPECT_EQ(driver.used_entry(0).id, kSize);
}

using DriverDeathTest = DriverTest;

TEST_F(DriverDeathTest, StopsWhenItsOwnAreasAreNotInMemory) {
  Driver<MappedMemory> lost(memory, QueueLayout::at(GuestAddress(0x10000), kSize));
  EXPECT_DEATH(lost.publish(0), "invariant broken");
}

}  // namespace
}  // namespace guestproof::testing
