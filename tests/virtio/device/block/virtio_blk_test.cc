#include "guestproof/virtio/device/block/virtio_blk.h"

#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "guestproof/testing/deferred_backend.h"
#include "guestproof/testing/memory_backend.h"
#include "guestproof/testing/packed_driver.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/device/lifecycle.h"
#include "print.h"

namespace guestproof::virtio::block {
namespace {

using Memory = testing::WatchedMemory;
using testing::DeferredBackend;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::MemoryBackend;
using testing::QueueLayout;
using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kSize = 64 * 512;

class NotingHost final : public Host {
 public:
  void wake() override { woken = true; }
  void refused(std::uint16_t queue, const Error& why) override {
    refusals.emplace_back(queue, why);
  }
  bool woken = false;
  std::vector<std::pair<std::uint16_t, Error>> refusals;
};

class NotingInterrupts final : public Interrupts {
 public:
  void used_buffers(std::uint16_t queue) override { used.push_back(queue); }
  void configuration_changed() override { ++config; }
  std::vector<std::uint16_t> used;
  int config = 0;
};

/// The formats of a ring.
struct Split {
  using Ring = testing::Driver<Memory::GuestView>;
  static constexpr auto kFormat = RingLayout::kSplit;
  static constexpr std::uint64_t kFeatures = 0;
};
struct Packed {
  using Ring = testing::PackedDriver<Memory::GuestView>;
  static constexpr auto kFormat = RingLayout::kPacked;
  static constexpr std::uint64_t kFeatures = feature_bit(VIRTIO_F_RING_PACKED);
};

template <class Format>
class VirtioBlkTest : public ::testing::Test {
 protected:
  using Ring = typename Format::Ring;
  static constexpr std::array kRegions{Memory::RegionSpec{GuestAddress(0), 0x20000}};
  static constexpr std::uint8_t kAgreed =
      VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK;
  static constexpr std::uint64_t kAll = ~std::uint64_t{0};
  static constexpr std::size_t kWriteback = 32;

  VirtioBlkTest() { lifecycle.connect(&interrupts); }

  static Offer offer_of(const AsyncBackend& backend) {
    auto offer = Offer::of(backend, {}, 2);
    offer.queue_size = 16;
    offer.config.id = device_id("a serial number");
    return offer;
  }

  /// Up to FEATURES_OK, with those of `features` that are offered.
  void agree(std::uint64_t features = kAll) {
    const auto wanted = (device->features() & features) | feature_bit(VIRTIO_F_VERSION_1) |
                        feature_bit(VIRTIO_F_RING_RESET) | Format::kFeatures;
    ASSERT_TRUE(lifecycle.set_status(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER));
    ASSERT_TRUE(lifecycle.set_driver_features(0, static_cast<std::uint32_t>(wanted)));
    ASSERT_TRUE(lifecycle.set_driver_features(1, static_cast<std::uint32_t>(wanted >> 32)));
    ASSERT_TRUE(lifecycle.set_status(kAgreed));
  }
  void set_up(std::uint16_t index) {
    const auto layout = QueueLayout::at(GuestAddress(0x1000 + 0x1000 * index), 16, Format::kFormat);
    ASSERT_TRUE(write_bytes(guest, GuestAddress(0x1000 + 0x1000 * index), Bytes(0x1000)));
    rings[index].emplace(guest, layout);
    ASSERT_TRUE(lifecycle.set_queue_size(index, layout.size));
    ASSERT_TRUE(lifecycle.set_descriptor_area(index, layout.descriptor_table));
    ASSERT_TRUE(lifecycle.set_driver_area(index, layout.available_ring));
    ASSERT_TRUE(lifecycle.set_device_area(index, layout.used_ring));
    ASSERT_TRUE(lifecycle.enable_queue(index));
  }
  void run(std::uint64_t features = kAll) {
    agree(features);
    set_up(0);
    set_up(1);
    ASSERT_TRUE(lifecycle.set_status(kAgreed | VIRTIO_STATUS_DRIVER_OK));
  }

  static GuestAddress data_of(unsigned request) { return GuestAddress(0x8000 + 0x1000 * request); }
  /// Request number `request`: its data at data_of(), 512 bytes, the status behind them.
  void ask(unsigned request, std::uint32_t type, std::uint64_t sector, std::uint16_t queue = 0) {
    const GuestAddress header(0x4000 + 32 * request);
    ASSERT_TRUE(write_object(guest, header, VirtioBlkReq{type, 0, sector}));
    ASSERT_TRUE(write_bytes(guest, data_of(request), Bytes(513, std::byte{0xee})));
    std::vector<testing::BufferSpec> buffers{{header, 16}};
    if (type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_OUT)
      buffers.push_back({data_of(request), 512, type == VIRTIO_BLK_T_IN});
    buffers.push_back({GuestAddress(data_of(request).raw() + 512), 1, true});
    rings[queue]->add_chain(buffers);
  }
  bool serve(std::uint16_t queue = 0) {
    EXPECT_TRUE(lifecycle.kick(queue));
    return lifecycle.work().value();
  }
  bool finish(std::size_t index) {
    deferred.finish(index);
    return lifecycle.host_ready().value();
  }
  Bytes data(unsigned request, std::size_t length = 512) {
    Bytes bytes(length);
    EXPECT_TRUE(read_bytes(guest, data_of(request), bytes));
    return bytes;
  }
  std::uint8_t status(unsigned request) {
    return std::to_integer<std::uint8_t>(data(request, 513).back());
  }
  Bytes sector(std::uint64_t index) {
    const auto part = storage.bytes().subspan(index * 512, 512);
    return {part.begin(), part.end()};
  }
  std::uint8_t writeback() {
    std::byte value{0xff};
    EXPECT_TRUE(lifecycle.read_config(kWriteback, std::span(&value, 1)));
    return std::to_integer<std::uint8_t>(value);
  }
  Result<void> set_writeback(std::uint8_t value) {
    const std::byte byte{value};
    return lifecycle.write_config(kWriteback, std::span(&byte, 1));
  }

  Memory memory{kRegions};
  Memory::GuestView guest = memory.guest();
  MemoryBackend storage{kSize};
  DeferredBackend deferred{storage, 4};
  std::unique_ptr<VirtioBlk<Memory>> device =
      VirtioBlk<Memory>::create(offer_of(deferred), deferred).value();
  NotingHost host;
  NotingInterrupts interrupts;
  DeviceLifecycle<Memory> lifecycle{*device, memory, host};
  std::array<std::optional<Ring>, 2> rings;
};

using Formats = ::testing::Types<Split, Packed>;
class FormatNames {
 public:
  template <class Format>
  static std::string GetName(int) {
    return Format::kFormat == RingLayout::kSplit ? "split" : "packed";
  }
};
TYPED_TEST_SUITE(VirtioBlkTest, Formats, FormatNames);

TYPED_TEST(VirtioBlkTest, IsABlockDevice) {
  EXPECT_EQ(this->lifecycle.device_id(), 2u);
  EXPECT_EQ(this->lifecycle.queue_count(), 2u);
  EXPECT_EQ(this->lifecycle.config_bytes(), 72u);
  EXPECT_EQ(this->lifecycle.host_fd(), -1);
  le64 capacity;
  ASSERT_TRUE(this->lifecycle.read_config(0, std::as_writable_bytes(std::span(&capacity, 1))));
  EXPECT_EQ(capacity, 64u);
}

TYPED_TEST(VirtioBlkTest, ReadsAndWrites) {
  this->run();
  this->storage.bytes()[3 * 512] = std::byte{0x77};
  this->ask(0, VIRTIO_BLK_T_IN, 3);
  this->ask(1, VIRTIO_BLK_T_OUT, 5);
  EXPECT_FALSE(this->serve());
  EXPECT_FALSE(this->rings[0]->take_used());
  EXPECT_THAT(this->interrupts.used, IsEmpty());

  this->finish(1);
  this->finish(0);

  EXPECT_EQ(this->rings[0]->take_used()->len, 1u);
  EXPECT_EQ(this->rings[0]->take_used()->len, 513u);
  EXPECT_THAT(this->interrupts.used, ElementsAre(0, 0));
  EXPECT_EQ(this->data(0), this->sector(3));
  EXPECT_EQ(this->status(0), VIRTIO_BLK_S_OK);
  EXPECT_EQ(this->sector(5), Bytes(512, std::byte{0xee}));
  EXPECT_THAT(this->host.refusals, IsEmpty());
}

TYPED_TEST(VirtioBlkTest, ServesEveryQueueAndNotifiesTheRightOne) {
  this->run();
  this->ask(0, VIRTIO_BLK_T_IN, 1, 0);
  this->ask(1, VIRTIO_BLK_T_IN, 2, 1);
  this->serve(0);
  this->serve(1);
  this->finish(1);
  EXPECT_THAT(this->interrupts.used, ElementsAre(1));
  EXPECT_TRUE(this->rings[1]->take_used());
  this->finish(0);
  EXPECT_THAT(this->interrupts.used, ElementsAre(1, 0));
}

TYPED_TEST(VirtioBlkTest, TellsOfWhatItRefuses) {
  this->run();
  this->ask(0, VIRTIO_BLK_T_IN, 64, 1);
  this->serve(1);
  EXPECT_EQ(this->status(0), VIRTIO_BLK_S_IOERR);
  ASSERT_EQ(this->host.refusals.size(), 1u);
  EXPECT_EQ(this->host.refusals[0].first, 1);
  EXPECT_EQ(this->host.refusals[0].second, Error(BlockError::kBeyondCapacity, 64, 64));
}

TYPED_TEST(VirtioBlkTest, RequestsThatFindNoRoomAreServedLater) {
  this->run();
  for (unsigned i = 0; i < 4; ++i) this->ask(i, VIRTIO_BLK_T_IN, i, 0);
  this->ask(4, VIRTIO_BLK_T_IN, 4, 0);
  this->ask(5, VIRTIO_BLK_T_IN, 5, 1);
  EXPECT_FALSE(this->serve(0));
  EXPECT_FALSE(this->serve(1));
  EXPECT_EQ(this->deferred.pending().size(), 4u);
  for (unsigned i = 0; i < 6; ++i) {
    ASSERT_FALSE(this->deferred.pending().empty());
    EXPECT_TRUE(this->deferred.dispatched());
    EXPECT_FALSE(this->finish(0));
  }
  for (unsigned i = 0; i < 6; ++i) EXPECT_EQ(this->status(i), VIRTIO_BLK_S_OK) << i;
}

// A queue that waited for room was never served again when a reset of another one made the room:
// nothing was in flight whose end would have led to it, and its kicks were off.
TYPED_TEST(VirtioBlkTest, AQueueThatFoundNoRoomIsServedAfterAResetOfAnother) {
  this->run();
  for (unsigned i = 0; i < 4; ++i) this->ask(i, VIRTIO_BLK_T_IN, i, 0);
  this->ask(4, VIRTIO_BLK_T_IN, 4, 1);
  this->serve(0);
  this->serve(1);
  this->host.woken = false;
  ASSERT_TRUE(this->lifecycle.reset_queue(0));
  EXPECT_TRUE(this->host.woken);
  EXPECT_EQ(this->lifecycle.work(), false);
  ASSERT_EQ(this->deferred.pending().size(), 1u);
  this->finish(0);
  EXPECT_EQ(this->status(4), VIRTIO_BLK_S_OK);
}

TYPED_TEST(VirtioBlkTest, AQueueThatFoundNoRoomIsNotServedForADriverThatGaveUp) {
  this->run();
  for (unsigned i = 0; i < 5; ++i) this->ask(i, VIRTIO_BLK_T_IN, i);
  this->serve();
  ASSERT_TRUE(this->lifecycle.set_status(this->lifecycle.status() | VIRTIO_STATUS_FAILED));
  this->host.woken = false;
  ASSERT_TRUE(this->lifecycle.disable_queue(1));
  EXPECT_TRUE(this->deferred.pending().empty());
  EXPECT_FALSE(this->host.woken);
}

TYPED_TEST(VirtioBlkTest, AQueueThatFoundNoRoomIsServedAfterASave) {
  this->run();
  for (unsigned i = 0; i < 5; ++i) this->ask(i, VIRTIO_BLK_T_IN, i);
  this->serve();
  this->host.woken = false;
  ASSERT_TRUE(this->lifecycle.save());
  EXPECT_TRUE(this->host.woken);
  EXPECT_EQ(this->lifecycle.work(), false);
  ASSERT_EQ(this->deferred.pending().size(), 1u);
  this->finish(0);
  EXPECT_EQ(this->status(4), VIRTIO_BLK_S_OK);
}

TYPED_TEST(VirtioBlkTest, ResetWaitsForWhatIsInFlight) {
  this->run();
  this->ask(0, VIRTIO_BLK_T_IN, 1);
  this->serve();
  ASSERT_TRUE(this->lifecycle.set_status(0));
  EXPECT_TRUE(this->deferred.pending().empty());
  this->memory.clear_log();
  this->run();
  this->ask(1, VIRTIO_BLK_T_IN, 2);
  this->serve();
  this->finish(0);
  EXPECT_EQ(this->rings[0]->take_used()->len, 513u);
  EXPECT_FALSE(this->rings[0]->take_used());
}

TYPED_TEST(VirtioBlkTest, QueueResetWaitsAndDoesNotNotifyThatQueue) {
  this->run();
  this->ask(0, VIRTIO_BLK_T_IN, 1, 0);
  this->ask(1, VIRTIO_BLK_T_IN, 2, 1);
  this->serve(0);
  this->serve(1);
  ASSERT_TRUE(this->lifecycle.reset_queue(0));
  EXPECT_TRUE(this->deferred.pending().empty());
  EXPECT_THAT(this->interrupts.used, ElementsAre(1));
  EXPECT_EQ(this->status(1), VIRTIO_BLK_S_OK);
  this->set_up(0);
  this->ask(0, VIRTIO_BLK_T_IN, 3, 0);
  this->serve(0);
  this->finish(0);
  EXPECT_EQ(this->rings[0]->take_used()->len, 513u);
}

TYPED_TEST(VirtioBlkTest, SavesWithNothingInFlightAndGoesOn) {
  this->run();
  this->ask(0, VIRTIO_BLK_T_IN, 1);
  this->serve();
  ASSERT_TRUE(this->set_writeback(0));
  const auto saved = this->lifecycle.save();
  ASSERT_TRUE(saved);
  EXPECT_EQ(this->rings[0]->take_used()->len, 513u);
  EXPECT_THAT(this->interrupts.used, ElementsAre(0));
  this->lifecycle.reset();
  EXPECT_EQ(this->writeback(), 0u);

  ASSERT_TRUE(this->lifecycle.restore(*saved));

  EXPECT_EQ(this->writeback(), 0u);
  this->ask(1, VIRTIO_BLK_T_OUT, 2);
  this->serve();
  this->finish(0);
  ASSERT_EQ(this->deferred.pending().size(), 1u);
  EXPECT_EQ(this->deferred.pending().front().kind, Operation::Kind::kFlush);
  this->finish(0);
  EXPECT_EQ(this->rings[0]->take_used()->len, 1u);
}

TYPED_TEST(VirtioBlkTest, MemoryGoesWhenNothingIsInFlightAnyMore) {
  this->run();
  for (unsigned i = 0; i < 5; ++i) this->ask(i, VIRTIO_BLK_T_IN, i);  // one more than there is room
  this->serve();
  ASSERT_EQ(this->deferred.pending().size(), 4u);

  this->lifecycle.set_memory_access(false);
  EXPECT_TRUE(this->deferred.pending().empty());
  EXPECT_THAT(this->interrupts.used, ElementsAre(0));
  for (unsigned i = 0; i < 4; ++i) EXPECT_EQ(this->status(i), VIRTIO_BLK_S_OK) << i;
  EXPECT_EQ(this->data(3), this->sector(3));

  this->memory.clear_log();
  this->ask(5, VIRTIO_BLK_T_IN, 5, 1);
  EXPECT_FALSE(this->serve(1));
  EXPECT_FALSE(this->lifecycle.host_ready().value());
  ASSERT_TRUE(this->lifecycle.save());
  ASSERT_TRUE(this->lifecycle.disable_queue(1));
  EXPECT_TRUE(this->memory.fetches().empty());
  EXPECT_TRUE(this->memory.writes().empty());
  EXPECT_TRUE(this->deferred.pending().empty());

  this->host.woken = false;
  this->lifecycle.set_memory_access(true);
  EXPECT_TRUE(this->host.woken);
  EXPECT_EQ(this->lifecycle.work(), false);
  ASSERT_EQ(this->deferred.pending().size(), 1u);
  this->finish(0);
  EXPECT_EQ(this->status(4), VIRTIO_BLK_S_OK);
}

TYPED_TEST(VirtioBlkTest, TheCacheModeOfADriverToComeIsTheOffers) {
  const auto saved = this->lifecycle.save();
  ASSERT_TRUE(this->lifecycle.restore(*saved));
  this->run();
  EXPECT_EQ(this->writeback(), 1u);
}

TYPED_TEST(VirtioBlkTest, StateOfAnotherDiskIsNotTaken) {
  this->run();
  auto saved = this->lifecycle.save().value();
  const auto own = saved.size() - sizeof(VirtioBlkConfig);
  saved[own + 1] = std::byte{1};  // capacity
  EXPECT_EQ(this->lifecycle.restore(saved).error(), Error(DeviceStateError::kDevice, 1, 1));
  saved[own + 1] = std::byte{0};
  saved[own + this->kWriteback] = std::byte{2};
  EXPECT_EQ(this->lifecycle.restore(saved).error(),
            Error(DeviceStateError::kDevice, 2, this->kWriteback));
  saved[own + this->kWriteback] = std::byte{1};
  EXPECT_TRUE(this->lifecycle.restore(saved));
  auto longer = saved;
  longer.push_back(std::byte{7});
  longer[8] = std::byte(longer.size());
  EXPECT_EQ(this->lifecycle.restore(longer).error(), Error(DeviceStateError::kDevice, 7, 72));
  auto shorter = saved;
  shorter.pop_back();
  shorter[8] = std::byte(shorter.size());
  EXPECT_EQ(this->lifecycle.restore(shorter).error(), Error(DeviceStateError::kBytes, 71, 72));
}

TYPED_TEST(VirtioBlkTest, CacheModeCanBeSet) {
  this->agree();
  EXPECT_EQ(this->writeback(), 1u);
  ASSERT_TRUE(this->set_writeback(0));
  EXPECT_EQ(this->writeback(), 0u);
  EXPECT_EQ(this->set_writeback(2).error(), Error(DeviceError::kConfigValue, 2, 1));
  EXPECT_EQ(this->writeback(), 0u);
  ASSERT_TRUE(this->lifecycle.set_status(0));
  this->run();
  EXPECT_EQ(this->writeback(), 1u);
  for (const std::uint8_t mode : std::array<std::uint8_t, 2>{0, 1}) {
    ASSERT_TRUE(this->set_writeback(mode));
    this->ask(0, VIRTIO_BLK_T_OUT, 1);
    this->serve();
    this->finish(0);
    EXPECT_EQ(this->deferred.pending().size(), mode == 0 ? 1u : 0u);
    if (mode == 0) this->finish(0);
  }
}

TYPED_TEST(VirtioBlkTest, CacheModeWithoutFlushIsWriteThrough) {
  this->run(~feature_bit(VIRTIO_BLK_F_FLUSH));
  EXPECT_EQ(this->writeback(), 0u);
  EXPECT_EQ(this->set_writeback(1).error(), Error(DeviceError::kConfigValue, 1, 0));
  EXPECT_TRUE(this->set_writeback(0));
}

TYPED_TEST(VirtioBlkTest, NothingElseCanBeWritten) {
  this->agree();
  const Bytes two(2);
  EXPECT_EQ(this->lifecycle.write_config(0, std::span(two).first(1)).error(),
            Error(DeviceError::kConfigReadOnly, 0));
  EXPECT_EQ(this->lifecycle.write_config(32, two).error(), DeviceError::kConfigReadOnly);
  EXPECT_EQ(this->lifecycle.write_config(33, std::span(two).first(1)).error(),
            DeviceError::kConfigReadOnly);
  ASSERT_TRUE(this->lifecycle.set_status(0));
  this->agree(~feature_bit(VIRTIO_BLK_F_CONFIG_WCE));
  EXPECT_EQ(this->writeback(), 0u);
  EXPECT_EQ(this->set_writeback(0).error(), DeviceError::kConfigReadOnly);
}

TYPED_TEST(VirtioBlkTest, FeaturesThatWereNotNegotiatedAreNotServed) {
  this->run(0);
  this->ask(0, VIRTIO_BLK_T_FLUSH, 0);
  this->serve();
  EXPECT_EQ(this->status(0), VIRTIO_BLK_S_UNSUPP);
}

TYPED_TEST(VirtioBlkTest, StorageThatTakesNothingMoreNeedsAReset) {
  this->run();
  this->deferred.fail_dispatch(Error(SystemError::kSubmit, EAGAIN));
  this->ask(0, VIRTIO_BLK_T_IN, 1);
  ASSERT_TRUE(this->lifecycle.kick(0));
  EXPECT_EQ(this->lifecycle.work().error(), Error(SystemError::kSubmit, EAGAIN));
  EXPECT_NE(this->lifecycle.status() & VIRTIO_STATUS_DEVICE_NEEDS_RESET, 0);
  EXPECT_EQ(this->interrupts.config, 1);
  ASSERT_TRUE(this->lifecycle.set_status(0));
  EXPECT_TRUE(this->deferred.pending().empty());
}

TEST(VirtioBlkCreate, ChecksWhatItOffers) {
  MemoryBackend storage(kSize);
  ImmediateBackend backend(storage);
  auto offer = Offer::of(backend, {});
  EXPECT_TRUE(VirtioBlk<Memory>::create(offer, backend));
  offer.config.capacity = 65;
  EXPECT_EQ(VirtioBlk<Memory>::create(offer, backend).error(), BlockConfigError::kBackendTooSmall);
  offer.queues = 0;
  EXPECT_EQ(VirtioBlk<Memory>::create(offer, backend).error(), BlockConfigError::kQueues);
}

}  // namespace
}  // namespace guestproof::virtio::block
