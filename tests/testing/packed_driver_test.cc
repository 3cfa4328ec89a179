#include "guestproof/testing/packed_driver.h"

#include <gtest/gtest.h>

#include "guestproof/memory/mapped_memory.h"

namespace guestproof::testing {
namespace {

using virtio::PackedDesc;
using virtio::VIRTQ_DESC_F_AVAIL;
using virtio::VIRTQ_DESC_F_INDIRECT;
using virtio::VIRTQ_DESC_F_NEXT;
using virtio::VIRTQ_DESC_F_USED;
using virtio::VIRTQ_DESC_F_WRITE;

constexpr GuestAddress kRings{0x1000}, kData{0x8000}, kTable{0x4000};
constexpr std::uint16_t kSize = 3;

class PackedDriverTest : public ::testing::Test {
 protected:
  /// What a device does to return a chain in descriptor `slot`.
  void use(std::uint16_t slot, std::uint16_t id, std::uint32_t length, std::uint16_t flags) {
    driver.write_descriptor(slot, kData, length, id, flags);
  }

  MappedMemory memory = MappedMemory::Builder().anonymous(GuestAddress(0), 0x10000).build().value();
  QueueLayout layout = QueueLayout::at(kRings, kSize, virtio::RingLayout::kPacked);
  PackedDriver<MappedMemory> driver{memory, layout};
};

TEST_F(PackedDriverTest, HasItsAreasOneAfterTheOther) {
  EXPECT_EQ(layout.descriptor_table, kRings);
  EXPECT_EQ(layout.available_ring, GuestAddress(0x1030));
  EXPECT_EQ(layout.used_ring, GuestAddress(0x1034));
  EXPECT_EQ(layout.config(4).layout(), virtio::RingLayout::kPacked);
  EXPECT_EQ(layout.config(4).size(), 3u);
}

TEST_F(PackedDriverTest, WritesAChainWithItsBufferIdAndAvailability) {
  const auto id = driver.add_chain({{kData, 16, false}, {kData, 32, true}});

  EXPECT_EQ(id, 0u);
  EXPECT_EQ(driver.read_descriptor(0).len, 16u);
  EXPECT_EQ(driver.read_descriptor(0).flags, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_AVAIL);
  EXPECT_EQ(driver.read_descriptor(1).id, id);
  EXPECT_EQ(driver.read_descriptor(1).flags, VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_AVAIL);
  EXPECT_EQ(driver.free_slots(), 1u);
}

TEST_F(PackedDriverTest, SkipsAsManyDescriptorsAsTheReturnedChainHad) {
  driver.add_chain({{kData, 16, false}, {kData, 32, true}});
  driver.add_chain({{kData, 8, true}});
  EXPECT_FALSE(driver.take_used());

  use(0, 0, 5, VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED | VIRTQ_DESC_F_WRITE);
  use(2, 1, 9, VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED);

  const auto first = driver.take_used();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->id, 0u);
  EXPECT_EQ(first->len, 5u);
  // Without WRITE the length says nothing (§2.8.4).
  EXPECT_EQ(driver.take_used()->len, 0u);
  EXPECT_FALSE(driver.take_used());
}

TEST_F(PackedDriverTest, TurnsItsBitsAroundAtTheEndOfTheRing) {
  driver.add_chain({{kData, 1}, {kData, 1}});
  use(0, 0, 0, VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED);
  ASSERT_TRUE(driver.take_used());

  driver.add_chain({{kData, 1}, {kData, 1}, {kData, 1}});

  EXPECT_EQ(driver.read_descriptor(2).flags, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_AVAIL);
  EXPECT_EQ(driver.read_descriptor(0).flags, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_USED);
  EXPECT_EQ(driver.read_descriptor(1).flags, VIRTQ_DESC_F_USED);
  EXPECT_EQ(driver.off_wrap(2), 0x8002u);
  EXPECT_EQ(driver.off_wrap(3), 0u);
  EXPECT_EQ(driver.off_wrap(6), 0x8000u);
}

TEST_F(PackedDriverTest, GivesTheLeastBufferIdThatIsFree) {
  EXPECT_EQ(driver.add_chain({{kData, 1}}), 0u);
  EXPECT_EQ(driver.add_chain({{kData, 1}}), 1u);
  use(0, 0, 0, VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED);
  ASSERT_TRUE(driver.take_used());

  EXPECT_EQ(driver.add_chain({{kData, 1}}), 0u);
}

TEST_F(PackedDriverTest, WritesAnIndirectTableWithoutNext) {
  driver.add_indirect_chain(kTable, {{kData, 16, false}, {kData, 32, true}});

  EXPECT_EQ(driver.read_descriptor(0).addr, kTable.raw());
  EXPECT_EQ(driver.read_descriptor(0).len, 32u);
  EXPECT_EQ(driver.read_descriptor(0).flags, VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_AVAIL);
  const auto second = read_object<PackedDesc>(memory, GuestAddress(kTable.raw() + 16)).value();
  EXPECT_EQ(second.flags, VIRTQ_DESC_F_WRITE);
}

}  // namespace
}  // namespace guestproof::testing
