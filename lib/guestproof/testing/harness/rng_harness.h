// The entropy device under test, and the example of a device's harness. Target: rng.
//
// A `request` record: room for `length` bytes (modulo 4097; 0: 64), cut as in all targets; raw: as
// many as `length` says, up to 100000, in the same memory over and over, and `extra` (modulo 256)
// device-readable bytes before them.
// A `backend` record, by kind:
//   0  the driver's features, see device_harness.h
//   1  the source gives `value` bytes (modulo 1024) more, then nothing until it is told again
//   2  the source fails once it has given `value` bytes (modulo 1024) more
//   3  the source has bytes for ever, and the device hears that it has
#pragma once

#include "guestproof/testing/harness/device_harness.h"
#include "guestproof/testing/model/rng_model.h"
#include "guestproof/virtio/device/rng/virtio_rng.h"

namespace guestproof::testing {

/// Gives 0, 1, 2, …, or the same byte over and over, as many as it may.
class ScriptedEntropy final : public virtio::rng::EntropySource {
 public:
  explicit ScriptedEntropy(std::optional<std::byte> always = std::nullopt) : always_(always) {}

  std::uint64_t left = UINT64_MAX;
  bool fails = false;  // when none is left

  /// Errors: SystemError::kRead.
  [[nodiscard]] Result<std::size_t> fill(std::span<std::byte> out) override;
  void reset();

 private:
  std::optional<std::byte> always_;
  std::uint8_t next_ = 0;
};

class RngHarness final : public DeviceHarness {
 public:
  /// `entropy`: see ScriptedEntropy.
  explicit RngHarness(std::optional<std::byte> entropy = std::nullopt);
  ~RngHarness() override { disconnect(); }

  [[nodiscard]] std::string_view name() const override { return "rng"; }

 private:
  void reset_device() override;
  void request(Lane& lane, const Record& record) override;
  [[nodiscard]] Turn serve_model(Lane& lane, std::uint32_t looks) override;
  [[nodiscard]] Turn serve_host_model() override;
  void host_event(std::uint8_t kind, const Record& record) override;
  [[nodiscard]] std::uint8_t host_event_kinds() const override { return 3; }

  // The same source twice: what one side takes is not the other's.
  ScriptedEntropy source_, model_source_;
  virtio::rng::VirtioRng<WatchedMemory> device_{source_};
  RngModel model_;
  Depth::Index requests_, filled_, cut_;
};

}  // namespace guestproof::testing
