// The models of what KVM shares and saves, against bytes written by hand from the documentation.
#include <gtest/gtest.h>

#include <algorithm>

#include "guestproof/testing/model/kvm_array_model.h"
#include "guestproof/testing/model/kvm_exit_model.h"
#include "guestproof/testing/model/kvm_ring_model.h"
#include "guestproof/testing/model/kvm_state_model.h"

namespace guestproof::testing {
namespace {

constexpr WatchedMemory::RegionSpec kRegions[] = {{GuestAddress(0), 0x2000}};
using Bytes = std::vector<std::uint8_t>;

class KvmModelTest : public ::testing::Test {
 protected:
  KvmModelTest() : watched(kRegions), memory(watched) {}
  [[nodiscard]] ModelExit decoded() const { return KvmExitModel(watched, 0x2000).decode(); }

  WatchedMemory watched;
  ModelMemory memory;
};

TEST_F(KvmModelTest, APortWriteIsDecoded) {
  memory.put_number(8, 4, 2);
  memory.write(32, Bytes{1, 2, 0xf8, 3, 4, 0, 0, 0, 0, 0x10});
  const auto exit = decoded();
  EXPECT_EQ(exit.kind, "io_out");
  EXPECT_EQ(exit.numbers, (std::vector<std::uint64_t>{0x3f8, 2, 4, 0x1000, 8}));
}

TEST_F(KvmModelTest, PortItemsPastTheEndAreRefused) {
  memory.put_number(8, 4, 2);
  memory.write(32, Bytes{0, 4, 0, 0, 1, 0, 0, 0, 0xfd, 0x1f});
  const auto error = decoded().error;
  EXPECT_EQ(error.name, "kvm_page.io_offset");
  EXPECT_EQ(error.value, 0x1ffdU);
  EXPECT_EQ(error.limit, 0x2000U);
}

TEST_F(KvmModelTest, AnMmioWriteOfThreeBytesHasThem) {
  memory.put_number(8, 4, 6);
  memory.write(32, Bytes{0, 0, 0, 0, 1, 0, 0, 0, 7, 8, 9, 10, 0, 0, 0, 0, 3, 0, 0, 0, 1});
  const auto exit = decoded();
  EXPECT_EQ(exit.kind, "mmio_write");
  EXPECT_EQ(exit.numbers, (std::vector<std::uint64_t>{std::uint64_t{1} << 32, 3}));
  EXPECT_EQ(exit.bytes, (Bytes{7, 8, 9}));
}

TEST_F(KvmModelTest, AnMsrIsAnsweredAndRefused) {
  memory.put_number(8, 4, 29);
  memory.put_number(32, 1, 9);
  const auto exit = decoded();
  const KvmExitModel model(watched, 0x2000);
  model.answer(exit, 0x1234, 0);
  EXPECT_EQ(memory.number(48, 8), 0x1234U);
  EXPECT_EQ(memory.number(32, 1), 0U);
  model.refuse(exit);
  EXPECT_EQ(memory.number(32, 1), 1U);
}

TEST_F(KvmModelTest, AReasonThatNobodyKnowsIsUnsupported) {
  memory.put_number(8, 4, 0x1000);
  EXPECT_EQ(decoded().kind, "unsupported");
}

TEST_F(KvmModelTest, AQueuedWriteIsTakenAndTheIndexMoves) {
  memory.write(0, Bytes{1, 0, 0, 0, 2});
  memory.write(32, Bytes{0x34, 0x12, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 5, 6, 7});
  const CoalescedRingModel ring(watched, 8 + 2 * 24 + 24);
  const auto taken = ring.take();
  ASSERT_TRUE(taken.write);
  EXPECT_EQ(taken.write->address, 0x1234U);
  EXPECT_TRUE(taken.write->pio);
  EXPECT_EQ(taken.write->bytes, (std::array<std::uint8_t, 8>{5, 6}));
  EXPECT_EQ(memory.number(0, 4), 2U);
  EXPECT_FALSE(ring.take().write);
}

TEST_F(KvmModelTest, AQueuedWriteAtAnIndexBehindTheRingIsRefused) {
  memory.write(0, Bytes{2, 0, 0, 0, 0});
  const auto error = CoalescedRingModel(watched, 8 + 2 * 24).take().error;
  EXPECT_EQ(error.name, "kvm_page.ring_index");
  EXPECT_EQ(error.limit, 2U);
}

TEST_F(KvmModelTest, DirtyPagesAreDrainedUntilOneIsFree) {
  memory.write(0, Bytes{1, 0, 0, 0, 3, 0, 0, 0, 9});
  memory.write(16, Bytes{1, 0, 0, 0, 4, 0, 0, 0, 8});
  DirtyRingModel ring(watched, 64);
  const auto drained = ring.drain();
  EXPECT_TRUE(drained.error.none());
  ASSERT_EQ(drained.pages.size(), 2U);
  EXPECT_EQ(drained.pages[1].slot, 4U);
  EXPECT_EQ(drained.pages[1].page, 8U);
  EXPECT_EQ(memory.number(16, 4), 2U);
  EXPECT_EQ(ring.position(), 2U);
}

TEST_F(KvmModelTest, DirtyFlagsThatMeanNothingAreRefused) {
  memory.put_number(0, 4, 3);
  EXPECT_EQ(DirtyRingModel(watched, 64).take().error.name, "kvm_page.dirty_flags");
  EXPECT_EQ(DirtyRingModel::refusal(48).name, "kvm_page.dirty_ring_size");
}

TEST(KvmArrayModel, CountsItsEntriesWhereTheHeaderHasTheCount) {
  KvmArrayModel filter(kModelPmuEventFilter);
  EXPECT_TRUE(filter.push_back(Bytes{1, 2, 3, 4, 5, 6, 7, 8}).none());
  const auto bytes = filter.bytes();
  EXPECT_EQ(bytes.size(), 40U);
  EXPECT_EQ(bytes[4], 1);
  EXPECT_EQ(bytes[39], 8);
}

TEST(KvmArrayModel, RefusesBytesThatAreNotItsEntries) {
  KvmArrayModel list(kModelMsrList);
  EXPECT_TRUE(list.parse(Bytes{1, 0, 0, 0, 9, 9, 9, 9}).none());
  EXPECT_EQ(list.size(), 1U);
  EXPECT_EQ(list.parse(Bytes{2, 0, 0, 0, 9, 9, 9, 9}).name, "kvm_call.state_length");
  EXPECT_EQ(list.parse(Bytes{1, 4, 0, 0, 9, 9, 9, 9}).name, "kvm_call.too_many_entries");
  EXPECT_EQ(list.size(), 1U);
}

TEST(KvmStateModel, WritesAHeaderAndPaddedSections) {
  const KvmStateModel model(243, 1, model_vcpu_riscv64());
  const Bytes expected{'G', 'P', 'K', 'S', 1, 0, 243, 0, 1, 0, 0, 0, 40, 0, 0, 0, 10, 0, 0, 0,
                       4,   0,   0,   0,   0, 0, 0,   0, 0, 0, 0, 0, 13, 0, 0, 0, 0,  0, 0, 0};
  EXPECT_EQ(model.encode(), expected);
}

TEST(KvmStateModel, SaysWhatIsWrongInTheOrderOfTheBytes) {
  KvmStateModel model(243, 1, model_vcpu_riscv64());
  auto bytes = model.encode();
  bytes[29] = 1;
  EXPECT_EQ(model.decode(bytes).name, "kvm_state.padding");
  bytes[6] = 62;
  EXPECT_EQ(model.decode(bytes).name, "kvm_state.architecture");
  bytes[0] = 0;
  EXPECT_EQ(model.decode(bytes).name, "kvm_state.magic");
}

}  // namespace
}  // namespace guestproof::testing
