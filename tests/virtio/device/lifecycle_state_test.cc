#include <cstring>

#include "virtio/device/lifecycle_fixture.h"

namespace guestproof::virtio {
namespace {

class LifecycleStateTest : public LifecycleFixture {
 protected:
  // Where the fields lie, see lifecycle.cc.
  static constexpr std::size_t kDeviceId = 12, kFeatures = 16, kStatus = 28, kStarted = 29,
                               kReserved = 30, kFirstQueue = 32, kQueueBytes = 56,
                               kOwn = kFirstQueue + 2 * kQueueBytes;

  [[nodiscard]] std::vector<std::byte> saved() { return lifecycle.save().value(); }
  /// The error that restoring gives when one byte is another.
  [[nodiscard]] Error refusal(std::vector<std::byte> bytes, std::size_t offset,
                              std::uint8_t value) {
    bytes.at(offset) = std::byte{value};
    const auto restored = lifecycle.restore(bytes);
    EXPECT_FALSE(restored);
    EXPECT_EQ(lifecycle.status(), 0);
    EXPECT_FALSE(lifecycle.running());
    return restored ? Error(DeviceStateError::kBytes) : restored.error();
  }
};

TEST_F(LifecycleStateTest, ARunningDeviceGoesOnElsewhere) {
  run();
  std::array<std::byte, 1> byte{};
  ASSERT_TRUE(lifecycle.read_config(0, byte));
  device.fields[4] = std::byte{0x77};
  device.driver->config_changed();
  const auto bytes = saved();

  NotingDevice second;
  DeviceLifecycle<Memory> there(second, memory, host);
  ASSERT_TRUE(there.restore(bytes));
  EXPECT_TRUE(there.running());
  EXPECT_EQ(there.driver_features(), kVersion1);
  EXPECT_EQ(there.config_generation(), 1U);
  EXPECT_EQ(second.fields[4], std::byte{0x77});
  EXPECT_EQ(second.notes, (std::vector<std::string>{"reset", "start", "restore"}));
  EXPECT_TRUE(there.queue(0).active());
  EXPECT_EQ(there.queue(1).size(), 16);
  EXPECT_EQ(there.save().value(), bytes);
  second.fields[4] = std::byte{0x78};
  ASSERT_TRUE(there.read_config(0, byte));
  EXPECT_EQ(there.config_generation(), 2U);
}

TEST_F(LifecycleStateTest, WhatWasKickedBeforeIsServedAfter) {
  run();
  testing::Driver driver(guest, layouts[0]);
  driver.add_chain({{GuestAddress(0x4000), 4, true}});
  ASSERT_TRUE(lifecycle.kick(0));
  const auto bytes = saved();
  ASSERT_TRUE(lifecycle.restore(bytes));
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_EQ(driver.used_index(), 1);
}

TEST_F(LifecycleStateTest, IsRestoredWhileMemoryIsOutOfReachAndServedLater) {
  run();
  testing::Driver driver(guest, layouts[0]);
  driver.add_chain({{GuestAddress(0x4000), 4, true}});
  lifecycle.set_memory_access(false);
  ASSERT_TRUE(lifecycle.kick(0));
  memory.clear_log();
  const auto bytes = saved();
  ASSERT_TRUE(lifecycle.restore(bytes));
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_EQ(host.wakes, 0);
  EXPECT_TRUE(memory.fetches().empty());
  EXPECT_TRUE(memory.writes().empty());
  lifecycle.set_memory_access(true);
  EXPECT_EQ(host.wakes, 1);
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_EQ(driver.used_index(), 1);
}

TEST_F(LifecycleStateTest, WhatIsGoingOnEndsBeforeTheDeviceIsSaved) {
  run();
  device.notifies_last = true;
  EXPECT_FALSE(saved().empty());
  EXPECT_EQ(device.notes, (std::vector<std::string>{"start", "settle"}));
  EXPECT_EQ(interrupts.used, std::vector<std::uint16_t>{0});
}

TEST_F(LifecycleStateTest, EveryStateOfALifeIsSavedAndRestored) {
  const auto round_trip = [&] {
    const auto bytes = saved();
    ASSERT_TRUE(lifecycle.restore(bytes));
    EXPECT_EQ(saved(), bytes);
  };
  round_trip();
  ASSERT_TRUE(lifecycle.set_status(kDriving));
  ASSERT_TRUE(lifecycle.set_driver_features(1, 1 | 1U << (VIRTIO_F_RING_RESET - 32)));
  round_trip();
  ASSERT_TRUE(lifecycle.set_status(kAgreed));
  ASSERT_TRUE(lifecycle.set_queue_size(1, 2));
  set_up(0, layouts[0]);
  round_trip();
  EXPECT_EQ(lifecycle.queue_config(1)->size(), 2);
  ASSERT_TRUE(lifecycle.set_status(kRunning));
  round_trip();
  ASSERT_TRUE(lifecycle.reset_queue(1));
  round_trip();
  EXPECT_TRUE(lifecycle.set_queue_size(1, 4));
  ASSERT_TRUE(lifecycle.disable_queue(0));
  round_trip();
  EXPECT_EQ(lifecycle.enable_queue(0).error(), DeviceError::kQueueStopped);
  ASSERT_TRUE(lifecycle.set_status(kRunning | VIRTIO_STATUS_FAILED));
  round_trip();
}

TEST_F(LifecycleStateTest, ADeviceThatNeedsAResetStillDoes) {
  run();
  testing::Driver driver(guest, layouts[0]);
  driver.set_available_index(9);
  ASSERT_TRUE(lifecycle.kick(0));
  ASSERT_FALSE(lifecycle.work());
  const auto bytes = saved();
  ASSERT_TRUE(lifecycle.restore(bytes));
  EXPECT_EQ(lifecycle.status(), kRunning | VIRTIO_STATUS_DEVICE_NEEDS_RESET);
  EXPECT_FALSE(lifecycle.running());
}

// A device whose queue has broken needs a reset: one that is said to run would wait for what its
// back end brings, and for nothing else.
TEST_F(LifecycleStateTest, ABrokenQueueOfADeviceThatNeedsNoResetIsRefused) {
  run();
  const auto works = saved();
  const auto ring_flags = std::to_integer<std::uint8_t>(works[kFirstQueue + 8 + 12]);
  EXPECT_EQ(refusal(works, kFirstQueue + 8 + 12, ring_flags | 8),
            Error(DeviceStateError::kQueueBroken, 0, kRunning));
  run();
  testing::Driver driver(guest, layouts[0]);
  driver.set_available_index(9);
  ASSERT_TRUE(lifecycle.kick(0));
  ASSERT_FALSE(lifecycle.work());
  EXPECT_EQ(refusal(saved(), kStatus, kRunning),
            Error(DeviceStateError::kQueueBroken, 0, kRunning));
}

// Nor has one that could not be started a ring that could have broken.
TEST_F(LifecycleStateTest, ABrokenQueueOfADeviceThatWasNotStartedIsRefused) {
  ASSERT_TRUE(lifecycle.set_status(kDriving));
  ASSERT_TRUE(lifecycle.set_driver_features(1, 1));
  ASSERT_TRUE(lifecycle.set_status(kAgreed));
  set_up(0, testing::QueueLayout::at(GuestAddress(0x40000000), 8));
  ASSERT_FALSE(lifecycle.set_status(kRunning));
  const auto bytes = saved();
  const auto ring_flags = std::to_integer<std::uint8_t>(bytes[kFirstQueue + 8 + 12]);
  EXPECT_EQ(refusal(bytes, kFirstQueue + 8 + 12, ring_flags | 8),
            Error(DeviceStateError::kQueueBroken, 0, kRunning | VIRTIO_STATUS_DEVICE_NEEDS_RESET));
}

TEST_F(LifecycleStateTest, BytesThatAreNoStateAreRefusedByTheirField) {
  run();
  const auto bytes = saved();
  EXPECT_EQ(refusal(bytes, 0, 0), DeviceStateError::kMagic);
  EXPECT_EQ(refusal(bytes, 4, 2), Error(DeviceStateError::kVersion, 2, 1));
  EXPECT_EQ(refusal(bytes, 6, 1), Error(DeviceStateError::kQueueCount, 1, 2));
  EXPECT_EQ(refusal(bytes, 8, 0), DeviceStateError::kLength);
  EXPECT_EQ(refusal(bytes, kDeviceId, 43), Error(DeviceStateError::kDeviceId, 43, 42));
  EXPECT_EQ(refusal(bytes, kFeatures, 4), DeviceStateError::kFeatures);
  EXPECT_EQ(refusal(bytes, kFeatures, 1), DeviceStateError::kFeatures);  // 0 without 1
  EXPECT_EQ(refusal(bytes, kReserved, 1), DeviceStateError::kReserved);
  for (const int status : {0, 2, 4, 8, 5, 7, 16, 32, 11, 64})
    EXPECT_EQ(refusal(bytes, kStatus, static_cast<std::uint8_t>(status)), DeviceStateError::kStatus)
        << status;
  EXPECT_EQ(refusal(bytes, kStarted, 0), DeviceStateError::kStatus);
  EXPECT_EQ(refusal(bytes, kStarted, 2), DeviceStateError::kStatus);
}

TEST_F(LifecycleStateTest, QueuesThatContradictTheRestAreRefused) {
  run(kVersion1 | feature_bit(VIRTIO_F_RING_RESET));
  const auto bytes = saved();
  for (const int flags : {0, 2, 3, 8, 0x81})
    EXPECT_EQ(refusal(bytes, kFirstQueue, static_cast<std::uint8_t>(flags)),
              DeviceStateError::kQueueFlags)
        << flags;
  EXPECT_EQ(refusal(bytes, kFirstQueue + 7, 1), DeviceStateError::kQueueFlags);
  EXPECT_EQ(refusal(bytes, kFirstQueue + 8, 0), QueueStateError::kMagic);
  EXPECT_EQ(refusal(bytes, kFirstQueue + 8 + 8, 16), QueueStateError::kMaxSize);
  EXPECT_EQ(refusal(bytes, kFirstQueue + 8 + 12, 1 | 2), DeviceStateError::kQueue);
}

TEST_F(LifecycleStateTest, AQueueBeforeFeaturesOkIsAsItBegan) {
  const auto bytes = saved();
  EXPECT_EQ(refusal(bytes, kFirstQueue + 8 + 10, 4), DeviceStateError::kQueueFlags);
}

TEST_F(LifecycleStateTest, StateThatIsCutOrTooLongIsRefused) {
  run();
  auto bytes = saved();
  for (std::size_t size = 0; size < kOwn; ++size)
    EXPECT_EQ(lifecycle.restore(std::span(bytes).first(size)).error(),
              Error(DeviceStateError::kBytes, size, kOwn));
  EXPECT_EQ(lifecycle.restore(std::span(bytes).first(kOwn)).error(), DeviceStateError::kLength);
  bytes.push_back(std::byte{0});
  EXPECT_EQ(lifecycle.restore(bytes).error(), DeviceStateError::kLength);
}

TEST_F(LifecycleStateTest, TheDevicesOwnPartIsTheDevices) {
  run();
  auto bytes = saved();
  bytes.push_back(std::byte{0});
  bytes[8] = std::byte(bytes.size());
  EXPECT_EQ(lifecycle.restore(bytes).error(), Error(DeviceStateError::kDevice, 2, 1));
  EXPECT_FALSE(lifecycle.running());
  EXPECT_EQ(device.notes.back(), "reset");
}

}  // namespace
}  // namespace guestproof::virtio
