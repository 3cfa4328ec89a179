#include "guestproof/virtio/device/balloon/virtio_balloon.h"

#include <errno.h>

#include "virtio/device/guest.h"

namespace guestproof::virtio::balloon {

inline void PrintTo(const PageRange& range, std::ostream* out) {
  *out << std::hex << range.address.raw() << "+" << range.length << std::dec;
}

namespace {

using Memory = testing::WatchedMemory;

/// Notes what it is told.
class NotingBackend final : public BalloonBackend {
 public:
  [[nodiscard]] Result<void> inflate(const PageRange& pages) override {
    return note(inflated, pages);
  }
  [[nodiscard]] Result<void> deflate(const PageRange& pages) override {
    return note(deflated, pages);
  }
  [[nodiscard]] Result<void> report(const PageRange& range) override {
    return note(reported, range);
  }
  [[nodiscard]] Result<void> hint(const PageRange& range) override { return note(hinted, range); }
  void statistics(const Statistics& statistics) override { heard.push_back(statistics); }

  std::vector<PageRange> inflated, deflated, reported, hinted;
  std::vector<Statistics> heard;
  bool fails = false;

 private:
  Result<void> note(std::vector<PageRange>& list, const PageRange& range) const {
    list.push_back(range);
    if (fails) return fail(SystemError::kDiscard, EIO);
    return {};
  }
};

constexpr std::uint64_t bit(unsigned feature) { return feature_bit(feature); }
constexpr std::uint64_t kStats = bit(VIRTIO_BALLOON_F_STATS_VQ);
constexpr std::uint64_t kHint = bit(VIRTIO_BALLOON_F_FREE_PAGE_HINT);
constexpr std::uint64_t kPoison = bit(VIRTIO_BALLOON_F_PAGE_POISON);
constexpr std::uint64_t kReport = bit(VIRTIO_BALLOON_F_PAGE_REPORTING);
constexpr std::uint16_t kInflateq = 0, kDeflateq = 1, kStatsq = 2, kFreePageVq = 3,
                        kReportingVq = 4;

class BalloonTest : public ::testing::TestWithParam<RingLayout> {
 protected:
  static constexpr GuestAddress kData{0x8000};
  static constexpr GuestAddress kMore{0x9000};
  static constexpr GuestAddress kRom{0x40000};
  static constexpr std::array kRegions{Memory::RegionSpec{GuestAddress(0), 0x20000},
                                       Memory::RegionSpec{GuestAddress(0x20000), 0x10000},
                                       Memory::RegionSpec{kRom, 0x1000, true}};

  void SetUp() override { lifecycle.connect(&interrupts); }
  void start(std::uint64_t features = kStats | kHint | kReport) {
    guest.start(features, {0, 1, 2, 3, 4});
  }
  /// A request with these page numbers; what was refused.
  std::vector<Error> pages(std::uint16_t queue, const std::vector<le32>& numbers) {
    guest.write(kData, numbers);
    EXPECT_EQ(guest.serve(queue, {{kData, static_cast<std::uint32_t>(4 * numbers.size())}}), 0U);
    return host.take();
  }
  static BalloonStat stat(std::uint16_t tag, std::uint64_t value) {
    const auto part = [&](unsigned i) { return le16(static_cast<std::uint16_t>(value >> 16 * i)); };
    return {.tag = tag, .val = {part(0), part(1), part(2), part(3)}};
  }
  /// Makes a buffer of statistics available.
  void give(const std::vector<BalloonStat>& entries) {
    guest.write(kData, entries);
    guest.add(kStatsq, {{kData, static_cast<std::uint32_t>(10 * entries.size())}});
    guest.kick(kStatsq);
  }
  void ask() {
    device.request_statistics();
    ASSERT_FALSE(lifecycle.host_ready().value());
  }
  /// The command of free_page_vq; what was refused.
  std::vector<Error> command(std::uint32_t id) {
    guest.write(kData, std::vector<le32>{id});
    EXPECT_EQ(guest.serve(kFreePageVq, {{kData, 4}}), 0U);
    return host.take();
  }
  std::uint32_t read_config(std::uint32_t offset) {
    le32 value;
    EXPECT_TRUE(lifecycle.read_config(offset, std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }
  Result<void> write_config(std::uint32_t offset, std::uint32_t value) {
    const le32 bytes = value;
    return lifecycle.write_config(offset, std::as_bytes(std::span(&bytes, 1)));
  }

  Memory memory{kRegions};
  NotingBackend backend;
  ListeningHost host;
  CountingInterrupts interrupts;
  VirtioBalloon<Memory> device{backend};
  DeviceLifecycle<Memory> lifecycle{device, memory, host};
  Guest guest{lifecycle, memory, GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Rings, BalloonTest,
                         ::testing::Values(RingLayout::kSplit, RingLayout::kPacked), format_name);

using Ranges = std::vector<PageRange>;
constexpr PageRange range(std::uint64_t address, std::uint64_t length) {
  return {GuestAddress(address), length};
}

TEST_P(BalloonTest, IsABalloonWithFiveQueuesAndAllFeatures) {
  EXPECT_EQ(lifecycle.device_id(), 5U);
  EXPECT_EQ(lifecycle.queue_count(), 5);
  EXPECT_EQ(lifecycle.config_bytes(), 16U);
  EXPECT_EQ(lifecycle.device_features() & 0xffffff, 0x3fU);
  EXPECT_EQ(lifecycle.host_fd(), -1);
}

TEST_P(BalloonTest, OffersWhatItIsToldTo) {
  VirtioBalloon<Memory> small(backend, kStats | bit(40));
  EXPECT_EQ(small.features(), kStats);
}

TEST_P(BalloonTest, TakesADriverWithPromisesAndWithout) {
  for (const auto promise : {feature_bit(VIRTIO_BALLOON_F_MUST_TELL_HOST),
                             feature_bit(VIRTIO_BALLOON_F_DEFLATE_ON_OOM), std::uint64_t{0}}) {
    lifecycle.reset();
    start(promise | kStats | kHint | kReport);
    EXPECT_TRUE(lifecycle.running());
    EXPECT_EQ(lifecycle.driver_features() & 5, promise);
  }
}

TEST_P(BalloonTest, RunsOfPagesAreInflatedTogetherInWhateverOrderAndOnce) {
  start();
  EXPECT_TRUE(pages(kInflateq, {9, 7, 8, 8, 12, 7, 0}).empty());
  EXPECT_EQ(backend.inflated,
            (Ranges{range(0, 0x1000), range(0x7000, 0x3000), range(0xc000, 0x1000)}));
  EXPECT_TRUE(backend.deflated.empty());
}

TEST_P(BalloonTest, ARunCrossesRegionsThatTouch) {
  start();
  EXPECT_TRUE(pages(kInflateq, {0x20, 0x1f}).empty());
  EXPECT_EQ(backend.inflated, Ranges{range(0x1f000, 0x2000)});
}

TEST_P(BalloonTest, PagesComeBackThroughTheOtherQueue) {
  start();
  EXPECT_TRUE(pages(kDeflateq, {1, 2}).empty());
  EXPECT_EQ(backend.deflated, Ranges{range(0x1000, 0x2000)});
  EXPECT_TRUE(backend.inflated.empty());
}

TEST_P(BalloonTest, AnArrayMayBeCutAnywhere) {
  start();
  guest.write(kData, std::vector<le32>{0x12, 0x13});
  guest.write(kMore, std::vector<le32>{0x13000000});
  EXPECT_EQ(guest.serve(kInflateq, {{kData, 3}, {GuestAddress(kData.raw() + 3), 5}}), 0U);
  EXPECT_TRUE(host.refusals.empty());
  EXPECT_EQ(backend.inflated, Ranges{range(0x12000, 0x2000)});
}

TEST_P(BalloonTest, PagesOutsideWritableMemoryAreLeftOutAndTheFirstIsNamed) {
  start();
  const auto refused = pages(kInflateq, {0xffffffff, 1, 0x40, 0x50});
  EXPECT_EQ(refused, std::vector{Error(BalloonError::kNotMemory, 0x40, 3)});
  EXPECT_EQ(backend.inflated, Ranges{range(0x1000, 0x1000)});
}

TEST_P(BalloonTest, ThePageOfItsOwnRingsIsAPageLikeAnother) {
  start();
  EXPECT_TRUE(pages(kInflateq, {1}).empty());
  EXPECT_EQ(backend.inflated, Ranges{range(0x1000, 0x1000)});
}

TEST_P(BalloonTest, AsManyPagesAsTheCapAllowsAndNoMore) {
  start();
  EXPECT_EQ(guest.serve(kInflateq, {{GuestAddress(0x10000), 4 * kMaxRequestPages}}), 0U);
  EXPECT_TRUE(host.take().empty());
  EXPECT_EQ(backend.inflated, Ranges{range(0, 0x1000)});
  EXPECT_EQ(guest.serve(kInflateq, {{GuestAddress(0x10000), 4 * kMaxRequestPages + 4}}), 0U);
  EXPECT_EQ(host.take(),
            std::vector{Error(BalloonError::kPageLimit, kMaxRequestPages + 1, kMaxRequestPages)});
  EXPECT_EQ(backend.inflated.size(), 1U);
}

TEST_P(BalloonTest, RequestsOfTheWrongShapeAreReturnedUndone) {
  start();
  const auto refusal = [&](std::initializer_list<testing::BufferSpec> buffers) {
    EXPECT_EQ(guest.serve(kInflateq, buffers), 0U);
    return host.take();
  };
  EXPECT_EQ(refusal({{kData, 6}}), std::vector{Error(BalloonError::kArrayLength, 6, 4)});
  EXPECT_EQ(refusal({{kData, 4}, {kData, 4, true}}),
            std::vector{Error(BalloonError::kWritable, 4)});
  EXPECT_EQ(refusal({{kData, 0}}), std::vector{Error(BalloonError::kNoPages)});
  EXPECT_EQ(refusal({{GuestAddress(0x3fffc), 8}}).at(0), MemoryError::kUnmapped);
  EXPECT_TRUE(backend.inflated.empty());
}

TEST_P(BalloonTest, AFailingBackEndEndsTheRequestAndIsReported) {
  start();
  backend.fails = true;
  EXPECT_EQ(pages(kInflateq, {1, 3, 0x1000}), std::vector{Error(SystemError::kDiscard, EIO)});
  EXPECT_EQ(backend.inflated.size(), 1U);
}

TEST_P(BalloonTest, FreePagesAreReportedAsTheirBuffersLie) {
  start();
  EXPECT_EQ(guest.serve(kReportingVq, {{kData, 0x1000, true}, {GuestAddress(0x1fff0), 0x20, true}}),
            0U);
  EXPECT_EQ(backend.reported, (Ranges{range(0x8000, 0x1000), range(0x1fff0, 0x20)}));
  EXPECT_EQ(memory.fetch_count(kData), 0);
}

TEST_P(BalloonTest, ReportsOfWhatIsNotWritableMemoryEndThere) {
  start();
  EXPECT_EQ(guest.serve(kReportingVq, {{kData, 16, true}, {kRom, 16, true}, {kMore, 16, true}}),
            0U);
  EXPECT_EQ(host.take(), std::vector{Error(MemoryError::kReadOnly, kRom.raw())});
  EXPECT_EQ(backend.reported, Ranges{range(0x8000, 16)});
  EXPECT_EQ(guest.serve(kReportingVq, {{kData, 4}, {kData, 4, true}}), 0U);
  EXPECT_EQ(host.take(), std::vector{Error(BalloonError::kReadable, 4)});
  EXPECT_EQ(guest.serve(kReportingVq, {{kData, 0, true}}), 0U);
  EXPECT_EQ(host.take(), std::vector{Error(BalloonError::kNoPages)});
}

TEST_P(BalloonTest, ReportedPagesThatHaveToKeepAPoisonAreLeftAlone) {
  guest.agree(kReport | kPoison);
  ASSERT_TRUE(write_config(12, 0xaaaaaaaa));
  for (const auto queue : {kInflateq, kDeflateq, kReportingVq}) guest.set_up(queue);
  ASSERT_TRUE(lifecycle.set_status(lifecycle.status() | VIRTIO_STATUS_DRIVER_OK));
  EXPECT_EQ(guest.serve(kReportingVq, {{kData, 0x1000, true}}), 0U);
  EXPECT_TRUE(host.take().empty());
  EXPECT_TRUE(backend.reported.empty());
  EXPECT_EQ(write_config(12, 0).error(), Error(DeviceError::kConfigReadOnly, 12));
}

TEST_P(BalloonTest, StatisticsAreHeardAndTheirBufferIsKeptUntilTheHostAsksAgain) {
  start();
  give({stat(VIRTIO_BALLOON_S_MEMTOT, 0x123456789abcdef0), stat(4711, 1),
        stat(VIRTIO_BALLOON_S_SWAP_IN, 7), stat(VIRTIO_BALLOON_S_SWAP_IN, 8)});
  ASSERT_EQ(backend.heard.size(), 1U);
  EXPECT_EQ(backend.heard[0][VIRTIO_BALLOON_S_MEMTOT], 0x123456789abcdef0U);
  EXPECT_EQ(backend.heard[0][VIRTIO_BALLOON_S_SWAP_IN], 8U);
  EXPECT_EQ(backend.heard[0][VIRTIO_BALLOON_S_AVAIL], std::nullopt);
  EXPECT_EQ(guest.used(kStatsq), std::nullopt);
  interrupts.used.clear();
  ask();
  EXPECT_EQ(guest.used(kStatsq), 0U);
  EXPECT_EQ(interrupts.used, std::vector{kStatsq});
  EXPECT_TRUE(host.take().empty());
}

TEST_P(BalloonTest, AskingWithoutABufferDoesNothing) {
  start();
  ask();
  give({stat(0, 1)});
  EXPECT_EQ(backend.heard.size(), 1U);
  EXPECT_EQ(guest.used(kStatsq), std::nullopt);
  guest.start(kReport, {0, 1, 4});
  ask();
}

TEST_P(BalloonTest, ABufferOfStatisticsThatMakesNoSenseIsKeptToo) {
  start();
  guest.add(kStatsq, {{kData, 15}});
  guest.kick(kStatsq);
  EXPECT_EQ(host.take(), std::vector{Error(BalloonError::kStatisticsLength, 15, 10)});
  EXPECT_EQ(guest.used(kStatsq), std::nullopt);
  ask();
  EXPECT_EQ(guest.used(kStatsq), 0U);
  guest.add(kStatsq, {{kData, 10 * (kMaxStatistics + 1)}});
  guest.kick(kStatsq);
  EXPECT_EQ(host.take(),
            std::vector{Error(BalloonError::kStatisticsLimit, kMaxStatistics + 1, kMaxStatistics)});
  ask();
  guest.add(kStatsq, {{kData, 10}, {kData, 10, true}});
  guest.kick(kStatsq);
  EXPECT_EQ(host.take(), std::vector{Error(BalloonError::kWritable, 10)});
  ask();
  guest.add(kStatsq, {{GuestAddress(0x2fffb), 10}});
  guest.kick(kStatsq);
  EXPECT_EQ(host.take().at(0), MemoryError::kUnmapped);
  EXPECT_TRUE(backend.heard.empty());
}

TEST_P(BalloonTest, AnEmptyBufferIsStatisticsWithoutAny) {
  start();
  guest.add(kStatsq, {{kData, 0}});
  guest.kick(kStatsq);
  EXPECT_EQ(backend.heard, std::vector{Statistics{}});
}

TEST_P(BalloonTest, OfTwoBuffersOfStatisticsTheOlderIsReturned) {
  start();
  give({stat(0, 1)});
  give({stat(0, 2)});
  EXPECT_EQ(host.take(), std::vector{Error(BalloonError::kStatisticsTwice)});
  EXPECT_EQ(guest.used(kStatsq), 0U);
  EXPECT_EQ(guest.used(kStatsq), std::nullopt);
  EXPECT_EQ(backend.heard.size(), 2U);
}

TEST_P(BalloonTest, SavingPutsTheBufferOfStatisticsBackAndItIsNotHeardTwice) {
  start();
  give({stat(0, 1)});
  const auto saved = lifecycle.save().value();
  EXPECT_EQ(lifecycle.save().value(), saved);
  ASSERT_TRUE(lifecycle.restore(saved));
  guest.work();
  EXPECT_EQ(backend.heard.size(), 1U);
  EXPECT_EQ(guest.used(kStatsq), std::nullopt);
  ask();
  EXPECT_EQ(guest.used(kStatsq), 0U);
  give({stat(0, 2)});
  EXPECT_EQ(backend.heard.size(), 2U);
}

TEST_P(BalloonTest, TheBufferOfStatisticsIsKeptAgainWhenMemoryIsBack) {
  start();
  give({stat(0, 1)});
  lifecycle.set_memory_access(false);
  EXPECT_EQ(lifecycle.queue(kStatsq).in_flight(), 0U);
  ask();
  EXPECT_EQ(guest.used(kStatsq), std::nullopt);
  lifecycle.set_memory_access(true);
  guest.work();
  EXPECT_EQ(guest.used(kStatsq), 0U);  // asked for meanwhile
  EXPECT_EQ(backend.heard.size(), 1U);
}

TEST_P(BalloonTest, ABackEndNeedNotListen) {
  class Deaf final : public BalloonBackend {
   public:
    [[nodiscard]] Result<void> inflate(const PageRange&) override { return {}; }
    [[nodiscard]] Result<void> deflate(const PageRange&) override { return {}; }
    [[nodiscard]] Result<void> report(const PageRange&) override { return {}; }
  } deaf;
  VirtioBalloon<Memory> other(deaf);
  DeviceLifecycle<Memory> its(other, memory, host);
  Guest driver(its, memory, GetParam());
  driver.start(kStats, {0, 1, 2});
  driver.write(kData, std::vector{stat(0, 1)});
  driver.add(kStatsq, {{kData, 10}});
  driver.kick(kStatsq);
  EXPECT_EQ(driver.used(kStatsq), std::nullopt);
  other.request_statistics();
  EXPECT_FALSE(its.host_ready().value());
  EXPECT_EQ(driver.used(kStatsq), 0U);
  EXPECT_TRUE(host.take().empty());
}

TEST_P(BalloonTest, ADeviceThatWasSavedGoesOn) {
  start();
  give({stat(0, 1)});
  ASSERT_TRUE(lifecycle.save());
  ask();
  EXPECT_EQ(guest.used(kStatsq), 0U);
  EXPECT_EQ(backend.heard.size(), 1U);
}

TEST_P(BalloonTest, AResetOfTheStatsqForgetsItsBuffer) {
  start();
  give({stat(0, 1)});
  ASSERT_TRUE(lifecycle.reset_queue(kStatsq));
  EXPECT_EQ(guest.used(kStatsq), std::nullopt);
  guest.set_up(kStatsq);
  give({stat(0, 2)});
  EXPECT_EQ(backend.heard.size(), 2U);
}

TEST_P(BalloonTest, HintsCountWhileTheDriverAnswersToTheCommand) {
  start();
  EXPECT_EQ(guest.serve(kFreePageVq, {{kMore, 0x1000, true}}), 0U);
  device.start_hinting();
  const auto id = read_config(8);
  EXPECT_EQ(id, 2U);
  EXPECT_EQ(guest.serve(kFreePageVq, {{kMore, 0x1000, true}}), 0U);
  EXPECT_TRUE(backend.hinted.empty());
  EXPECT_TRUE(command(id).empty());
  EXPECT_EQ(guest.serve(kFreePageVq, {{kMore, 0x1000, true}}), 0U);
  EXPECT_EQ(backend.hinted, Ranges{range(0x9000, 0x1000)});
  EXPECT_TRUE(command(VIRTIO_BALLOON_CMD_ID_STOP).empty());
  EXPECT_EQ(guest.serve(kFreePageVq, {{kMore, 0x1000, true}}), 0U);
  EXPECT_EQ(backend.hinted.size(), 1U);
  EXPECT_TRUE(host.take().empty());
}

TEST_P(BalloonTest, HintsUnderAnOldCommandAreIgnored) {
  start();
  device.start_hinting();
  EXPECT_TRUE(command(2).empty());
  device.pause_hinting();
  EXPECT_EQ(read_config(8), VIRTIO_BALLOON_CMD_ID_STOP);
  EXPECT_EQ(guest.serve(kFreePageVq, {{kMore, 0x1000, true}}), 0U);
  device.start_hinting();
  EXPECT_EQ(read_config(8), 3U);
  EXPECT_EQ(command(2), std::vector{Error(BalloonError::kCommand, 2, 3)});
  EXPECT_EQ(guest.serve(kFreePageVq, {{kMore, 0x1000, true}}), 0U);
  device.finish_hinting();
  EXPECT_EQ(command(1), std::vector{Error(BalloonError::kCommand, 1, 1)});
  EXPECT_EQ(guest.serve(kFreePageVq, {{kMore, 0x1000, true}}), 0U);
  EXPECT_TRUE(backend.hinted.empty());
}

TEST_P(BalloonTest, CommandsHaveFourBytesAndMayHaveHintsBehindThem) {
  start();
  device.start_hinting();
  EXPECT_EQ(guest.serve(kFreePageVq, {{kData, 8}}), 0U);
  EXPECT_EQ(host.take(), std::vector{Error(BalloonError::kCommandLength, 8, 4)});
  EXPECT_EQ(guest.serve(kFreePageVq, {{kData, 0}}), 0U);
  EXPECT_EQ(host.take(), std::vector{Error(BalloonError::kNoPages)});
  guest.write(kData, std::vector<le32>{2});
  EXPECT_EQ(guest.serve(kFreePageVq, {{kData, 4}, {kMore, 0x1000, true}}), 0U);
  EXPECT_EQ(backend.hinted.size(), 1U);
}

TEST_P(BalloonTest, QueuesAreNumberedAsTheSpecificationSays) {
  guest.start(kReport, {0, 1, 4});
  EXPECT_EQ(guest.serve(4, {{kData, 0x1000, true}}), 0U);
  EXPECT_EQ(backend.reported.size(), 1U);
}

TEST_P(BalloonTest, QueuesAreNumberedAsLinuxCountsThem) {
  guest.start(kReport, {0, 1, 2});
  EXPECT_EQ(guest.serve(2, {{kData, 0x1000, true}}), 0U);
  EXPECT_EQ(backend.reported.size(), 1U);
  guest.start(kStats | kReport, {0, 1, 2, 3});
  EXPECT_EQ(guest.serve(3, {{kData, 0x1000, true}}), 0U);
  EXPECT_EQ(backend.reported.size(), 2U);
  give({stat(0, 1)});
  EXPECT_EQ(backend.heard.size(), 1U);
  const auto saved = lifecycle.save().value();
  ASSERT_TRUE(lifecycle.restore(saved));
  EXPECT_EQ(guest.serve(3, {{kData, 0x1000, true}}), 0U);
  EXPECT_EQ(backend.reported.size(), 3U);
}

TEST_P(BalloonTest, AQueueThatDoesNotExistGivesItsBuffersBack) {
  guest.start(kReport, {0, 1, 2, 3});
  EXPECT_EQ(guest.serve(3, {{kData, 0x1000, true}}), 0U);
  EXPECT_EQ(host.take(),
            std::vector{Error(BalloonError::kNoQueue, 3, lifecycle.driver_features())});
  EXPECT_TRUE(backend.hinted.empty());
}

TEST_P(BalloonTest, TheHostAsksForPagesAndTheDriverSaysHowManyItGave) {
  start();
  EXPECT_EQ(read_config(0), 0U);
  device.set_target(100);
  EXPECT_EQ(read_config(0), 100U);
  EXPECT_EQ(interrupts.config, 1);
  EXPECT_EQ(lifecycle.config_generation(), 1U);
  ASSERT_TRUE(write_config(4, 70));
  EXPECT_EQ(device.actual(), 70U);
  lifecycle.reset();
  EXPECT_EQ(device.actual(), 0U);
  EXPECT_EQ(device.target(), 100U);
}

TEST_P(BalloonTest, OnlyWhatIsTheDriversCanBeWritten) {
  start();
  EXPECT_EQ(write_config(0, 1).error(), Error(DeviceError::kConfigReadOnly, 0));
  EXPECT_EQ(write_config(2, 1).error(), Error(DeviceError::kConfigReadOnly, 2));
  EXPECT_EQ(write_config(6, 1).error(), Error(DeviceError::kConfigReadOnly, 8));
  EXPECT_EQ(write_config(8, 1).error(), Error(DeviceError::kConfigReadOnly, 8));
  EXPECT_EQ(write_config(12, 1).error(), Error(DeviceError::kConfigReadOnly, 12));
  EXPECT_EQ(device.actual(), 0U);
  const std::array<std::byte, 1> high{std::byte{2}};
  ASSERT_TRUE(lifecycle.write_config(7, high));
  EXPECT_EQ(device.actual(), 0x2000000U);
}

TEST_P(BalloonTest, AStateThatNoDriverCanReachIsRefused) {
  start();
  device.start_hinting();
  EXPECT_TRUE(command(2).empty());
  device.set_target(5);
  const auto saved = lifecycle.save().value();
  const auto own = saved.size() - 24;
  ASSERT_TRUE(lifecycle.restore(saved));
  EXPECT_EQ(lifecycle.save().value(), saved);
  const auto refusal = [&](std::size_t offset, std::uint8_t value) {
    auto bytes = saved;
    bytes.at(own + offset) = std::byte{value};
    const auto restored = lifecycle.restore(bytes);
    EXPECT_FALSE(restored);
    return restored ? Error(DeviceStateError::kBytes) : restored.error();
  };
  const auto wrong = [](std::uint64_t value, std::size_t offset) {
    return Error(DeviceStateError::kDevice, value, offset);
  };
  EXPECT_EQ(refusal(8, 3), wrong(3, 8));
  EXPECT_EQ(refusal(8, 1), wrong(1, 21));
  EXPECT_EQ(refusal(12, 9), wrong(9, 12));
  EXPECT_EQ(refusal(20, 2), wrong(2, 20));
  EXPECT_EQ(refusal(21, 2), wrong(2, 21));
  EXPECT_EQ(refusal(22, 2), wrong(2, 22));
  EXPECT_EQ(refusal(23, 1), wrong(1, 23));
  auto longer = saved;
  longer.push_back(std::byte{});
  longer[8] = std::byte(longer.size());
  longer[9] = std::byte(longer.size() >> 8);
  EXPECT_EQ(lifecycle.restore(longer).error(), Error(DeviceStateError::kLength, 25, 24));
  ASSERT_TRUE(lifecycle.restore(saved));
}

TEST_P(BalloonTest, CommandIdsStartAgainAboveTheReservedOnes) {
  start();
  device.start_hinting();
  auto saved = lifecycle.save().value();
  const auto own = saved.size() - 24;
  for (const std::size_t field : {8, 16})
    for (std::size_t i = 0; i < 4; ++i) saved[own + field + i] = std::byte{0xff};
  ASSERT_TRUE(lifecycle.restore(saved));
  device.start_hinting();
  EXPECT_EQ(read_config(8), 2U);
}

}  // namespace
}  // namespace guestproof::virtio::balloon
