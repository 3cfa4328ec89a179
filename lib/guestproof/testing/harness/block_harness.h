// The block device under test, on a disk of 32 sectors that can fail. Target: block.
//
// A `request` record: see block_requests.h.
//
// A `backend` record: what the storage does from now on, or the device replaced by one of another
// configuration; see BackendKind. Bytes count modulo the size of the disk + 1, sectors modulo its
// sectors + 1. With address=raw, `value` of a request is the address as well.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guestproof/testing/harness/block_requests.h"
#include "guestproof/testing/harness/disk_backend.h"
#include "guestproof/testing/harness/harness.h"
#include "guestproof/testing/model/block_model.h"
#include "guestproof/virtio/device/block/engine.h"

namespace guestproof::testing {

class BlockHarness : public Harness {
 public:
  /// Of a `backend` record, modulo their number; with what its value means.
  enum class BackendKind : std::uint8_t {
    // Those of DiskFault, and
    kSound,
    kReadError,
    kWriteError,
    kEnd,
    kShortTransfers,
    kFlushError,
    kRangeError,
    kFeatures,       // the features of these bits are turned over, size_max and seg_max left out
    kCapacity,       // in sectors
    kSizeMax,        // modulo 4096; 0: not negotiated
    kSegMax,         // modulo 16; 0: not negotiated
    kSegmentLimits,  // at most 1 + value modulo 16 segments, of at most value / 16 modulo 64
                     // sectors
    kMayUnmap,       // write zeroes may unmap when the value is odd
  };
  static constexpr std::size_t kBackendKinds = 13;

  /// On a DiskBackend. Or on another back end of ModelDisk::kBytes bytes, which no fault of a
  /// `backend` record reaches: a derived harness resets it and compares it with model_disk().
  explicit BlockHarness(virtio::block::Backend* other = nullptr);

  [[nodiscard]] std::string_view name() const override { return "block"; }

 protected:
  void reset_device() override;
  void request(Lane& lane, const Record& record) override;
  [[nodiscard]] Turn serve(Lane& lane, std::uint32_t looks) override;
  [[nodiscard]] Turn serve_model(Lane& lane, std::uint32_t looks) override;
  void backend(const Record& record) override;
  void compare_outside_memory() override;

  /// What the device under test stores its sectors in, if not in another back end.
  [[nodiscard]] DiskBackend& storage() { return backend_; }
  [[nodiscard]] ModelDisk& model_disk() { return model_.disk; }

 private:
  using Config = virtio::block::Config;
  using Outcome = virtio::block::Outcome;
  struct TypeCounters {
    std::uint32_t type = 0;
    Depth::Index executed = 0;
    std::array<Depth::Index, 3> by_status{};
  };

  /// `optional`: the type needs a feature, or may ask for what is not supported.
  void add_type(const std::string& name, std::uint32_t type, bool optional);
  void configure(const Config& config);
  void compare(const Outcome& outcome, const BlockModelAnswer& answer);
  void count_outcome(const Outcome& outcome, bool executed);

  Config config_;
  bool reconfigured_ = false;  // config_ is not the default one
  DiskBackend backend_{world().device()};
  virtio::block::ImmediateBackend device_backend_;
  std::optional<virtio::block::Engine<WatchedQueue>> device_;
  BlockModel model_;
  std::vector<BlockModelAnswer> answers_;  // of the model, in this step
  BlockRequests requests_;

  std::vector<TypeCounters> types_;
  Depth::Index turns_, unknown_, in_data_, out_data_;
};

}  // namespace guestproof::testing
