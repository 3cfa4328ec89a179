// EchoDevice (echo_device.h) as a whole virtio device: two queues, a configuration space that both
// sides write, features that need each other. For tests of transports and of life cycles.
//
// Thread-safety: none, see VirtioDevice.
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "guestproof/base/endian.h"
#include "guestproof/testing/echo_device.h"
#include "guestproof/virtio/device/device.h"

namespace guestproof::testing {

/// Of no type that the specification knows.
inline constexpr std::uint32_t kEchoDeviceId = 0x4543;  // "EC"
inline constexpr std::array<std::uint16_t, 2> kEchoQueueSizes{64, 32};
/// Feature 0 needs feature 1.
inline constexpr std::uint64_t kEchoFeatures = 3;

struct EchoConfig {
  le32 told;     // 0  by the host; the driver cannot write it
  le32 scratch;  // 4  by the driver, in any part
  le16 tail;     // 8  read-only
};
static_assert(sizeof(EchoConfig) == 12);
inline constexpr std::size_t kEchoScratch = 4;
inline constexpr std::size_t kEchoConfigBytes = 10;

template <GuestMemory M>
class EchoVirtio final : public virtio::VirtioDevice<M> {
 public:
  [[nodiscard]] std::uint32_t device_id() const override { return kEchoDeviceId; }
  [[nodiscard]] std::uint64_t features() const override { return kEchoFeatures; }
  [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override {
    return kEchoQueueSizes;
  }
  void attach(virtio::Driver<M>& driver) override { driver_ = &driver; }
  [[nodiscard]] Result<void> check_features(std::uint64_t features) const override {
    if ((features & 3) == 1) return fail(virtio::DeviceError::kFeatureNeeds, 0, 1);
    return {};
  }
  [[nodiscard]] std::span<const std::byte> config() const override {
    return std::as_bytes(std::span(&config_, 1)).first(kEchoConfigBytes);
  }
  /// Of the scratch field only.
  [[nodiscard]] Result<void> write_config(std::uint32_t offset,
                                          std::span<const std::byte> bytes) override {
    if (offset < kEchoScratch) return fail(virtio::DeviceError::kConfigReadOnly, offset);
    if (offset + bytes.size() > kEchoScratch + sizeof config_.scratch)
      return fail(virtio::DeviceError::kConfigReadOnly, kEchoScratch + sizeof config_.scratch);
    std::ranges::copy(bytes, std::as_writable_bytes(std::span(&config_, 1)).begin() + offset);
    return {};
  }
  void start() override {}
  [[nodiscard]] Result<bool> serve(std::uint16_t queue) override {
    auto& taken = driver_->queue(queue);
    const auto turn = echo_.process(taken, virtio::whole_queue(taken), [&](const auto& chain) {
      if (chain.fault()) driver_->refused(queue, *chain.fault());
    });
    if (!turn) return std::unexpected(turn.error());
    if (turn->notify) driver_->notify_used(queue);
    return turn->more;
  }
  void stop_queue(std::uint16_t) override {}
  void settle() override {}
  void reset() override { config_.scratch = 0; }
  [[nodiscard]] Result<void> save(std::vector<std::byte>& out) override {
    const auto bytes = std::as_bytes(std::span(&config_, 1)).first(kSaved);
    out.insert(out.end(), bytes.begin(), bytes.end());
    return {};
  }
  [[nodiscard]] Result<void> restore(std::span<const std::byte> bytes) override {
    if (bytes.size() != kSaved)
      return fail(virtio::DeviceStateError::kDevice, bytes.size(), kSaved);
    std::ranges::copy(bytes, std::as_writable_bytes(std::span(&config_, 1)).begin());
    return {};
  }

  /// The host changes the configuration space.
  void tell(std::uint32_t value) {
    config_.told = value;
    driver_->config_changed();
  }

 private:
  static constexpr std::size_t kSaved = 8;  // told and scratch

  EchoDevice<virtio::VirtQueue<M>> echo_;
  EchoConfig config_;
  virtio::Driver<M>* driver_ = nullptr;
};

}  // namespace guestproof::testing
