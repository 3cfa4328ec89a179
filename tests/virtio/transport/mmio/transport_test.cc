#include "guestproof/virtio/transport/mmio/transport.h"

#include "guestproof/base/endian.h"
#include "guestproof/virtio/transport/mmio/registers.h"
#include "virtio/device/lifecycle_fixture.h"

namespace guestproof::virtio {
namespace {

using namespace mmio;

class Line final : public InterruptLine {
 public:
  void set(bool asserted) override {
    level = asserted;
    edges += asserted;
  }
  bool level = false;
  int edges = 0;
};

class MmioTransportTest : public LifecycleFixture {
 protected:
  void SetUp() override {}

  [[nodiscard]] std::uint32_t read(std::uint64_t offset) {
    le32 value;
    const auto bytes = std::as_writable_bytes(std::span(&value, 1));
    EXPECT_TRUE(transport.read(offset, bytes)) << std::hex << offset;
    return value;
  }
  Result<void> write(std::uint64_t offset, std::uint32_t value) {
    const le32 wire(value);
    return transport.write(offset, std::as_bytes(std::span(&wire, 1)));
  }
  /// Up to FEATURES_OK.
  void agree_by_registers(std::uint64_t features = kVersion1) {
    ASSERT_TRUE(write(kStatusOffset, kDriving));
    for (const std::uint32_t word : {0U, 1U}) {
      ASSERT_TRUE(write(kDriverFeaturesSelOffset, word));
      ASSERT_TRUE(write(kDriverFeaturesOffset, static_cast<std::uint32_t>(features >> 32 * word)));
    }
    ASSERT_TRUE(write(kStatusOffset, kAgreed));
  }
  void set_up_by_registers(std::uint32_t index) {
    const auto& layout = layouts[index];
    ASSERT_TRUE(write(kQueueSelOffset, index));
    ASSERT_TRUE(write(kQueueSizeOffset, layout.size));
    const auto area = [&](std::uint32_t offset, GuestAddress address) {
      ASSERT_TRUE(write(offset, static_cast<std::uint32_t>(address.raw())));
      ASSERT_TRUE(write(offset + 4, static_cast<std::uint32_t>(address.raw() >> 32)));
    };
    area(kQueueDescLowOffset, layout.descriptor_table);
    area(kQueueDriverLowOffset, layout.available_ring);
    area(kQueueDeviceLowOffset, layout.used_ring);
    ASSERT_TRUE(write(kQueueReadyOffset, 1));
  }
  void run_by_registers(std::uint64_t features = kVersion1) {
    agree_by_registers(features);
    set_up_by_registers(0);
    set_up_by_registers(1);
    ASSERT_TRUE(write(kStatusOffset, kRunning));
  }

  static constexpr std::array kShared{
      SharedMemoryRegion{.id = 3, .base = GuestAddress(0x123456789000), .length = 0x100002000}};
  Line line;
  MmioTransport transport{lifecycle, line, kShared, 0x51455};
};

TEST_F(MmioTransportTest, SaysWhatItIs) {
  EXPECT_EQ(read(kMagicValueOffset), 0x74726976U);
  EXPECT_EQ(read(kVersionOffset), 2U);
  EXPECT_EQ(read(kDeviceIdOffset), 42U);
  EXPECT_EQ(read(kVendorIdOffset), 0x51455U);
}

TEST_F(MmioTransportTest, FeaturesAreReadWordByWord) {
  EXPECT_EQ(read(kDeviceFeaturesOffset), static_cast<std::uint32_t>(kRingFeatures | 3));
  ASSERT_TRUE(write(kDeviceFeaturesSelOffset, 1));
  EXPECT_EQ(read(kDeviceFeaturesOffset), static_cast<std::uint32_t>(kRingFeatures >> 32));
  ASSERT_TRUE(write(kDeviceFeaturesSelOffset, 2));
  EXPECT_EQ(read(kDeviceFeaturesOffset), 0U);
  ASSERT_TRUE(write(kDeviceFeaturesSelOffset, UINT32_MAX));
  EXPECT_EQ(read(kDeviceFeaturesOffset), 0U);
}

TEST_F(MmioTransportTest, ADriverBringsTheDeviceUp) {
  EXPECT_EQ(read(kQueueSizeMaxOffset), 8U);
  run_by_registers();
  EXPECT_EQ(read(kStatusOffset), kRunning);
  EXPECT_EQ(read(kQueueReadyOffset), 1U);
  EXPECT_TRUE(lifecycle.running());
  EXPECT_EQ(lifecycle.queue(1).size(), 16);
}

TEST_F(MmioTransportTest, MemoryIsAlwaysInReach) {
  run_by_registers();
  lifecycle.set_memory_access(false);
  const MmioTransport other(lifecycle, line);
  EXPECT_TRUE(lifecycle.serving());
}

TEST_F(MmioTransportTest, AQueueThatThereIsNotHasSizeZero) {
  ASSERT_TRUE(write(kQueueSelOffset, 0x10000));  // not queue 0
  EXPECT_EQ(read(kQueueSizeMaxOffset), 0U);
  EXPECT_EQ(read(kQueueReadyOffset), 0U);
  agree_by_registers();
  ASSERT_TRUE(write(kQueueSelOffset, 2));
  EXPECT_EQ(write(kQueueDescLowOffset, 0x1000).error(), DeviceError::kQueueIndex);
}

TEST_F(MmioTransportTest, UsedBuffersInterruptUntilAcknowledged) {
  run_by_registers();
  testing::Driver driver(guest, layouts[1]);
  driver.add_chain({{GuestAddress(0x4000), 4, true}});
  ASSERT_TRUE(write(kQueueNotifyOffset, 1));
  EXPECT_EQ(host.wakes, 1);
  EXPECT_FALSE(line.level);
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_TRUE(line.level);
  EXPECT_EQ(read(kInterruptStatusOffset), kInterruptUsedBuffer);
  ASSERT_TRUE(write(kInterruptAckOffset, kInterruptConfigurationChange));
  EXPECT_TRUE(line.level);
  ASSERT_TRUE(write(kInterruptAckOffset, kInterruptUsedBuffer));
  EXPECT_FALSE(line.level);
  EXPECT_EQ(read(kInterruptStatusOffset), 0U);
}

TEST_F(MmioTransportTest, EveryNotificationAssertsTheLineAnew) {
  run_by_registers();
  device.driver->notify_used(0);
  device.driver->notify_used(1);
  device.driver->config_changed();
  EXPECT_EQ(line.edges, 3);
  EXPECT_EQ(read(kInterruptStatusOffset), kInterruptUsedBuffer | kInterruptConfigurationChange);
}

TEST_F(MmioTransportTest, TheGenerationSaysThatTheConfigurationIsAnotherThanAtTheLastLook) {
  run_by_registers();
  EXPECT_EQ(read(kConfigOffset), 0x04030201U);
  const auto generation = read(kConfigGenerationOffset);
  device.fields[5] = std::byte{77};
  device.driver->config_changed();
  EXPECT_EQ(read(kConfigOffset + 4), 0x08074d05U);
  EXPECT_NE(read(kConfigGenerationOffset), generation);
}

TEST_F(MmioTransportTest, NotificationDataStandsAboveTheQueue) {
  run_by_registers(kVersion1 | feature_bit(VIRTIO_F_NOTIFICATION_DATA));
  EXPECT_TRUE(write(kQueueNotifyOffset, 0xabcd0001));
  EXPECT_FALSE(lifecycle.work().value());
  EXPECT_EQ(device.notes.back(), "serve 1");
}

TEST_F(MmioTransportTest, WithoutNotificationDataAllBitsAreTheQueue) {
  run_by_registers();
  EXPECT_EQ(write(kQueueNotifyOffset, 0x10001).error(),
            Error(DeviceError::kQueueIndex, 0x10001, 2));
  EXPECT_EQ(host.wakes, 0);
}

TEST_F(MmioTransportTest, StatusZeroResetsRegistersAndInterrupt) {
  run_by_registers();
  device.driver->notify_used(0);
  ASSERT_TRUE(write(kStatusOffset, 0));
  EXPECT_FALSE(line.level);
  EXPECT_EQ(read(kInterruptStatusOffset), 0U);
  EXPECT_EQ(read(kStatusOffset), 0U);
  EXPECT_EQ(read(kQueueSizeMaxOffset), 8U);  // queue 0 is selected again
}

TEST_F(MmioTransportTest, AStatusOfMoreThanAByteIsRefused) {
  EXPECT_EQ(write(kStatusOffset, 0x100).error(), Error(DeviceError::kStatusUnknown, 0x100, 0xff));
  EXPECT_EQ(read(kStatusOffset), 0U);
}

TEST_F(MmioTransportTest, HalvesOfAnAddressComeInAnyOrder) {
  agree_by_registers();
  ASSERT_TRUE(write(kQueueDescHighOffset, 0x12));
  ASSERT_TRUE(write(kQueueDescLowOffset, 0x3450));
  EXPECT_EQ(lifecycle.queue_config(0)->descriptor_table(), GuestAddress(0x1200003450));
  EXPECT_EQ(write(kQueueDescLowOffset, 0x3458).error(), QueueConfigError::kDescriptorTableAlign);
  EXPECT_EQ(lifecycle.queue_config(0)->descriptor_table(), GuestAddress(0x1200003450));
}

TEST_F(MmioTransportTest, QueueReadyTakesOneAndZero) {
  run_by_registers();
  EXPECT_EQ(write(kQueueReadyOffset, 2).error(), Error(DeviceError::kRegisterValue, 2, 1));
  EXPECT_EQ(read(kQueueReadyOffset), 1U);
  ASSERT_TRUE(write(kQueueReadyOffset, 0));
  EXPECT_EQ(read(kQueueReadyOffset), 0U);
}

TEST_F(MmioTransportTest, AQueueIsResetByItself) {
  run_by_registers(kVersion1 | feature_bit(VIRTIO_F_RING_RESET));
  EXPECT_EQ(write(kQueueResetOffset, 0).error(), DeviceError::kRegisterValue);
  ASSERT_TRUE(write(kQueueResetOffset, 1));
  EXPECT_EQ(read(kQueueResetOffset), 0U);
  EXPECT_EQ(read(kQueueReadyOffset), 0U);
  EXPECT_FALSE(lifecycle.queue(1).active());
}

TEST_F(MmioTransportTest, SharedMemoryIsFoundByItsId) {
  ASSERT_TRUE(write(kShmSelOffset, 3));
  EXPECT_EQ(read(kShmLenLowOffset), 0x2000U);
  EXPECT_EQ(read(kShmLenHighOffset), 1U);
  EXPECT_EQ(read(kShmBaseLowOffset), 0x56789000U);
  EXPECT_EQ(read(kShmBaseHighOffset), 0x1234U);
  for (const std::uint32_t id : {0U, 4U, 0x103U}) {
    ASSERT_TRUE(write(kShmSelOffset, id));
    EXPECT_EQ(read(kShmLenLowOffset), 0xffffffffU);
    EXPECT_EQ(read(kShmBaseHighOffset), 0xffffffffU);
  }
}

TEST_F(MmioTransportTest, RegistersTakeAlignedFourBytesOnly) {
  const std::vector<std::byte> untouched(8, std::byte{0xee});
  for (std::size_t width = 1; width <= 8; ++width) {
    for (std::uint64_t offset = 0; offset < kConfigOffset; ++offset) {
      if (width == 4 && offset % 4 == 0) continue;
      std::vector<std::byte> bytes(width, std::byte{0xee});
      EXPECT_FALSE(transport.read(offset, bytes));
      EXPECT_EQ(bytes, std::vector<std::byte>(width));
      EXPECT_FALSE(transport.write(offset, std::span(untouched).first(width)));
    }
  }
  EXPECT_EQ(read(kStatusOffset), 0U);
}

TEST_F(MmioTransportTest, WhatIsNoRegisterReadsAsZeroAndTakesNothing) {
  for (const std::uint32_t offset :
       {0x018U, 0x040U, 0x05cU, 0x0f8U, kQueueSelOffset, kQueueNotifyOffset, kQueueDescLowOffset}) {
    std::array<std::byte, 4> bytes{std::byte{1}};
    EXPECT_EQ(transport.read(offset, bytes).error(), Error(DeviceError::kRegister, offset));
    EXPECT_EQ(bytes, (std::array<std::byte, 4>{}));
  }
  for (const auto offset : {kMagicValueOffset, kDeviceFeaturesOffset, kQueueSizeMaxOffset,
                            kInterruptStatusOffset, kConfigGenerationOffset})
    EXPECT_EQ(write(offset, 1).error(), Error(DeviceError::kRegister, offset));
}

TEST_F(MmioTransportTest, TheConfigurationSpaceTakesEveryWidth) {
  std::array<std::byte, 3> bytes{};
  EXPECT_TRUE(transport.read(kConfigOffset + 1, bytes));
  EXPECT_EQ(bytes, (std::array{std::byte{2}, std::byte{3}, std::byte{4}}));
  EXPECT_EQ(transport.read(kConfigOffset + 7, bytes).error(),
            Error(DeviceError::kConfigRange, 8, 8));
  agree_by_registers();
  EXPECT_TRUE(transport.write(kConfigOffset + 5, bytes));
  EXPECT_EQ(device.fields[5], bytes[0]);
  EXPECT_EQ(transport.write(UINT64_MAX, bytes).error(), DeviceError::kConfigRange);
}

TEST_F(MmioTransportTest, RegistersAreSavedAndRestored) {
  run_by_registers();
  ASSERT_TRUE(write(kDeviceFeaturesSelOffset, 1));
  ASSERT_TRUE(write(kShmSelOffset, 3));
  device.driver->config_changed();
  const auto bytes = transport.save();

  ASSERT_TRUE(write(kInterruptAckOffset, 3));
  ASSERT_TRUE(write(kQueueSelOffset, 0));
  ASSERT_TRUE(write(kShmSelOffset, 0));
  ASSERT_TRUE(transport.restore(bytes));
  EXPECT_EQ(transport.save(), bytes);
  EXPECT_TRUE(line.level);
  EXPECT_EQ(read(kInterruptStatusOffset), kInterruptConfigurationChange);
  EXPECT_EQ(read(kQueueSizeMaxOffset), 16U);
  EXPECT_EQ(read(kShmLenHighOffset), 1U);
}

TEST_F(MmioTransportTest, SavedRegistersThatAreNoneAreRefusedAndChangeNothing) {
  const auto good = transport.save();
  const auto refusal = [&](std::size_t offset) {
    auto bytes = good;
    bytes.at(offset) = std::byte{0x84};
    const auto restored = transport.restore(bytes);
    EXPECT_EQ(transport.save(), good);
    return restored.error();
  };
  EXPECT_EQ(refusal(0), DeviceStateError::kMagic);
  EXPECT_EQ(refusal(4), DeviceStateError::kVersion);
  EXPECT_EQ(refusal(24), Error(DeviceStateError::kInterruptStatus, 0x84, 3));
  EXPECT_EQ(refusal(31), DeviceStateError::kReserved);
  EXPECT_EQ(transport.restore(std::span(good).first(31)).error(),
            Error(DeviceStateError::kBytes, 31, 32));
}

}  // namespace
}  // namespace guestproof::virtio
