// A second opinion on the balloon: written from virtio 1.3 §5.5 and from the policies that the
// headers in virtio/device/balloon state, for comparison. It shares no code with them.
//
// Thread-safety: none.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>

#include "guestproof/testing/model/lifecycle_model.h"

namespace guestproof::testing {

/// What a back end is told.
struct BalloonEvent {
  enum class What : std::uint8_t { kInflate, kDeflate, kReport, kHint, kStatistics };
  What what = What::kInflate;
  std::uint64_t address = 0;
  std::uint64_t length = 0;
  std::array<std::optional<std::uint64_t>, 10> statistics;

  friend bool operator==(const BalloonEvent&, const BalloonEvent&) = default;
};

class BalloonModel final : public DeviceModel {
 public:
  enum class Role : std::uint8_t { kInflate, kDeflate, kStatistics, kHints, kReports, kNone };

  /// `negotiated()`: features, 0 before FEATURES_OK; `enabled(queue)`: the driver has enabled it;
  /// `backend(event)`: whether it did not fail.
  BalloonModel(std::function<std::uint64_t()> negotiated, std::function<bool(std::size_t)> enabled,
               std::function<bool(const BalloonEvent&)> backend)
      : negotiated_(std::move(negotiated)),
        enabled_(std::move(enabled)),
        backend_(std::move(backend)) {}

  [[nodiscard]] std::uint32_t device_id() const override { return 5; }
  [[nodiscard]] std::uint64_t features() const override { return 0x3f; }
  [[nodiscard]] std::vector<std::uint16_t> queue_sizes() const override {
    return {64, 64, 64, 64, 64};
  }
  [[nodiscard]] std::vector<std::uint8_t> config() const override;
  [[nodiscard]] ModelError write_config(std::uint64_t offset,
                                        std::span<const std::uint8_t> bytes) override;
  void start(std::uint64_t features) override;
  void stop_queue(std::size_t queue) override;
  void reset() override;
  [[nodiscard]] std::vector<std::uint8_t> save() const override;
  [[nodiscard]] ModelError restore(std::span<const std::uint8_t> bytes) override;

  [[nodiscard]] Role role(std::size_t queue) const;
  /// What is wrong with a chain of a queue with this role, once all that it asks for is done. Not
  /// for kStatistics.
  [[nodiscard]] ModelError serve(const WatchedMemory& memory, const ModelChain& chain, Role role);
  /// A buffer of statistics arrives; what is wrong with it.
  [[nodiscard]] ModelError hear(const WatchedMemory& memory, const ModelChain& chain);
  [[nodiscard]] bool has(unsigned feature) const { return (negotiated_() >> feature & 1) != 0; }

  // The host's side.

  void set_target(std::uint32_t pages) { num_pages_ = pages; }
  void start_hinting();
  void set_command(std::uint32_t command);
  [[nodiscard]] std::uint32_t command() const { return command_; }

  bool wanted = false;             // statistics
  bool statistics_seen = false;    // those in the next buffer
  std::optional<ModelChain> kept;  // the buffer of statistics

 private:
  [[nodiscard]] ModelError move_pages(const WatchedMemory& memory, const ModelChain& chain,
                                      BalloonEvent::What what);
  [[nodiscard]] ModelError free_pages(const WatchedMemory& memory, const ModelChain& chain,
                                      BalloonEvent::What what);
  [[nodiscard]] ModelError take_command(const WatchedMemory& memory, const ModelChain& chain);
  [[nodiscard]] bool tell(BalloonEvent::What what, std::uint64_t address, std::uint64_t length);

  std::function<std::uint64_t()> negotiated_;
  std::function<bool(std::size_t)> enabled_;
  std::function<bool(const BalloonEvent&)> backend_;
  bool started_ = false;
  bool counts_existing_ = false;
  std::uint32_t num_pages_ = 0, actual_ = 0, command_ = 0, poison_ = 0;
  std::uint32_t last_command_ = 0;
  bool hinting_ = false;
};

}  // namespace guestproof::testing
