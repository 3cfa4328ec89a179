#include "guestproof/virtio/device/lifecycle.h"

#include "virtio/device/lifecycle_fixture.h"

namespace guestproof::virtio {
namespace {

using LifecycleTest = LifecycleFixture;
using Notes = std::vector<std::string>;

TEST_F(LifecycleTest, ADriverThatFollowsTheStepsGetsARunningDevice) {
  EXPECT_EQ(lifecycle.status(), 0);
  EXPECT_FALSE(lifecycle.running());
  run();
  EXPECT_EQ(lifecycle.status(), kRunning);
  EXPECT_TRUE(lifecycle.running());
  EXPECT_EQ(device.notes, Notes{"start"});
  EXPECT_EQ(device.driver->features(), kVersion1);
}

TEST_F(LifecycleTest, AllStepsMayComeInOneWrite) {
  ASSERT_TRUE(lifecycle.set_status(kDriving));
  ASSERT_TRUE(lifecycle.set_driver_features(1, 1));
  ASSERT_TRUE(lifecycle.set_status(kRunning));
  EXPECT_TRUE(lifecycle.running());
}

TEST_F(LifecycleTest, AStepWithoutTheOneBeforeIsRefusedAndTheStatusStays) {
  EXPECT_EQ(lifecycle.set_status(VIRTIO_STATUS_DRIVER).error(),
            Error(DeviceError::kStatusOrder, VIRTIO_STATUS_DRIVER, kAck));
  EXPECT_EQ(lifecycle.status(), 0);
  ASSERT_TRUE(lifecycle.set_status(kDriving));
  EXPECT_EQ(lifecycle.set_status(kDriving | VIRTIO_STATUS_DRIVER_OK).error(),
            DeviceError::kStatusOrder);
  EXPECT_EQ(lifecycle.status(), kDriving);
}

TEST_F(LifecycleTest, BitsAreNotClearedAndUnknownOnesNotSet) {
  ASSERT_TRUE(lifecycle.set_status(kDriving));
  EXPECT_EQ(lifecycle.set_status(kAck).error(), Error(DeviceError::kStatusCleared, kAck, kDriving));
  EXPECT_EQ(lifecycle.set_status(kDriving | 16).error(), DeviceError::kStatusUnknown);
  EXPECT_EQ(lifecycle.status(), kDriving);
}

TEST_F(LifecycleTest, FeaturesAreOpenBetweenDriverAndFeaturesOk) {
  EXPECT_EQ(lifecycle.set_driver_features(0, 1).error(), DeviceError::kFeaturesClosed);
  agree();
  EXPECT_EQ(lifecycle.set_driver_features(0, 1).error(),
            Error(DeviceError::kFeaturesClosed, kAgreed));
  EXPECT_EQ(lifecycle.driver_features(), kVersion1);
}

TEST_F(LifecycleTest, WordsOfFeaturesThatThereAreNotTakeOnlyZero) {
  ASSERT_TRUE(lifecycle.set_status(kDriving));
  EXPECT_TRUE(lifecycle.set_driver_features(2, 0));
  EXPECT_EQ(lifecycle.set_driver_features(2, 4).error(), Error(DeviceError::kFeatureWord, 2, 2));
}

TEST_F(LifecycleTest, FeaturesOkDoesNotStickToFeaturesThatDoNotWork) {
  const auto refuse = [&](std::uint64_t features) {
    lifecycle.reset();
    EXPECT_TRUE(lifecycle.set_status(kDriving));
    EXPECT_TRUE(lifecycle.set_driver_features(0, static_cast<std::uint32_t>(features)));
    EXPECT_TRUE(lifecycle.set_driver_features(1, static_cast<std::uint32_t>(features >> 32)));
    const auto refused = lifecycle.set_status(kAgreed);
    EXPECT_EQ(lifecycle.status(), kDriving);
    return refused.error();
  };
  EXPECT_EQ(refuse(kVersion1 | 4),
            Error(DeviceError::kFeaturesNotOffered, 4, lifecycle.device_features()));
  EXPECT_EQ(refuse(2), Error(DeviceError::kVersion1, 2));
  EXPECT_EQ(refuse(kVersion1 | 1), Error(DeviceError::kFeatureNeeds, 0, 1));
}

TEST_F(LifecycleTest, FailedIsForGood) {
  run();
  ASSERT_TRUE(lifecycle.set_status(kRunning | VIRTIO_STATUS_FAILED));
  EXPECT_FALSE(lifecycle.running());
  EXPECT_EQ(lifecycle.kick(0).error(), DeviceError::kNotRunning);
  lifecycle.reset();
  ASSERT_TRUE(lifecycle.set_status(VIRTIO_STATUS_FAILED));
  EXPECT_EQ(lifecycle.set_status(VIRTIO_STATUS_FAILED | kAck).error(), DeviceError::kStatusFailed);
  ASSERT_TRUE(lifecycle.set_status(0));
  EXPECT_TRUE(lifecycle.set_status(kAck));
}

TEST_F(LifecycleTest, QueuesAreConfiguredBetweenFeaturesOkAndDriverOk) {
  ASSERT_TRUE(lifecycle.set_status(kDriving));
  EXPECT_EQ(lifecycle.set_queue_size(0, 8).error(), Error(DeviceError::kQueueLocked, 0, kDriving));
  lifecycle.reset();
  run();
  EXPECT_EQ(lifecycle.set_queue_size(0, 4).error(), DeviceError::kQueueLocked);
  EXPECT_EQ(lifecycle.set_descriptor_area(0, GuestAddress(0)).error(), DeviceError::kQueueLocked);
  EXPECT_EQ(lifecycle.enable_queue(0).error(), DeviceError::kQueueLocked);
  EXPECT_EQ(lifecycle.queue_config(0)->size(), 8);
}

TEST_F(LifecycleTest, AQueueThatThereIsNotIsNowhere) {
  agree();
  EXPECT_EQ(lifecycle.queue_config(2), nullptr);
  EXPECT_EQ(lifecycle.queue_config(0x10000), nullptr);
  EXPECT_EQ(lifecycle.set_queue_size(0x10000, 8).error(),
            Error(DeviceError::kQueueIndex, 0x10000, 2));
  EXPECT_EQ(lifecycle.disable_queue(2).error(), DeviceError::kQueueIndex);
  EXPECT_EQ(lifecycle.kick(2).error(), DeviceError::kQueueIndex);
}

TEST_F(LifecycleTest, ASizeOfMoreThan16BitsIsNotCutToThem) {
  agree();
  EXPECT_EQ(lifecycle.set_queue_size(0, 0x10008).error(),
            Error(DeviceError::kQueueSize, 0x10008, 32768));
  EXPECT_EQ(lifecycle.queue_config(0)->size(), 8);
}

TEST_F(LifecycleTest, APackedRingTakesSizesThatASplitOneDoesNot) {
  agree(kVersion1 | feature_bit(VIRTIO_F_RING_PACKED));
  EXPECT_TRUE(lifecycle.set_queue_size(0, 7));
  lifecycle.reset();
  agree();
  EXPECT_EQ(lifecycle.set_queue_size(0, 7).error(), QueueConfigError::kSizeNotPowerOfTwo);
}

TEST_F(LifecycleTest, ADeviceWhoseQueueIsNotInMemoryNeedsAReset) {
  agree();
  set_up(0, testing::QueueLayout::at(GuestAddress(0x1000), 8));
  set_up(1, testing::QueueLayout::at(GuestAddress(0x7ff0), 16));
  EXPECT_EQ(lifecycle.set_status(kRunning).error(), QueueConfigError::kDescriptorTableRange);
  EXPECT_EQ(lifecycle.status(), kRunning | VIRTIO_STATUS_DEVICE_NEEDS_RESET);
  EXPECT_EQ(interrupts.config, 1);
  EXPECT_FALSE(lifecycle.running());
  EXPECT_FALSE(lifecycle.queue(0).active());
  EXPECT_EQ(device.notes, Notes{"reset"});
}

TEST_F(LifecycleTest, AKickIsServedByWorkAndTheDriverIsNotified) {
  run();
  testing::Driver driver(guest, layouts[1]);
  driver.add_chain({{GuestAddress(0x4000), 4, true}});
  ASSERT_TRUE(lifecycle.kick(1));
  EXPECT_EQ(host.wakes, 1);
  EXPECT_EQ(driver.used_index(), 0);
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_EQ(driver.used_index(), 1);
  EXPECT_EQ(interrupts.used, std::vector<std::uint16_t>{1});
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_EQ(device.notes, (Notes{"start", "serve 1"}));
}

TEST_F(LifecycleTest, ADeviceThatHasMoreToDoIsCalledAgain) {
  run();
  device.again = true;
  ASSERT_TRUE(lifecycle.kick(0));
  EXPECT_TRUE(lifecycle.work().value());
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_EQ(device.notes, (Notes{"start", "serve 0", "serve 0"}));
}

TEST_F(LifecycleTest, AKickForAQueueThatIsNotEnabledIsIgnored) {
  agree();
  set_up(0, layouts[0]);
  EXPECT_EQ(lifecycle.kick(0).error(), Error(DeviceError::kNotRunning, 0, kAgreed));
  ASSERT_TRUE(lifecycle.set_status(kRunning));
  EXPECT_EQ(lifecycle.kick(1).error(), Error(DeviceError::kQueueNotReady, 1));
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_EQ(device.notes, Notes{"start"});
}

TEST_F(LifecycleTest, ABrokenQueueMakesTheDeviceNeedAReset) {
  run();
  testing::Driver driver(guest, layouts[0]);
  driver.set_available_index(9);
  ASSERT_TRUE(lifecycle.kick(0));
  EXPECT_EQ(lifecycle.work().error(), QueueError::kAvailIndex);
  EXPECT_EQ(lifecycle.status(), kRunning | VIRTIO_STATUS_DEVICE_NEEDS_RESET);
  EXPECT_EQ(interrupts.config, 1);
  EXPECT_EQ(lifecycle.kick(1).error(), DeviceError::kNotRunning);
  EXPECT_FALSE(lifecycle.host_ready().value());
  ASSERT_TRUE(lifecycle.set_status(0));
  run();
  EXPECT_TRUE(lifecycle.running());
}

TEST_F(LifecycleTest, WhatTheDriverWritesToNeedsResetIsIgnored) {
  ASSERT_TRUE(lifecycle.set_status(kAck | VIRTIO_STATUS_DEVICE_NEEDS_RESET));
  EXPECT_EQ(lifecycle.status(), kAck);
}

TEST_F(LifecycleTest, AMalformedRequestIsReportedToTheHost) {
  run();
  testing::Driver driver(guest, layouts[0]);
  driver.write_descriptor(0, GuestAddress(0x4000), 4, VIRTQ_DESC_F_NEXT, 8);
  driver.publish(0);
  ASSERT_TRUE(lifecycle.kick(0));
  EXPECT_FALSE(lifecycle.work().value());
  ASSERT_EQ(host.refusals.size(), 1U);
  EXPECT_EQ(host.refusals[0], Error(ChainError::kNextIndex, 8, 8));
}

TEST_F(LifecycleTest, ResetForgetsEverythingFromEveryState) {
  for (const std::uint8_t status : {std::uint8_t{0}, kAck, kDriving, kAgreed, kRunning}) {
    SCOPED_TRACE(int{status});
    device.notes.clear();
    if (status >= kAgreed) agree();
    if (status == kRunning) set_up(0, layouts[0]);
    ASSERT_TRUE(lifecycle.set_status(status == 0 ? kAck : status));
    ASSERT_TRUE(lifecycle.set_status(0));
    EXPECT_EQ(lifecycle.status(), 0);
    EXPECT_EQ(lifecycle.driver_features(), 0U);
    EXPECT_FALSE(lifecycle.queue_config(0)->ready());
    EXPECT_EQ(device.driver->features(), 0U);
    EXPECT_EQ(device.notes.back(), "reset");
  }
}

TEST_F(LifecycleTest, AQueueIsResetByItselfAndConfiguredAnew) {
  run(kVersion1 | feature_bit(VIRTIO_F_RING_RESET));
  ASSERT_TRUE(lifecycle.kick(0));
  ASSERT_TRUE(lifecycle.reset_queue(0));
  EXPECT_EQ(device.notes, (Notes{"start", "stop 0"}));
  EXPECT_FALSE(lifecycle.queue_config(0)->ready());
  EXPECT_FALSE(lifecycle.work().value());  // the kick is forgotten
  EXPECT_EQ(lifecycle.kick(0).error(), DeviceError::kQueueNotReady);
  set_up(0, testing::QueueLayout::at(GuestAddress(0x3000), 4));
  EXPECT_EQ(lifecycle.queue(0).size(), 4);
  EXPECT_TRUE(lifecycle.kick(0));
  EXPECT_EQ(lifecycle.set_queue_size(1, 4).error(), DeviceError::kQueueLocked);
}

TEST_F(LifecycleTest, AQueueThatIsEnabledAgainOutsideMemoryMakesTheDeviceNeedAReset) {
  run(kVersion1 | feature_bit(VIRTIO_F_RING_RESET));
  ASSERT_TRUE(lifecycle.reset_queue(0));
  const auto nowhere = testing::QueueLayout::at(GuestAddress(0x10000), 4);
  ASSERT_TRUE(lifecycle.set_descriptor_area(0, nowhere.descriptor_table));
  ASSERT_TRUE(lifecycle.set_driver_area(0, nowhere.available_ring));
  ASSERT_TRUE(lifecycle.set_device_area(0, nowhere.used_ring));
  ASSERT_TRUE(lifecycle.set_queue_size(0, 4));
  EXPECT_EQ(lifecycle.enable_queue(0).error(), QueueConfigError::kDescriptorTableRange);
  EXPECT_FALSE(lifecycle.queue_config(0)->ready());
  EXPECT_FALSE(lifecycle.running());
}

TEST_F(LifecycleTest, AQueueIsResetByItselfOnlyWhenThatWasNegotiated) {
  run();
  EXPECT_EQ(lifecycle.reset_queue(0).error(), DeviceError::kRingResetNotNegotiated);
  lifecycle.reset();
  ASSERT_TRUE(lifecycle.set_status(kDriving));
  ASSERT_TRUE(lifecycle.set_driver_features(1, 1U << (VIRTIO_F_RING_RESET - 32)));
  EXPECT_EQ(lifecycle.reset_queue(0).error(), DeviceError::kRingResetNotNegotiated);
}

TEST_F(LifecycleTest, AQueueIsResetBeforeTheDeviceRuns) {
  agree(kVersion1 | feature_bit(VIRTIO_F_RING_RESET));
  set_up(0, layouts[0]);
  ASSERT_TRUE(lifecycle.reset_queue(0));
  EXPECT_FALSE(lifecycle.queue_config(0)->ready());
  EXPECT_EQ(lifecycle.queue_config(0)->descriptor_table(), GuestAddress());
  EXPECT_TRUE(device.notes.empty());
  ASSERT_TRUE(lifecycle.set_status(kRunning));
  EXPECT_FALSE(lifecycle.queue(0).active());
  EXPECT_EQ(lifecycle.enable_queue(0).error(), DeviceError::kQueueLocked);
}

// A driver waits until queue_enable reads as 0.
TEST_F(LifecycleTest, AQueueIsResetWhenTheDeviceNeedsAResetAndWhenTheDriverHasFailed) {
  run(kVersion1 | feature_bit(VIRTIO_F_RING_RESET));
  testing::Driver driver(guest, layouts[0]);
  driver.set_available_index(9);
  ASSERT_TRUE(lifecycle.kick(0));
  ASSERT_FALSE(lifecycle.work());
  ASSERT_TRUE(lifecycle.reset_queue(0));
  EXPECT_EQ(device.notes.back(), "stop 0");
  EXPECT_FALSE(lifecycle.queue(0).active());
  EXPECT_FALSE(lifecycle.queue_config(0)->ready());
  ASSERT_TRUE(lifecycle.set_status(kRunning | VIRTIO_STATUS_FAILED));
  EXPECT_TRUE(lifecycle.reset_queue(0));
}

TEST_F(LifecycleTest, AQueueIsResetThatTheDeviceCouldNotStart) {
  agree(kVersion1 | feature_bit(VIRTIO_F_RING_RESET));
  set_up(0, testing::QueueLayout::at(GuestAddress(0x10000), 4));
  ASSERT_FALSE(lifecycle.set_status(kRunning));
  ASSERT_TRUE(lifecycle.reset_queue(0));
  EXPECT_FALSE(lifecycle.queue_config(0)->ready());
  EXPECT_EQ(lifecycle.enable_queue(0).error(), DeviceError::kQueueLocked);
  const auto saved = lifecycle.save().value();
  EXPECT_TRUE(lifecycle.restore(saved));
}

TEST_F(LifecycleTest, AQueueThatIsDisabledWhileTheDeviceRunsStaysSo) {
  run();
  ASSERT_TRUE(lifecycle.disable_queue(0));
  EXPECT_EQ(device.notes, (Notes{"start", "stop 0"}));
  EXPECT_FALSE(lifecycle.queue(0).active());
  EXPECT_EQ(lifecycle.enable_queue(0).error(), Error(DeviceError::kQueueStopped, 0));
  EXPECT_TRUE(lifecycle.disable_queue(0));
  EXPECT_TRUE(lifecycle.running());
}

TEST_F(LifecycleTest, AQueueThatIsDisabledBeforeKeepsItsConfiguration) {
  agree();
  set_up(0, layouts[0]);
  ASSERT_TRUE(lifecycle.disable_queue(0));
  EXPECT_FALSE(lifecycle.queue_config(0)->ready());
  EXPECT_TRUE(lifecycle.enable_queue(0));
  ASSERT_TRUE(lifecycle.set_status(kRunning));
  EXPECT_TRUE(lifecycle.queue(0).active());
}

TEST_F(LifecycleTest, TheConfigurationSpaceIsReadUpToItsEnd) {
  std::array<std::byte, 4> bytes{};
  EXPECT_TRUE(lifecycle.read_config(4, bytes));
  EXPECT_EQ(bytes[0], std::byte{5});
  bytes.fill(std::byte{0xff});
  EXPECT_EQ(lifecycle.read_config(6, bytes).error(), Error(DeviceError::kConfigRange, 8, 8));
  EXPECT_EQ(bytes, (std::array{std::byte{7}, std::byte{8}, std::byte{0}, std::byte{0}}));
  EXPECT_EQ(lifecycle.read_config(UINT64_MAX, bytes).error(),
            Error(DeviceError::kConfigRange, UINT64_MAX, 8));
  EXPECT_EQ(bytes[0], std::byte{0});
}

TEST_F(LifecycleTest, TheConfigurationSpaceIsWrittenWholeOrNotAtAll) {
  const std::array bytes{std::byte{0xaa}, std::byte{0xbb}};
  EXPECT_EQ(lifecycle.write_config(4, bytes).error(), DeviceError::kConfigEarly);
  agree();
  EXPECT_EQ(lifecycle.write_config(0, bytes).error(), DeviceError::kConfigReadOnly);
  EXPECT_EQ(lifecycle.write_config(7, bytes).error(), Error(DeviceError::kConfigRange, 8, 8));
  EXPECT_EQ(lifecycle.write_config(UINT64_MAX, bytes).error(), DeviceError::kConfigRange);
  EXPECT_EQ(device.fields[7], std::byte{8});
  EXPECT_TRUE(lifecycle.write_config(6, bytes));
  EXPECT_EQ(device.fields[7], std::byte{0xbb});
}

TEST_F(LifecycleTest, AChangedConfigurationIsNotified) {
  device.driver->config_changed();
  EXPECT_EQ(interrupts.config, 0);  // no driver is there to hear it
  run();
  device.driver->config_changed();
  EXPECT_EQ(interrupts.config, 1);
}

TEST_F(LifecycleTest, AConfigurationThatChangedBetweenTwoLooksIsANewGeneration) {
  std::array<std::byte, 1> byte{};
  const auto look = [&](std::uint64_t offset) {
    EXPECT_TRUE(lifecycle.read_config(offset, byte));
    return lifecycle.config_generation();
  };
  const auto first = look(0);
  EXPECT_EQ(look(1), first);
  // As often as an 8-bit generation takes to be the same again.
  for (int i = 0; i < 256; ++i) {
    device.fields[7] = static_cast<std::byte>(i + 1);
    device.driver->config_changed();
  }
  device.fields[7] = std::byte{99};
  EXPECT_EQ(lifecycle.config_generation(), first);
  EXPECT_EQ(look(0), first + 1);
  EXPECT_EQ(look(7), first + 1);
  // The driver's own changes are changes, too: another of its threads may be reading.
  agree();
  ASSERT_TRUE(lifecycle.write_config(7, byte));
  EXPECT_EQ(look(0), first + 1);
  byte[0] = std::byte{98};
  ASSERT_TRUE(lifecycle.write_config(7, byte));
  EXPECT_EQ(look(0), first + 2);
  // What is not there is no look.
  device.fields[7] = std::byte{97};
  EXPECT_FALSE(lifecycle.read_config(8, byte));
  EXPECT_EQ(lifecycle.config_generation(), first + 2);
}

TEST_F(LifecycleTest, TheBackEndIsServedWhileTheDeviceRuns) {
  EXPECT_FALSE(lifecycle.host_ready().value());
  EXPECT_TRUE(device.notes.empty());
  run();
  EXPECT_FALSE(lifecycle.host_ready().value());
  EXPECT_EQ(device.notes, (Notes{"start", "host"}));
  EXPECT_EQ(lifecycle.host_fd(), 7);
}

TEST_F(LifecycleTest, MemoryOutOfReachIsNeitherReadNorWritten) {
  run();
  testing::Driver driver(guest, layouts[1]);
  driver.add_chain({{GuestAddress(0x4000), 4, true}});
  lifecycle.set_memory_access(false);
  memory.clear_log();

  EXPECT_TRUE(lifecycle.kick(1));
  device.driver->again(0);
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_FALSE(lifecycle.host_ready().value());
  EXPECT_TRUE(lifecycle.running());
  EXPECT_FALSE(lifecycle.serving());
  EXPECT_EQ(host.wakes, 0);
  EXPECT_EQ(device.notes, (Notes{"start", "settle"}));
  EXPECT_TRUE(memory.fetches().empty());
  EXPECT_TRUE(memory.writes().empty());

  lifecycle.set_memory_access(true);
  EXPECT_EQ(host.wakes, 1);
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_EQ(driver.used_index(), 1);
  EXPECT_EQ(interrupts.used, std::vector<std::uint16_t>{1});
}

TEST_F(LifecycleTest, EveryQueueCountsAsKickedWhenMemoryIsBack) {
  run();
  ASSERT_TRUE(lifecycle.disable_queue(0));
  lifecycle.set_memory_access(false);
  lifecycle.set_memory_access(false);
  device.notes.clear();
  lifecycle.set_memory_access(true);
  lifecycle.set_memory_access(true);
  EXPECT_EQ(host.wakes, 1);
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_EQ(device.notes, Notes{"serve 1"});
}

TEST_F(LifecycleTest, TheDeviceIsStartedWhileMemoryIsOutOfReach) {
  lifecycle.set_memory_access(false);
  memory.clear_log();
  run(kVersion1 | feature_bit(VIRTIO_F_RING_RESET) | feature_bit(VIRTIO_F_RING_PACKED));
  ASSERT_TRUE(lifecycle.reset_queue(0));
  set_up(0, layouts[0]);
  EXPECT_TRUE(lifecycle.running());
  EXPECT_TRUE(lifecycle.queue(0).active());
  EXPECT_TRUE(memory.fetches().empty());
  EXPECT_TRUE(memory.writes().empty());
  EXPECT_EQ(host.wakes, 0);
  lifecycle.set_memory_access(true);
  EXPECT_EQ(host.wakes, 1);
}

TEST_F(LifecycleTest, AQueueOutsideMemoryIsFoundThoughThatIsOutOfReach) {
  lifecycle.set_memory_access(false);
  agree();
  set_up(0, testing::QueueLayout::at(GuestAddress(0x10000), 4));
  EXPECT_EQ(lifecycle.set_status(kRunning).error(), QueueConfigError::kDescriptorTableRange);
  lifecycle.set_memory_access(true);
  EXPECT_EQ(host.wakes, 0);
}

TEST_F(LifecycleTest, WhatIsGoingOnEndsAlsoWhereADeviceNeedsAReset) {
  run();
  ASSERT_TRUE(lifecycle.set_status(kRunning | VIRTIO_STATUS_FAILED));
  lifecycle.set_memory_access(false);
  EXPECT_EQ(device.notes, (Notes{"start", "settle"}));
  lifecycle.set_memory_access(true);
  EXPECT_EQ(host.wakes, 0);
}

TEST_F(LifecycleTest, WorkMakesUpForABackEndThatCameWhileMemoryWasOutOfReach) {
  run();
  ASSERT_TRUE(lifecycle.disable_queue(0));
  ASSERT_TRUE(lifecycle.disable_queue(1));
  lifecycle.set_memory_access(false);
  EXPECT_FALSE(lifecycle.host_ready().value());
  device.notes.clear();
  lifecycle.set_memory_access(true);
  EXPECT_EQ(host.wakes, 1);
  device.host_turn = true;
  EXPECT_TRUE(lifecycle.work().value());
  device.host_turn = false;
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_EQ(device.notes, (Notes{"host", "host"}));
}

TEST_F(LifecycleTest, ABackEndThatBreaksAQueueThenMakesTheDeviceNeedAReset) {
  run();
  lifecycle.set_memory_access(false);
  EXPECT_FALSE(lifecycle.host_ready().value());
  lifecycle.set_memory_access(true);
  device.notes.clear();
  device.host_turn = fail(QueueError::kHeadIndex, 9, 8);
  EXPECT_EQ(lifecycle.work().error(), Error(QueueError::kHeadIndex, 9, 8));
  EXPECT_FALSE(lifecycle.running());
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_EQ(device.notes, Notes{"host"});
}

TEST_F(LifecycleTest, AResetForgetsABackEndThatCameWhileMemoryWasOutOfReach) {
  run();
  lifecycle.set_memory_access(false);
  EXPECT_FALSE(lifecycle.host_ready().value());
  lifecycle.reset();
  EXPECT_FALSE(lifecycle.host_ready().value());
  run();
  EXPECT_FALSE(lifecycle.serving());
  device.notes.clear();
  lifecycle.set_memory_access(true);
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_EQ(device.notes, (Notes{"serve 0", "serve 1"}));
}

/// Says what every device has to say, and nothing more.
class PlainDevice final : public VirtioDevice<Memory> {
 public:
  [[nodiscard]] std::uint32_t device_id() const override { return 42; }
  [[nodiscard]] std::uint64_t features() const override { return 3; }
  [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override { return {}; }
  void attach(Driver<Memory>&) override {}
  void start() override {}
  [[nodiscard]] Result<bool> serve(std::uint16_t) override { return false; }
  void stop_queue(std::uint16_t) override {}
  void settle() override {}
  void reset() override {}
  [[nodiscard]] Result<void> save(std::vector<std::byte>&) override { return {}; }
  [[nodiscard]] Result<void> restore(std::span<const std::byte>) override { return {}; }
};

TEST_F(LifecycleTest, ADeviceNeedsNeitherConfigurationNorBackEnd) {
  PlainDevice plain;
  DeviceLifecycle<Memory> alone(plain, memory, host);
  ASSERT_TRUE(alone.set_status(kDriving));
  ASSERT_TRUE(alone.set_driver_features(0, 1));  // of any subset
  ASSERT_TRUE(alone.set_driver_features(1, 1));
  ASSERT_TRUE(alone.set_status(kRunning));
  EXPECT_TRUE(alone.running());
  EXPECT_EQ(alone.host_fd(), -1);
  EXPECT_FALSE(alone.host_ready().value());
  EXPECT_EQ(alone.config_bytes(), 0U);
  EXPECT_EQ(plain.write_config(2, {}).error(), Error(DeviceError::kConfigReadOnly, 2));
}

TEST_F(LifecycleTest, RingFeaturesReachTheQueues) {
  const auto features = [&](std::uint64_t accepted) {
    lifecycle.reset();
    run(kVersion1 | accepted);
    return lifecycle.queue(0).save().value().features;
  };
  EXPECT_EQ(features(0), QueueFeatures{});
  EXPECT_EQ(features(feature_bit(VIRTIO_F_INDIRECT_DESC)), QueueFeatures{.indirect = true});
  EXPECT_EQ(features(feature_bit(VIRTIO_F_EVENT_IDX)), QueueFeatures{.event_index = true});
  EXPECT_EQ(features(feature_bit(VIRTIO_F_RING_PACKED)), QueueFeatures{.packed = true});
  EXPECT_EQ(features(feature_bit(VIRTIO_F_IN_ORDER)), QueueFeatures{.in_order = true});
}

TEST_F(LifecycleTest, NotificationDataIsTheUpperHalf) {
  EXPECT_EQ(notified_queue(0, 0x10001), 0x10001U);
  EXPECT_EQ(notified_queue(feature_bit(VIRTIO_F_NOTIFICATION_DATA), 0x10001), 1U);
}

TEST_F(LifecycleTest, OnlyWhatWasAskedForIsOffered) {
  NotingDevice plain;
  const DeviceLifecycle<Memory> without(plain, memory, host, 0);
  EXPECT_EQ(without.device_features(), kVersion1 | 3);
  EXPECT_EQ(lifecycle.device_features(), kRingFeatures | 3);
}

TEST_F(LifecycleTest, ADestroyedLifeCycleLeavesAResetDevice) {
  NotingDevice other;
  {
    const DeviceLifecycle<Memory> brief(other, memory, host);
  }
  EXPECT_EQ(other.notes, Notes{"reset"});
}

}  // namespace
}  // namespace guestproof::virtio
