// What a device sees of a queue does not depend on the format of its ring.
#include "guestproof/virtio/queue/virt_queue.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "guestproof/testing/echo_device.h"
#include "guestproof/testing/packed_driver.h"
#include "guestproof/testing/watched_memory.h"
#include "print.h"

namespace guestproof::virtio {
namespace {

using testing::BufferSpec;
using testing::QueueLayout;
using Memory = testing::WatchedMemory;
using Queue = VirtQueue<Memory>;
using Held = std::vector<Chain<Queue>>;

constexpr std::uint16_t kSize = 8;
constexpr GuestAddress kRings{0x1000}, kData{0x4000};
constexpr std::array kRegions{Memory::RegionSpec{GuestAddress(0), 0x8000}};

/// A driver of either format.
class AnyDriver {
 public:
  AnyDriver(const Memory::GuestView& guest, RingLayout format)
      : layout_(QueueLayout::at(kRings, kSize, format)) {
    GUESTPROOF_INVARIANT(
        for_each_slice(guest, kRings, 0x800, Access::kWrite,
                       [](const auto& slice) { slice.fill(0, slice.size(), std::byte{0}); }));
    if (format == RingLayout::kPacked)
      packed_.emplace(guest, layout_);
    else
      split_.emplace(guest, layout_);
  }
  [[nodiscard]] const QueueLayout& layout() const { return layout_; }
  std::uint16_t add_chain(std::initializer_list<BufferSpec> buffers) {
    return packed_ ? packed_->add_chain(buffers) : split_->add_chain(buffers);
  }
  std::optional<VirtqUsedElem> take_used() {
    return packed_ ? packed_->take_used() : split_->take_used();
  }

 private:
  QueueLayout layout_;
  std::optional<testing::Driver<Memory::GuestView>> split_;
  std::optional<testing::PackedDriver<Memory::GuestView>> packed_;
};

class VirtQueueTest : public ::testing::TestWithParam<RingLayout> {
 protected:
  void SetUp() override { activate({}); }
  void activate(QueueFeatures wanted) {
    features = wanted;
    features.packed = GetParam() == RingLayout::kPacked;
    driver.emplace(guest, GetParam());
    ASSERT_TRUE(queue.activate(memory, driver->layout().config(), features));
  }
  /// REQUIRES: there are as many.
  [[nodiscard]] Held take(int count) {
    Held held;
    while (count-- != 0) held.push_back(std::move(queue.pop().value().value()));
    return held;
  }
  /// Adds as many chains of one writable buffer of 16 bytes.
  std::vector<std::uint16_t> add(int count) {
    std::vector<std::uint16_t> heads;
    while (count-- != 0) heads.push_back(driver->add_chain({{kData, 16, true}}));
    return heads;
  }
  std::vector<std::uint32_t> used_lengths() {
    std::vector<std::uint32_t> lengths;
    while (const auto used = driver->take_used()) lengths.push_back(used->len);
    return lengths;
  }

  Memory memory{kRegions};
  Memory::GuestView guest = memory.guest();
  std::optional<AnyDriver> driver;
  QueueFeatures features;
  Queue queue;
};

TEST_P(VirtQueueTest, ServesADevice) {
  testing::EchoDevice<Queue> device;
  for (int i = 0; i < 20; ++i) {
    const auto head = driver->add_chain({{kData, 8, false}, {kData, 24, true}});

    const auto turn = device.process(queue, whole_queue(queue), [](const auto&) {});

    EXPECT_TRUE(turn.value().notify);
    const auto used = driver->take_used();
    ASSERT_TRUE(used);
    EXPECT_EQ(used->id, head);
    EXPECT_EQ(used->len, 24u);
  }
}

TEST_P(VirtQueueTest, RefusesAConfigurationForTheOtherLayout) {
  const auto other = GetParam() == RingLayout::kPacked ? RingLayout::kSplit : RingLayout::kPacked;
  const auto config = QueueLayout::at(kRings, kSize, other).config();

  EXPECT_EQ(queue.activate(memory, config, features).error(), QueueConfigError::kLayout);
  EXPECT_FALSE(queue.active());
}

TEST_P(VirtQueueTest, ChainPutBackIsTakenAgain) {
  const auto heads = add(2);
  auto held = take(2);

  ASSERT_TRUE(held[1].put_back());
  EXPECT_EQ(queue.in_flight(), 1u);

  held[1] = std::move(take(1)[0]);
  EXPECT_EQ(held[1].head(), heads[1]);
  EXPECT_EQ(held[1].writable_bytes(), 16u);
}

TEST_P(VirtQueueTest, ChainsArePutBackInReverseOrder) {
  const auto heads = add(3);
  auto held = take(3);

  ASSERT_TRUE(held[2].put_back());
  ASSERT_TRUE(held[1].put_back());
  ASSERT_TRUE(held[0].put_back());

  EXPECT_EQ(queue.in_flight(), 0u);
  EXPECT_EQ(take(1)[0].head(), heads[0]);
}

TEST_P(VirtQueueTest, OnlyTheChainTakenLastIsPutBack) {
  const auto heads = add(2);
  auto held = take(2);

  EXPECT_EQ(held[0].put_back().error(), Error(QueueError::kNotTakenLast, heads[0]));
  ASSERT_TRUE(held[1].complete(0));
  EXPECT_EQ(held[0].put_back().error(), QueueError::kNotTakenLast);

  EXPECT_TRUE(held[0].complete(16));
  EXPECT_THAT(used_lengths(), ::testing::ElementsAre(0u, 16u));
}

TEST_P(VirtQueueTest, StaleChainIsNotPutBack) {
  add(1);
  auto held = take(1);
  activate({});

  EXPECT_EQ(held[0].put_back().error(), QueueError::kStaleChain);
}

TEST_P(VirtQueueTest, WithAChainPutBackIsSavedAndGoesOn) {
  add(2);
  auto held = take(2);
  ASSERT_TRUE(held[0].complete(1));
  ASSERT_TRUE(held[1].put_back());

  const auto state = QueueState::decode(queue.save().value().encode()).value();
  ASSERT_TRUE(queue.restore(memory, state, kSize, features));

  ASSERT_TRUE(take(1)[0].complete(2));
  EXPECT_THAT(used_lengths(), ::testing::ElementsAre(1u, 2u));
}

TEST_P(VirtQueueTest, InOrderKeepsBackWhatIsCompletedBeforeItsTurn) {
  activate({.in_order = true});
  const auto heads = add(3);
  auto held = take(3);

  ASSERT_TRUE(held[2].complete(3));
  ASSERT_TRUE(held[1].complete(2));
  EXPECT_TRUE(used_lengths().empty());
  EXPECT_FALSE(queue.needs_notification());
  EXPECT_EQ(queue.in_flight(), 3u);
  EXPECT_EQ(queue.save().error(), Error(QueueError::kChainsInFlight, 3));

  ASSERT_TRUE(held[0].complete(1));
  EXPECT_THAT(used_lengths(), ::testing::ElementsAre(1u, 2u, 3u));
  EXPECT_TRUE(queue.needs_notification());
  EXPECT_EQ(queue.in_flight(), 0u);
}

TEST_P(VirtQueueTest, InOrderHoldsForManyChains) {
  activate({.in_order = true});
  for (std::uint32_t turn = 0; turn < 10; ++turn) {
    add(4);
    auto held = take(4);
    for (const std::size_t i : {3u, 0u, 2u, 1u})
      ASSERT_TRUE(held[i].complete(static_cast<std::uint32_t>(i)));
    EXPECT_THAT(used_lengths(), ::testing::ElementsAre(0u, 1u, 2u, 3u));
  }
}

TEST_P(VirtQueueTest, InOrderForgetsWhatItKeptBackAtAReset) {
  activate({.in_order = true});
  add(2);
  auto held = take(2);
  ASSERT_TRUE(held[1].complete(16));

  queue.reset();

  EXPECT_EQ(held[0].complete(0).error(), QueueError::kStaleChain);
  EXPECT_TRUE(used_lengths().empty());
  EXPECT_EQ(queue.in_flight(), 0u);
}

TEST_P(VirtQueueTest, InOrderRefusesALengthAtOnce) {
  activate({.in_order = true});
  add(2);
  auto held = take(2);

  EXPECT_EQ(held[1].complete(17).error(), Error(QueueError::kUsedLength, 17, 16));
}

class CompletedTogetherTest : public VirtQueueTest {
 protected:
  /// What the driver looks at to see the first chain used: the used index, or the flags of the
  /// first descriptor.
  [[nodiscard]] GuestAddress first_sign() const {
    const auto& layout = driver->layout();
    return GetParam() == RingLayout::kPacked
               ? GuestAddress(layout.descriptor_table.raw() + offsetof(PackedDesc, flags))
               : GuestAddress(layout.used_ring.raw() + kUsedIdxOffset);
  }
};

TEST_P(CompletedTogetherTest, AreSeenWithOneLastWrite) {
  for (const bool in_order : {false, true}) {
    activate({.in_order = in_order});
    add(3);
    auto held = take(3);
    memory.clear_log();

    ASSERT_TRUE(Chain<Queue>::complete_together(held, std::array{16u, 16u, 5u}));

    const auto writes = memory.writes();
    EXPECT_EQ(writes.back().address, first_sign());
    EXPECT_EQ(writes.back().length, 2u);
    EXPECT_EQ(
        std::ranges::count_if(writes, [&](const auto& w) { return w.address == first_sign(); }), 1);
    EXPECT_THAT(used_lengths(), ::testing::ElementsAre(16u, 16u, 5u));
    EXPECT_EQ(queue.in_flight(), 0u);
    EXPECT_TRUE(queue.needs_notification());
  }
}

TEST_P(CompletedTogetherTest, WaitForThoseBeforeThemInOrder) {
  activate({.in_order = true});
  add(3);
  auto before = take(1);
  auto held = take(2);

  ASSERT_TRUE(Chain<Queue>::complete_together(held, std::array{16u, 2u}));
  EXPECT_TRUE(used_lengths().empty());

  memory.clear_log();
  ASSERT_TRUE(before[0].complete(1));
  EXPECT_EQ(memory.writes().back().address, first_sign());
  EXPECT_THAT(used_lengths(), ::testing::ElementsAre(1u, 16u, 2u));
}

TEST_P(CompletedTogetherTest, AreAllHeldWhenOneLengthIsTooLong) {
  add(2);
  auto held = take(2);

  EXPECT_EQ(Chain<Queue>::complete_together(held, std::array{16u, 17u}).error(),
            Error(QueueError::kUsedLength, 17, 16));

  EXPECT_TRUE(used_lengths().empty());
  EXPECT_EQ(queue.in_flight(), 2u);
}

TEST_P(CompletedTogetherTest, AreHeldWhenAResetTookThemBack) {
  add(2);
  auto held = take(2);
  queue.reset();

  EXPECT_EQ(Chain<Queue>::complete_together(held, std::array{0u, 0u}).error(),
            QueueError::kStaleChain);
  EXPECT_TRUE(held[1].stale());
}

INSTANTIATE_TEST_SUITE_P(Of, CompletedTogetherTest,
                         ::testing::Values(RingLayout::kSplit, RingLayout::kPacked),
                         [](const auto& format) {
                           return std::string(format.param == RingLayout::kPacked ? "Packed"
                                                                                  : "Split");
                         });

INSTANTIATE_TEST_SUITE_P(Of, VirtQueueTest,
                         ::testing::Values(RingLayout::kSplit, RingLayout::kPacked),
                         [](const auto& format) {
                           return std::string(format.param == RingLayout::kPacked ? "Packed"
                                                                                  : "Split");
                         });

class ChangeOfFormatTest : public ::testing::Test {
 protected:
  QueueConfig config(RingLayout format) { return QueueLayout::at(kRings, kSize, format).config(); }
  Memory memory{kRegions};
  Memory::GuestView guest = memory.guest();
  Queue queue;
};

TEST_F(ChangeOfFormatTest, MakesChainsStale) {
  ASSERT_TRUE(queue.activate(memory, config(RingLayout::kSplit), {}));
  AnyDriver(guest, RingLayout::kSplit).add_chain({{kData, 16, true}});
  auto held = std::move(queue.pop().value().value());

  ASSERT_TRUE(queue.activate(memory, config(RingLayout::kPacked), {.packed = true}));

  EXPECT_TRUE(held.stale());
  EXPECT_EQ(held.writer().remaining(), 0u);
  EXPECT_EQ(held.complete(0).error(), QueueError::kStaleChain);
  AnyDriver(guest, RingLayout::kPacked).add_chain({{kData, 16, true}});
  EXPECT_TRUE(queue.pop().value().has_value());
}

TEST_F(ChangeOfFormatTest, ThatIsRefusedLeavesStaleChainsTheirMemory) {
  ASSERT_TRUE(queue.activate(memory, config(RingLayout::kSplit), {}));
  AnyDriver(guest, RingLayout::kSplit).add_chain({{kData, 16, true}});
  auto held = std::move(queue.pop().value().value());

  ASSERT_FALSE(queue.activate(memory, config(RingLayout::kSplit), {.packed = true}));

  EXPECT_EQ(&held.memory(), &memory);
  EXPECT_EQ(held.writer().remaining(), 0u);
}

TEST_F(ChangeOfFormatTest, NeedsWritableMemoryForAPackedRing) {
  const std::array regions{Memory::RegionSpec{GuestAddress(0), 0x4000},
                           Memory::RegionSpec{GuestAddress(0x8000), 0x1000, true}};
  const Memory partly_read_only(regions);
  auto layout = QueueLayout::at(kRings, kSize, RingLayout::kPacked);
  layout.descriptor_table = GuestAddress(0x8000);

  EXPECT_EQ(queue.activate(partly_read_only, layout.config(), {.packed = true}).error(),
            Error(QueueConfigError::kDescriptorTableRange, 0x8000, 16 * kSize));
}

}  // namespace
}  // namespace guestproof::virtio
