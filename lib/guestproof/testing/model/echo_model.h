// A second opinion on the echo device (testing/echo_device.h, testing/echo_virtio.h).
//
// Thread-safety: none.
#pragma once

#include <array>
#include <cstdint>

#include "guestproof/testing/model/lifecycle_model.h"

namespace guestproof::testing {

/// Answers a chain; the used length.
[[nodiscard]] std::uint32_t echo_model(const WatchedMemory& memory, const ModelChain& chain);

class EchoModel final : public DeviceModel {
 public:
  [[nodiscard]] std::uint32_t device_id() const override { return 0x4543; }
  [[nodiscard]] std::uint64_t features() const override { return 3; }
  [[nodiscard]] std::vector<std::uint16_t> queue_sizes() const override { return {64, 32}; }
  [[nodiscard]] ModelError check_features(std::uint64_t features) const override {
    if ((features & 1) != 0 && (features & 2) == 0) return {"device.feature_needs", 0, 1};
    return {};
  }
  [[nodiscard]] std::vector<std::uint8_t> config() const override {
    return {config_.begin(), config_.end()};
  }
  [[nodiscard]] ModelError write_config(std::uint64_t offset,
                                        std::span<const std::uint8_t> bytes) override;
  void reset() override;
  [[nodiscard]] std::vector<std::uint8_t> save() const override {
    return {config_.begin(), config_.begin() + 8};
  }
  [[nodiscard]] ModelError restore(std::span<const std::uint8_t> bytes) override;

  void tell(std::uint32_t value);

 private:
  std::array<std::uint8_t, 10> config_{};
};

}  // namespace guestproof::testing
