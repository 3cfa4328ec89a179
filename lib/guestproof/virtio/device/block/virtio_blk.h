// The block device, virtio-blk: an Offer to the driver, and an Engine at the driver's queues.
// engine.h says how requests are answered and what is guaranteed of their order, offer.h what a
// driver can be given; the rest is here.
//
// - Every subset of the offered features is accepted. Without VIRTIO_BLK_F_MQ the driver should use
//   the first queue only; others that it sets up are served all the same.
// - Of the configuration space the byte `writeback` can be written, by itself, with
//   VIRTIO_BLK_F_CONFIG_WCE: 0 or 1 with VIRTIO_BLK_F_FLUSH, and without that, since nothing could
//   make a write stable then, 0. It reads as what it is, and as 0 when it was not negotiated.
// - A queue whose requests find no room in the engine is gone on with when others are answered.
// - Reset, queue reset, save and the loss of guest memory wait until nothing is in flight: as long
//   as the storage takes. Requests in flight are answered, of all queues; a queue that is reset is
//   not notified of it. Other queues that waited for room are gone on with then.
//
// Thread-safety: none, see VirtioDevice.
// Specification: virtio 1.3 §5.2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "guestproof/virtio/device/block/engine.h"
#include "guestproof/virtio/device/block/offer.h"
#include "guestproof/virtio/device/device.h"

namespace guestproof::virtio::block {

template <GuestMemory M>
class VirtioBlk final : public VirtioDevice<M> {
 public:
  /// `backend` outlives the device. Errors: BlockConfigError.
  [[nodiscard]] static Result<std::unique_ptr<VirtioBlk>> create(const Offer& offer,
                                                                 AsyncBackend& backend) {
    if (const auto ok = offer.check(); !ok) return std::unexpected(ok.error());
    if (const auto ok = check_backend(offer.config, backend); !ok)
      return std::unexpected(ok.error());
    return std::unique_ptr<VirtioBlk>(new VirtioBlk(offer, backend));
  }

  [[nodiscard]] std::uint32_t device_id() const override { return VIRTIO_ID_BLOCK; }
  [[nodiscard]] std::uint64_t features() const override { return offer_.config.features; }
  [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override { return sizes_; }
  void attach(Driver<M>& driver) override { driver_ = &driver; }

  [[nodiscard]] std::span<const std::byte> config() const override {
    space_.writeback = write_back() ? 1 : 0;
    return std::as_bytes(std::span(&space_, 1));
  }
  [[nodiscard]] Result<void> write_config(std::uint32_t offset,
                                          std::span<const std::byte> bytes) override;

  void start() override;
  [[nodiscard]] Result<bool> serve(std::uint16_t queue) override;
  void stop_queue(std::uint16_t queue) override;
  void settle() override;
  void reset() override;
  [[nodiscard]] int host_fd() const override { return backend_.completion_fd(); }
  [[nodiscard]] Result<bool> host_ready() override;

  // The state: the configuration space as the driver sees it. It is taken by a device only that has
  // the same one, but for writeback.
  [[nodiscard]] Result<void> save(std::vector<std::byte>& out) override;
  [[nodiscard]] Result<void> restore(std::span<const std::byte> bytes) override;

 private:
  VirtioBlk(const Offer& offer, AsyncBackend& backend)
      : offer_(offer),
        backend_(backend),
        space_(offer.space()),
        sizes_(offer.queues, offer.queue_size),
        waiting_(offer.queues, false),
        answered_(offer.queues, false),
        wants_write_back_(offer.write_back) {}

  [[nodiscard]] bool write_back() const {
    return driver_->has(VIRTIO_BLK_F_CONFIG_WCE) && driver_->has(VIRTIO_BLK_F_FLUSH) &&
           wants_write_back_;
  }
  void set_write_back(bool on) {
    wants_write_back_ = on;
    if (engine_) engine_->set_write_back(on);
  }
  /// Everything in flight is answered.
  void drain() {
    if (engine_) engine_->drain(observer());
  }
  /// Notes what was answered, and tells the VMM what failed.
  [[nodiscard]] auto observer() {
    return [this](const Outcome& outcome) {
      answered_[outcome.queue] = true;
      if (outcome.error) driver_->refused(outcome.queue, *outcome.error);
    };
  }
  /// Of what was answered between turns, or before a queue broke; a queue that is about to be reset
  /// is left out. Where nothing was answered guest memory is not asked.
  void notify(std::optional<std::uint16_t> but = std::nullopt) {
    for (std::uint16_t i = 0; i < offer_.queues; ++i) {
      const bool asks = answered_[i] && i != but;
      answered_[i] = false;
      if (asks && driver_->queue(i).needs_notification()) driver_->notify_used(i);
    }
  }

  /// After drain(): nothing else tells of the room that there is now.
  void serve_waiting() {
    for (std::uint16_t i = 0; i < offer_.queues; ++i)
      if (waiting_[i]) driver_->again(i);
    waiting_.assign(waiting_.size(), false);
  }

  Offer offer_;
  AsyncBackend& backend_;
  mutable VirtioBlkConfig space_;  // writeback is what it is at the time of asking
  std::vector<std::uint16_t> sizes_;
  std::vector<bool> waiting_;   // by queue: there was no room for its next request
  std::vector<bool> answered_;  // by queue: since it was last asked whether to notify
  bool wants_write_back_;
  Driver<M>* driver_ = nullptr;
  std::optional<Engine<VirtQueue<M>>> engine_;  // while started
};

template <GuestMemory M>
Result<void> VirtioBlk<M>::write_config(std::uint32_t offset, std::span<const std::byte> bytes) {
  if (offset != offsetof(VirtioBlkConfig, writeback) || bytes.size() != 1 ||
      !driver_->has(VIRTIO_BLK_F_CONFIG_WCE))
    return fail(DeviceError::kConfigReadOnly, offset);
  const auto value = std::to_integer<std::uint8_t>(bytes.front());
  const std::uint8_t most = driver_->has(VIRTIO_BLK_F_FLUSH) ? 1 : 0;
  if (value > most) return fail(DeviceError::kConfigValue, value, most);
  set_write_back(value != 0);
  return {};
}

template <GuestMemory M>
void VirtioBlk<M>::start() {
  auto config = offer_.config;
  config.features &= driver_->features();
  auto engine = Engine<VirtQueue<M>>::create(config, backend_);
  GUESTPROOF_INVARIANT(engine);
  engine_.emplace(std::move(*engine));
  engine_->set_write_back(wants_write_back_);
}

template <GuestMemory M>
Result<bool> VirtioBlk<M>::serve(std::uint16_t queue) {
  auto& ring = driver_->queue(queue);
  if (!ring.active()) return false;
  const auto turn = engine_->serve(ring, whole_queue(ring), observer(), queue);
  waiting_[queue] = engine_->room() == 0;
  if (!turn) return std::unexpected(turn.error());
  if (turn->notify) driver_->notify_used(queue);
  return turn->more;
}

template <GuestMemory M>
Result<bool> VirtioBlk<M>::host_ready() {
  const auto reaped = engine_->reap(observer());
  notify();
  if (!reaped) return std::unexpected(reaped.error());
  bool more = false;
  for (std::uint16_t i = 0; i < waiting_.size() && engine_->room() != 0; ++i) {
    if (!waiting_[i]) continue;
    const auto turn = serve(i);
    if (!turn) return turn;
    more |= *turn;
    // Its own turns would only come with the next kick.
    waiting_[i] = waiting_[i] || *turn;
  }
  return more;
}

template <GuestMemory M>
void VirtioBlk<M>::stop_queue(std::uint16_t queue) {
  drain();
  waiting_[queue] = false;
  notify(queue);
  serve_waiting();
}

template <GuestMemory M>
void VirtioBlk<M>::settle() {
  drain();
  notify();
  serve_waiting();
}

template <GuestMemory M>
void VirtioBlk<M>::reset() {
  drain();
  engine_.reset();
  waiting_.assign(waiting_.size(), false);
  answered_.assign(answered_.size(), false);
  wants_write_back_ = offer_.write_back;
}

template <GuestMemory M>
Result<void> VirtioBlk<M>::save(std::vector<std::byte>& out) {
  const auto space = config();
  out.insert(out.end(), space.begin(), space.end());
  return {};
}

template <GuestMemory M>
Result<void> VirtioBlk<M>::restore(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(VirtioBlkConfig))
    return fail(DeviceStateError::kBytes, bytes.size(), sizeof(VirtioBlkConfig));
  // Before it was negotiated it says nothing.
  if (driver_->has(VIRTIO_BLK_F_CONFIG_WCE))
    set_write_back(bytes[offsetof(VirtioBlkConfig, writeback)] != std::byte{0});
  const auto own = config();
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (i >= own.size() || own[i] != bytes[i])
      return fail(DeviceStateError::kDevice, std::to_integer<std::uint8_t>(bytes[i]), i);
  return {};
}

}  // namespace guestproof::virtio::block
