// A second opinion on the entropy device: written from virtio 1.3 §5.4 and from the policies that
// virtio/device/rng/virtio_rng.h states, for comparison. It shares no code with it.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>

#include "guestproof/testing/model/lifecycle_model.h"

namespace guestproof::testing {

class RngModel final : public DeviceModel {
 public:
  /// What the source gives when it is asked for `most` bytes: bytes, none now, or an error.
  struct Given {
    std::vector<std::uint8_t> bytes;
    ModelError error;
  };
  using Source = std::function<Given(std::size_t most)>;
  explicit RngModel(Source source) : source_(std::move(source)) {}

  [[nodiscard]] std::uint32_t device_id() const override { return 4; }
  [[nodiscard]] std::uint64_t features() const override { return 0; }
  [[nodiscard]] std::vector<std::uint16_t> queue_sizes() const override { return {64}; }
  void reset() override { bytes_.clear(); }

  /// Whether a request would get an answer now.
  [[nodiscard]] bool ready();
  struct Answer {
    std::uint32_t used = 0;
    ModelError error;
  };
  [[nodiscard]] Answer serve(const WatchedMemory& memory, const ModelChain& chain);

 private:
  /// Why there are no bytes, if for a reason.
  ModelError refill();

  Source source_;
  std::deque<std::uint8_t> bytes_;
};

}  // namespace guestproof::testing
