// The whole block device under test, with two queues and on a disk that fails and takes its time.
// Target: block_device.
//
// A `request` record: see block_requests.h. It is read-only in no program; every feature else is
// offered.
// A `backend` record, by kind:
//   0      the driver's features, see device_harness.h
//   1-7    what the disk does from now on, see DiskFault
//   8      with an odd value the disk is slow: its operations wait until `complete`; with an even
//          one they are done at once again, but for those that wait already
// A `complete` record: the disk executes the waiting operation `index` (modulo their number, oldest
// first), and the device hears of it.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "guestproof/testing/harness/block_requests.h"
#include "guestproof/testing/harness/device_harness.h"
#include "guestproof/testing/harness/disk_backend.h"
#include "guestproof/testing/model/block_device_model.h"
#include "guestproof/virtio/device/block/virtio_blk.h"

namespace guestproof::testing {

class BlockDeviceHarness : public DeviceHarness, private BlockModelHost {
 public:
  /// `discarded`: what discarded sectors read as.
  explicit BlockDeviceHarness(std::byte discarded = ModelDisk().discarded);
  BlockDeviceHarness(const BlockDeviceHarness&) = delete;
  BlockDeviceHarness& operator=(const BlockDeviceHarness&) = delete;
  ~BlockDeviceHarness() override { disconnect(); }

  [[nodiscard]] std::string_view name() const override { return "block_device"; }
  [[nodiscard]] const ModelDisk& disk() const { return disk_.disk; }

 protected:
  // The device's.
  [[nodiscard]] DiskBackend& storage() { return disk_; }
  [[nodiscard]] SlowDisk& slow_storage() { return backend_; }
  void host_event(std::uint8_t kind, const Record& record) override;

 private:
  static constexpr std::uint16_t kQueues = 2;

  // DeviceHarness
  void reset_device() override;
  void request(Lane& lane, const Record& record) override;
  [[nodiscard]] Turn serve_model(Lane& lane, std::uint32_t looks) override;
  [[nodiscard]] Turn serve_host_model() override;
  [[nodiscard]] std::uint8_t host_event_kinds() const override { return kDiskFaults + 1; }
  void complete(const Record& record) override;
  void compare_devices() override;
  void settle_model(Settle why) override;

  // BlockModelHost
  [[nodiscard]] const WatchedMemory& memory() const override { return world_of_model(); }
  [[nodiscard]] std::uint64_t agreed_features() const override;
  void touches(const ModelChain& chain) override { permit(chain); }
  void answered(std::size_t queue, const ModelChain& chain,
                const BlockModelAnswer& answer) override;
  void ends_early(BlockModelEnd why) override;
  void notify(std::size_t queue) override;
  void again(std::size_t queue) override;

  [[nodiscard]] const WatchedMemory& world_of_model() const { return world().model(); }
  [[nodiscard]] static virtio::block::Offer make_offer();
  [[nodiscard]] static BlockModelSetup make_setup(const virtio::block::Offer& offer);

  virtio::block::Offer offer_ = make_offer();
  DiskBackend disk_{world().device()};
  SlowDisk backend_{disk_, world().device()};
  std::unique_ptr<virtio::block::VirtioBlk<WatchedMemory>> device_ =
      virtio::block::VirtioBlk<WatchedMemory>::create(offer_, backend_).value();
  BlockDeviceModel model_;
  std::optional<std::size_t> chosen_;  // the model's next operation
  BlockRequests requests_;

  std::array<Depth::Index, 3> by_status_{};
  Depth::Index unanswerable_, data_, together_, overtaken_, no_room_, short_;
  std::array<Depth::Index, 4> ended_by_{};
};

}  // namespace guestproof::testing
