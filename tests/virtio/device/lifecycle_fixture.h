// A device of two queues that notes what it is told, its life cycle, and a driver who knows the
// steps.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "guestproof/testing/driver.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/device/lifecycle.h"
#include "print.h"

namespace guestproof::virtio {

using Memory = testing::WatchedMemory;

/// Its configuration space has eight bytes, of which the last four can be written. Feature 0 needs
/// feature 1.
class NotingDevice final : public VirtioDevice<Memory> {
 public:
  [[nodiscard]] std::uint32_t device_id() const override { return 42; }
  [[nodiscard]] std::uint64_t features() const override { return 3; }
  [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override { return kSizes; }
  void attach(Driver<Memory>& its) override { driver = &its; }
  [[nodiscard]] Result<void> check_features(std::uint64_t features) const override {
    if ((features & 3) == 1) return fail(DeviceError::kFeatureNeeds, 0, 1);
    return {};
  }
  [[nodiscard]] std::span<const std::byte> config() const override { return fields; }
  [[nodiscard]] Result<void> write_config(std::uint32_t offset,
                                          std::span<const std::byte> bytes) override {
    if (offset < 4) return fail(DeviceError::kConfigReadOnly, offset);
    std::ranges::copy(bytes, fields.begin() + offset);
    return {};
  }
  void start() override { notes.push_back("start"); }
  [[nodiscard]] Result<bool> serve(std::uint16_t queue) override {
    notes.push_back("serve " + std::to_string(queue));
    const auto more = take_turn(*driver, queue, [&](Chain<VirtQueue<Memory>> chain) {
      if (chain.fault()) driver->refused(queue, *chain.fault());
      return chain.complete(0);
    });
    if (!more) return more;
    return *more || std::exchange(again, false);
  }
  void stop_queue(std::uint16_t queue) override {
    notes.push_back("stop " + std::to_string(queue));
  }
  void settle() override {
    notes.push_back("settle");
    if (notifies_last) driver->notify_used(0);
  }
  void reset() override { notes.push_back("reset"); }
  [[nodiscard]] int host_fd() const override { return 7; }
  [[nodiscard]] Result<bool> host_ready() override {
    notes.push_back("host");
    return host_turn;
  }
  [[nodiscard]] Result<void> save(std::vector<std::byte>& out) override {
    out.push_back(fields[4]);
    return {};
  }
  [[nodiscard]] Result<void> restore(std::span<const std::byte> bytes) override {
    if (bytes.size() != 1) return fail(DeviceStateError::kDevice, bytes.size(), 1);
    fields[4] = bytes[0];
    notes.push_back("restore");
    return {};
  }

  static constexpr std::array<std::uint16_t, 2> kSizes{8, 16};
  Driver<Memory>* driver = nullptr;
  std::array<std::byte, 8> fields{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4},
                                  std::byte{5}, std::byte{6}, std::byte{7}, std::byte{8}};
  std::vector<std::string> notes;
  bool again = false;
  bool notifies_last = false;  // in settle()
  Result<bool> host_turn = false;
};

class NotingHost final : public Host {
 public:
  void wake() override { ++wakes; }
  void refused(std::uint16_t, const Error& why) override { refusals.push_back(why); }

  int wakes = 0;
  std::vector<Error> refusals;
};

class NotingInterrupts final : public Interrupts {
 public:
  void used_buffers(std::uint16_t queue) override { used.push_back(queue); }
  void configuration_changed() override { ++config; }

  std::vector<std::uint16_t> used;
  int config = 0;
};

class LifecycleFixture : public ::testing::Test {
 protected:
  static constexpr std::uint8_t kAck = VIRTIO_STATUS_ACKNOWLEDGE;
  static constexpr std::uint8_t kDriving = kAck | VIRTIO_STATUS_DRIVER;
  static constexpr std::uint8_t kAgreed = kDriving | VIRTIO_STATUS_FEATURES_OK;
  static constexpr std::uint8_t kRunning = kAgreed | VIRTIO_STATUS_DRIVER_OK;
  static constexpr std::uint64_t kVersion1 = feature_bit(VIRTIO_F_VERSION_1);
  static constexpr std::array kRegions{Memory::RegionSpec{GuestAddress(0), 0x8000}};

  /// Up to FEATURES_OK with these features.
  void agree(std::uint64_t features = kVersion1) {
    ASSERT_TRUE(lifecycle.set_status(kDriving));
    ASSERT_TRUE(lifecycle.set_driver_features(0, static_cast<std::uint32_t>(features)));
    ASSERT_TRUE(lifecycle.set_driver_features(1, static_cast<std::uint32_t>(features >> 32)));
    ASSERT_TRUE(lifecycle.set_status(kAgreed));
  }
  void set_up(std::uint16_t index, const testing::QueueLayout& layout) {
    ASSERT_TRUE(lifecycle.set_queue_size(index, layout.size));
    ASSERT_TRUE(lifecycle.set_descriptor_area(index, layout.descriptor_table));
    ASSERT_TRUE(lifecycle.set_driver_area(index, layout.available_ring));
    ASSERT_TRUE(lifecycle.set_device_area(index, layout.used_ring));
    ASSERT_TRUE(lifecycle.enable_queue(index));
  }
  /// Up to DRIVER_OK with both queues.
  void run(std::uint64_t features = kVersion1) {
    agree(features);
    set_up(0, layouts[0]);
    set_up(1, layouts[1]);
    ASSERT_TRUE(lifecycle.set_status(kRunning));
  }

  Memory memory{kRegions};
  Memory::GuestView guest = memory.guest();
  std::array<testing::QueueLayout, 2> layouts{testing::QueueLayout::at(GuestAddress(0x1000), 8),
                                              testing::QueueLayout::at(GuestAddress(0x2000), 16)};
  NotingDevice device;
  NotingHost host;
  NotingInterrupts interrupts;
  DeviceLifecycle<Memory> lifecycle{device, memory, host};

  void SetUp() override { lifecycle.connect(&interrupts); }
};

}  // namespace guestproof::virtio
