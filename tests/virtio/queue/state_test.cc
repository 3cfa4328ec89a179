#include "guestproof/virtio/queue/state.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "queue_fixture.h"

namespace guestproof::virtio {
namespace {

using ::testing::ElementsAreArray;
using Bytes = std::array<std::byte, kQueueStateBytes>;

// Offsets of the byte form, as state.h documents them.
constexpr std::size_t kMagicAt = 0, kVersionAt = 4, kLengthAt = 6, kMaxSizeAt = 8, kSizeAt = 10,
                      kFlagsAt = 12, kNextAvailAt = 14, kNextUsedAt = 16, kSignalledAt = 18,
                      kReservedAt = 20, kTableAt = 24, kAvailableAt = 32, kUsedAt = 40;

/// A ready queue of 8 (maximum 256) that has served 300 chains.
QueueState ready_state() {
  QueueState state;
  state.max_size = 256;
  state.size = 8;
  state.ready = true;
  state.features = {.event_index = true, .indirect = true};
  state.descriptor_table = GuestAddress(0x1000);
  state.available_ring = GuestAddress(0x2000);
  state.used_ring = GuestAddress(0x3000);
  state.next_avail = state.next_used = 300;
  state.signalled_used = 299;
  return state;
}

/// A ready packed queue of 7 that stands in its second turn, used in order.
QueueState packed_state() {
  auto state = ready_state();
  state.size = 7;
  state.features = {.packed = true, .in_order = true};
  state.next_avail = state.next_used = 6;
  state.signalled_used = 0x8003;
  return state;
}

/// The queue before the driver made it ready.
QueueState idle_state() { return QueueState::of(QueueConfig::create(256).value()); }

template <class Field>
Bytes with(Bytes bytes, std::size_t offset, Field field) {
  const auto raw = std::bit_cast<std::array<std::byte, sizeof field>>(field);
  std::ranges::copy(raw, bytes.begin() + static_cast<std::ptrdiff_t>(offset));
  return bytes;
}

Error refusal(const Bytes& bytes) { return QueueState::decode(bytes).error(); }

TEST(QueueStateTest, ComesBackFromItsBytes) {
  EXPECT_EQ(QueueState::decode(ready_state().encode()).value(), ready_state());
  EXPECT_EQ(QueueState::decode(idle_state().encode()).value(), idle_state());
  EXPECT_EQ(QueueState::decode(packed_state().encode()).value(), packed_state());
}

TEST(QueueStateTest, ComesBackBrokenAndWithUnknownNotification) {
  auto state = ready_state();
  state.broken = true;
  state.signalled_used.reset();

  EXPECT_EQ(QueueState::decode(state.encode()).value(), state);
}

TEST(QueueStateTest, KeepsAConfigurationThatIsNotFinished) {
  auto config = QueueConfig::create(256).value();
  ASSERT_TRUE(config.set_size(16));
  ASSERT_TRUE(config.set_used_ring(GuestAddress(0x3004)));

  const auto state = QueueState::decode(QueueState::of(config).encode()).value();

  const auto restored = state.config().value();
  EXPECT_FALSE(restored.ready());
  EXPECT_EQ(restored.size(), 16u);
  EXPECT_EQ(restored.max_size(), 256u);
  EXPECT_EQ(restored.used_ring(), GuestAddress(0x3004));
}

// The byte form is a file format: it may not change without a new version.
TEST(QueueStateTest, HasTheDocumentedBytes) {
  constexpr std::array<int, kQueueStateBytes> kExpected{
      'G',  'P', 'S', 'Q', 1, 0,    48, 0, 0, 1, 8, 0, 23, 0,    0x2c, 1,  // flags 1 + 2 + 4 + 16
      0x2c, 1,                                                             // next_used
      0x2b, 1,                                                             // signalled_used
      0,    0,   0,   0,   0, 0x10, 0,  0, 0, 0, 0, 0, 0,  0x20, 0,    0,
      0,    0,   0,   0,   0, 0x30, 0,  0, 0, 0, 0, 0};
  std::array<std::byte, kQueueStateBytes> expected;
  std::ranges::transform(kExpected, expected.begin(),
                         [](int byte) { return static_cast<std::byte>(byte); });

  EXPECT_THAT(ready_state().encode(), ElementsAreArray(expected));
}

TEST(QueueStateTest, SaysPackedAndInOrderInItsFlags) {
  EXPECT_EQ(packed_state().encode()[kFlagsAt], std::byte{1 + 16 + 32 + 64});
}

TEST(QueueStateTest, OfAPackedQueueHasItsPositionsInTheRing) {
  const auto good = packed_state().encode();

  EXPECT_EQ(refusal(with(with(good, kNextAvailAt, le16(7)), kNextUsedAt, le16(7))),
            Error(QueueStateError::kNextAvail, 7, 7));
  EXPECT_EQ(refusal(with(with(good, kNextAvailAt, le16(0x8007)), kNextUsedAt, le16(0x8007))),
            Error(QueueStateError::kNextAvail, 0x8007, 7));
  EXPECT_EQ(refusal(with(good, kSignalledAt, le16(0xffff))),
            Error(QueueStateError::kSignalledUsed, 0xffff, 7));
  EXPECT_EQ(refusal(with(good, kNextUsedAt, le16(0x8006))),
            Error(QueueStateError::kNextUsed, 0x8006, 6));
}

TEST(QueueStateTest, OfAPackedQueueHasItsEventsAligned) {
  EXPECT_EQ(refusal(with(packed_state().encode(), kAvailableAt, le64(0x2002))),
            Error(QueueStateError::kAvailableRing, 0x2002, 4));
}

TEST(QueueStateTest, KeepsTheLayoutOfAConfigurationThatIsNotFinished) {
  auto config = QueueConfig::create(256).value();
  ASSERT_TRUE(config.set_layout(RingLayout::kPacked));
  ASSERT_TRUE(config.set_size(100));

  const auto state = QueueState::decode(QueueState::of(config).encode()).value();

  EXPECT_EQ(state.config().value().layout(), RingLayout::kPacked);
  EXPECT_EQ(state.config().value().size(), 100u);
}

TEST(QueueStateTest, RefusesAnyOtherNumberOfBytes) {
  auto bytes = std::vector<std::byte>(2 * kQueueStateBytes);
  std::ranges::copy(ready_state().encode(), bytes.begin());

  for (const std::size_t size : {0u, 1u, 47u, 49u, 96u})
    EXPECT_EQ(QueueState::decode(std::span(bytes).first(size)).error(),
              Error(QueueStateError::kBytes, size, kQueueStateBytes));
}

TEST(QueueStateTest, NamesTheFieldOfTheEnvelope) {
  const auto good = ready_state().encode();

  EXPECT_EQ(refusal(with(good, kMagicAt, le32(0x51535048))),
            Error(QueueStateError::kMagic, 0x51535048, 0x51535047));
  EXPECT_EQ(refusal(with(good, kVersionAt, le16(2))), Error(QueueStateError::kVersion, 2, 1));
  EXPECT_EQ(refusal(with(good, kVersionAt, le16(0))), QueueStateError::kVersion);
  EXPECT_EQ(refusal(with(good, kLengthAt, le16(47))), Error(QueueStateError::kLength, 47, 48));
  EXPECT_EQ(refusal(with(good, kReservedAt, le32(1))), Error(QueueStateError::kReserved, 1));
  EXPECT_EQ(refusal(with(good, kFlagsAt, le16(128 + 23))),
            Error(QueueStateError::kFlags, 128 + 23, 127));
}

TEST(QueueStateTest, NamesASizeThatNoQueueHas) {
  const auto good = ready_state().encode();

  EXPECT_EQ(refusal(with(good, kMaxSizeAt, le16(0))), Error(QueueStateError::kMaxSize, 0, 32768));
  EXPECT_EQ(refusal(with(good, kMaxSizeAt, le16(100))), QueueStateError::kMaxSize);
  EXPECT_EQ(refusal(with(good, kMaxSizeAt, le16(0xffff))), QueueStateError::kMaxSize);
  EXPECT_EQ(refusal(with(good, kSizeAt, le16(0))), Error(QueueStateError::kSize, 0, 256));
  EXPECT_EQ(refusal(with(good, kSizeAt, le16(9))), QueueStateError::kSize);
  EXPECT_EQ(refusal(with(good, kSizeAt, le16(512))), Error(QueueStateError::kSize, 512, 256));
}

TEST(QueueStateTest, NamesAMisalignedArea) {
  const auto good = ready_state().encode();

  EXPECT_EQ(refusal(with(good, kTableAt, le64(0x1008))),
            Error(QueueStateError::kDescriptorTable, 0x1008, 16));
  EXPECT_EQ(refusal(with(good, kAvailableAt, le64(0x2001))),
            Error(QueueStateError::kAvailableRing, 0x2001, 2));
  EXPECT_EQ(refusal(with(good, kUsedAt, le64(0x3002))),
            Error(QueueStateError::kUsedRing, 0x3002, 4));
}

TEST(QueueStateTest, RefusesReadyWithoutAddresses) {
  auto state = ready_state();
  state.descriptor_table = state.available_ring = state.used_ring = GuestAddress(0);

  EXPECT_EQ(refusal(state.encode()), Error(QueueStateError::kOverlap, 0, 0));
}

TEST(QueueStateTest, RefusesAreasThatOverlap) {
  EXPECT_EQ(refusal(with(ready_state().encode(), kAvailableAt, le64(0x107e))),
            Error(QueueStateError::kOverlap, 0x107e, 0x1000));
}

TEST(QueueStateTest, RefusesChainsInFlight) {
  EXPECT_EQ(refusal(with(ready_state().encode(), kNextUsedAt, le16(299))),
            Error(QueueStateError::kNextUsed, 299, 300));
  EXPECT_EQ(refusal(with(ready_state().encode(), kNextUsedAt, le16(301))),
            QueueStateError::kNextUsed);
}

TEST(QueueStateTest, RefusesANotificationIndexThatIsMarkedUnknown) {
  auto state = ready_state();
  state.signalled_used.reset();

  EXPECT_EQ(refusal(with(state.encode(), kSignalledAt, le16(7))),
            Error(QueueStateError::kSignalledUsed, 7));
}

TEST(QueueStateTest, OfAQueueThatIsNotReadyHasNoHistory) {
  const auto idle = idle_state().encode();

  EXPECT_EQ(refusal(with(with(idle, kNextAvailAt, le16(1)), kNextUsedAt, le16(1))),
            Error(QueueStateError::kNextAvail, 1));
  EXPECT_EQ(refusal(with(idle, kNextUsedAt, le16(1))), QueueStateError::kNextUsed);
  EXPECT_EQ(refusal(with(idle, kFlagsAt, le16(8))), Error(QueueStateError::kFlags, 8, 119));
  EXPECT_EQ(refusal(with(idle, kFlagsAt, le16(16))), QueueStateError::kSignalledUsed);
}

// Whatever one bit is changed: refused, or accepted as exactly what the bytes say.
TEST(QueueStateTest, SurvivesEverySingleBitMutation) {
  for (const auto& state : {ready_state(), idle_state(), packed_state()})
    for (std::size_t bit = 0; bit < 8 * kQueueStateBytes; ++bit) {
      auto bytes = state.encode();
      bytes[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
      const auto decoded = QueueState::decode(bytes);
      EXPECT_TRUE(!decoded || decoded->encode() == bytes) << "bit " << bit;
      EXPECT_TRUE(!decoded || *decoded != state) << "bit " << bit;
    }
}

class SaveTest : public QueueFixture {
 protected:
  static constexpr QueueFeatures kFeatures{.event_index = true, .indirect = true};
  static constexpr std::uint16_t kMaxSize = 256;
  void SetUp() override { activate(kFeatures); }

  /// What a snapshot keeps: the state's bytes, decoded again.
  [[nodiscard]] QueueState through_a_file() const {
    return QueueState::decode(queue.save().value().encode()).value();
  }
  Error refuse(const QueueState& state) {
    const auto refused = restored.restore(memory, state, kMaxSize, kFeatures);
    EXPECT_FALSE(refused);
    EXPECT_FALSE(restored.active());
    return refused.error();
  }

  Queue restored;
};

TEST_F(SaveTest, SaysWhatTheQueueIs) {
  serve(3);
  static_cast<void>(queue.needs_notification());
  serve(1);

  const auto state = queue.save().value();

  EXPECT_TRUE(state.ready);
  EXPECT_EQ(state.max_size, kMaxSize);
  EXPECT_EQ(state.size, kSize);
  EXPECT_EQ(state.features, kFeatures);
  EXPECT_EQ(state.descriptor_table, layout.descriptor_table);
  EXPECT_EQ(state.available_ring, layout.available_ring);
  EXPECT_EQ(state.used_ring, layout.used_ring);
  EXPECT_EQ(state.next_avail, 4u);
  EXPECT_EQ(state.next_used, 4u);
  EXPECT_EQ(state.signalled_used, 3u);
}

TEST_F(SaveTest, IsRefusedWithChainsInFlight) {
  driver.add_chain({{kData, 4, true}});
  driver.add_chain({{kData, 4, true}});
  const auto a = take(), b = take();

  EXPECT_EQ(queue.save().error(), Error(QueueError::kChainsInFlight, 2));
}

TEST_F(SaveTest, TouchesNoGuestMemory) {
  serve(1);
  memory.clear_log();

  static_cast<void>(queue.save());

  EXPECT_TRUE(memory.fetches().empty());
  EXPECT_TRUE(memory.writes().empty());
}

TEST_F(SaveTest, RestoredGoesOnWhereTheSavedOneStopped) {
  for (const std::uint32_t served : {1u, 7u, 8u, 9u, 65527u, 65536u}) {
    serve(served);

    ASSERT_TRUE(restored.restore(memory, through_a_file(), kMaxSize, kFeatures));

    const auto used_before = driver.used_index();
    const auto head = driver.add_chain({{kData, 4, true}});
    ASSERT_TRUE(restored.pop().value().value().complete(4));
    EXPECT_FALSE(restored.pop().value());
    EXPECT_EQ(driver.used_index(), static_cast<std::uint16_t>(used_before + 1));
    EXPECT_EQ(driver.used_entry(used_before % kSize).id, head);
    ASSERT_TRUE(queue.restore(memory, restored.save().value(), kMaxSize, kFeatures));
  }
}

TEST_F(SaveTest, RestoredHasTheChainsThatWereAvailableAndNotTaken) {
  serve(2);
  const auto head = driver.add_chain({{kData, 4, true}});

  ASSERT_TRUE(restored.restore(memory, through_a_file(), kMaxSize, kFeatures));

  EXPECT_EQ(restored.pop().value().value().head(), head);
}

TEST_F(SaveTest, RestoredOwesTheNotificationThatTheSavedOneOwed) {
  driver.set_used_event(2);
  serve(2);
  static_cast<void>(queue.needs_notification());
  serve(1);

  ASSERT_TRUE(restored.restore(memory, through_a_file(), kMaxSize, kFeatures));

  EXPECT_TRUE(restored.needs_notification());
  EXPECT_FALSE(restored.needs_notification());
}

TEST_F(SaveTest, RestoredNotifiesForCertainWhereTheDistanceWasUnknown) {
  driver.set_used_event(0x8000);
  serve(65536);

  ASSERT_TRUE(restored.restore(memory, through_a_file(), kMaxSize, kFeatures));

  EXPECT_TRUE(restored.needs_notification());
}

TEST_F(SaveTest, RestoredStaysBroken) {
  driver.publish(kSize);
  ASSERT_FALSE(queue.pop());

  ASSERT_TRUE(restored.restore(memory, through_a_file(), kMaxSize, kFeatures));

  EXPECT_EQ(restored.pop().error(), QueueError::kSavedBroken);
  EXPECT_EQ(restored.broken(), QueueError::kSavedBroken);
}

// The index in guest memory that broke the queue may still be there.
TEST_F(SaveTest, BrokenQueueIsRestoredWhateverItsIndexSays) {
  driver.set_available_index(kSize + 1);
  ASSERT_FALSE(queue.pop());

  EXPECT_TRUE(restored.restore(memory, through_a_file(), kMaxSize, kFeatures));
}

TEST_F(SaveTest, RestoreMakesChainsOfTheOldActivationStale) {
  const auto state = through_a_file();
  driver.add_chain({{kData, 4, true}});
  auto chain = take();

  ASSERT_TRUE(queue.restore(memory, state, kMaxSize, kFeatures));

  EXPECT_EQ(chain.complete(4).error(), QueueError::kStaleChain);
  EXPECT_EQ(take().head(), 0u);
}

TEST_F(SaveTest, RestoreRefusesAnInvalidStateThatNeverWasBytes) {
  auto state = queue.save().value();
  state.next_used = 1;
  EXPECT_EQ(refuse(state), QueueStateError::kNextUsed);
  EXPECT_EQ(refuse(QueueState()), QueueStateError::kMaxSize);
}

TEST_F(SaveTest, RestoreRefusesAnotherMaximumSize) {
  auto state = queue.save().value();
  state.max_size = 128;
  EXPECT_EQ(refuse(state), Error(QueueStateError::kMaxSize, 128, 256));
}

TEST_F(SaveTest, RestoreRefusesOtherFeatures) {
  auto state = queue.save().value();
  state.features.indirect = false;
  EXPECT_EQ(refuse(state), Error(QueueStateError::kFeatures, 1, 3));
}

TEST_F(SaveTest, RestoreRefusesAreasOutsideMemory) {
  auto state = queue.save().value();
  state.descriptor_table = kNowhere;
  EXPECT_EQ(refuse(state), Error(QueueStateError::kDescriptorTable, kNowhere.raw(), 16));

  state = queue.save().value();
  state.available_ring = before(kEnd, 2);
  EXPECT_EQ(refuse(state), Error(QueueStateError::kAvailableRing, before(kEnd, 2).raw(), 2));

  state = queue.save().value();
  state.used_ring = kReadOnly;
  EXPECT_EQ(refuse(state), Error(QueueStateError::kUsedRing, kReadOnly.raw(), 4));
}

// A guest could make its own snapshot unrestorable: saving did not mind an available index that
// restoring refused.
TEST_F(SaveTest, AnIndexTooFarAheadBreaksTheRestoredQueueAsItWouldHaveTheSavedOne) {
  driver.set_available_index(kSize + 1);
  const auto state = queue.save().value();

  ASSERT_TRUE(restored.restore(memory, state, kMaxSize, kFeatures));
  EXPECT_EQ(restored.broken(), std::nullopt);
  const Error too_far(QueueError::kAvailIndex, kSize + 1, kSize);
  EXPECT_EQ(restored.pop().error(), too_far);
  EXPECT_EQ(queue.pop().error(), too_far);
}

TEST_F(SaveTest, AnIndexThatWentBackBreaksTheRestoredQueue) {
  serve(5);
  const auto state = queue.save().value();
  driver.set_available_index(4);

  ASSERT_TRUE(restored.restore(memory, state, kMaxSize, kFeatures));
  EXPECT_EQ(restored.pop().error(), Error(QueueError::kAvailIndex, 0xffff, kSize));
}

TEST_F(SaveTest, TheUsedIndexInMemoryDoesNotCount) {
  serve(5);
  const auto state = queue.save().value();
  driver.set_used_index(77);

  ASSERT_TRUE(restored.restore(memory, state, kMaxSize, kFeatures));
  driver.add_chain({{kData, 4, true}});
  ASSERT_TRUE(restored.pop().value().value().complete(0));
  EXPECT_EQ(driver.used_index(), 6);
}

TEST_F(SaveTest, RestoreOfAQueueThatWasNotActiveSaysSo) {
  auto state = idle_state();
  state.features = kFeatures;
  EXPECT_EQ(refuse(state), QueueConfigError::kNotReady);
}

TEST_F(SaveTest, RefusedRestoreLeavesTheQueueInactive) {
  serve(1);
  EXPECT_FALSE(queue.restore(memory, QueueState(), kMaxSize, kFeatures));
  EXPECT_FALSE(queue.active());
  EXPECT_EQ(queue.pop().error(), QueueError::kNotActive);
}

}  // namespace
}  // namespace guestproof::virtio
