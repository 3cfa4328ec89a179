// A second opinion on the whole block device: BlockModel's requests, several of them in flight, the
// configuration space and the cache mode; from virtio 1.3 §5.2 and the policies that
// virtio/device/block/{virtio_blk,engine}.h state. It shares no code with them.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "guestproof/testing/model/block_model.h"
#include "guestproof/testing/model/lifecycle_model.h"

namespace guestproof::testing {

enum class BlockModelEnd : std::uint8_t { kQueueReset, kReset, kSave, kMemoryAccess };

/// What the model of the device asks of who runs it.
class BlockModelHost {
 public:
  BlockModelHost() = default;
  BlockModelHost(const BlockModelHost&) = delete;
  BlockModelHost& operator=(const BlockModelHost&) = delete;
  virtual ~BlockModelHost() = default;

  [[nodiscard]] virtual const WatchedMemory& memory() const = 0;
  /// What was negotiated; 0 before FEATURES_OK.
  [[nodiscard]] virtual std::uint64_t agreed_features() const = 0;
  /// The device touches the chain's memory in this step.
  virtual void touches(const ModelChain& chain) = 0;
  /// A request is answered.
  virtual void answered(std::size_t queue, const ModelChain& chain,
                        const BlockModelAnswer& answer) = 0;
  /// Something was in flight and is about to be ended.
  virtual void ends_early(BlockModelEnd why) = 0;
  /// The queue notifies its driver, if that wants it.
  virtual void notify(std::size_t queue) = 0;
  /// The queue is to be served without a kick.
  virtual void again(std::size_t queue) = 0;
};

class BlockDeviceModel final : public DeviceModel {
 public:
  static constexpr std::size_t kConfigBytes = 72;
  static constexpr std::size_t kWriteback = 32;

  /// `space`: the configuration space that is offered, with writeback 0. `setup` has the limits,
  /// whatever is negotiated. No more than `depth` requests are in flight.
  BlockDeviceModel(BlockModelHost& host, std::uint64_t features, std::vector<std::uint16_t> queues,
                   std::vector<std::uint8_t> space, BlockModelSetup setup, std::size_t depth)
      : host_(host),
        features_(features),
        sizes_(std::move(queues)),
        space_(std::move(space)),
        offered_(setup),
        depth_(depth),
        waiting_(sizes_.size(), false),
        answered_(sizes_.size(), false) {}

  BlockModel requests;
  /// Operations wait until complete().
  bool slow = false;
  std::uint64_t transfer_limit = UINT64_MAX;

  [[nodiscard]] std::uint32_t device_id() const override { return 2; }
  [[nodiscard]] std::uint64_t features() const override { return features_; }
  [[nodiscard]] std::vector<std::uint16_t> queue_sizes() const override { return sizes_; }
  [[nodiscard]] std::vector<std::uint8_t> config() const override;
  [[nodiscard]] ModelError write_config(std::uint64_t offset,
                                        std::span<const std::uint8_t> bytes) override;
  void start(std::uint64_t features) override;
  void stop_queue(std::size_t queue) override;
  void reset() override;
  [[nodiscard]] std::vector<std::uint8_t> save() const override { return config(); }
  [[nodiscard]] ModelError restore(std::span<const std::uint8_t> bytes) override;

  [[nodiscard]] bool room() const { return pending_.size() < depth_; }
  [[nodiscard]] std::size_t pending() const { return pending_.size(); }
  void take(std::size_t queue, const ModelChain& chain);
  /// The storage executes the operation of one that is pending; its next one is the last then.
  void complete(std::size_t index);
  /// All of them, the oldest first.
  void drain(BlockModelEnd why);
  void notify_all();
  /// Queues that waited for room, when there is some again and no end of a request tells of it.
  void serve_waiting();
  /// Nothing was ever in flight.
  void forget() { pending_.clear(); }

  /// Whether a queue waits for room, and that it does.
  [[nodiscard]] bool waits(std::size_t queue) const { return waiting_[queue]; }
  void set_waits(std::size_t queue, bool on) { waiting_[queue] = on; }

 private:
  struct InFlight {
    std::size_t queue = 0;
    BlockModelWork work;
  };

  [[nodiscard]] bool agreed(unsigned feature) const {
    return (host_.agreed_features() >> feature & 1) != 0;
  }
  void set_write_back(bool on);
  void notify(std::size_t queue);
  /// Up to where there is something to wait for, or to the end.
  void run(InFlight request);

  BlockModelHost& host_;
  std::uint64_t features_;
  std::vector<std::uint16_t> sizes_;
  std::vector<std::uint8_t> space_;
  BlockModelSetup offered_;
  std::size_t depth_;
  bool write_back_ = true;
  std::deque<InFlight> pending_;  // in the order in which their operations were submitted
  std::vector<bool> waiting_;
  std::vector<bool> answered_;  // a request of the queue, and notify() was not called since
};

}  // namespace guestproof::testing
