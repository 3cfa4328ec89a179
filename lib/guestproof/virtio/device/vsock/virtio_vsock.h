// The socket device, virtio-vsock: stream sockets between the guest and services and clients on the
// host (connections.h) over three queues.
//
// - tx: every packet is returned with length 0. While too many answers wait for the guest no more
//   packets are taken (§5.10.6.1); the queue goes on when the guest has made room in rx.
// - rx: a buffer is taken when there is a packet for it. Stream data is cut to fit; a buffer that
// is
//   malformed, has device-readable bytes, is smaller than a header, has no byte for data that is
//   next, or lies outside guest memory is returned with length 0, and the packet waits for another.
// - event: a buffer is taken when the transport was reset, that is after a restore (§5.10.6.7).
//
// Connections are not part of the saved state: their other ends are processes of a host. What is
// restored has none, and tells the guest with VIRTIO_VSOCK_EVENT_TRANSPORT_RESET. Not here:
// seqpacket sockets, whose message boundaries a Unix stream does not have.
//
// Thread-safety: none, see VirtioDevice.
// Specification: virtio 1.3 §5.10.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "guestproof/virtio/device/device.h"
#include "guestproof/virtio/device/vsock/connections.h"
#include "guestproof/virtio/device/vsock/packet.h"

namespace guestproof::virtio::vsock {

template <GuestMemory M>
class VirtioVsock final : public VirtioDevice<M> {
 public:
  static constexpr std::uint16_t kRxQueue = 0, kTxQueue = 1, kEventQueue = 2;

  /// `sockets` outlives the device. REQUIRES: check_guest_cid().
  VirtioVsock(std::uint64_t guest_cid, HostSockets& sockets, const Limits& limits = {})
      : sockets_(sockets), connections_(guest_cid, sockets, limits) {
    config_.guest_cid = guest_cid;
  }

  [[nodiscard]] std::uint32_t device_id() const override { return VIRTIO_ID_SOCKET; }
  [[nodiscard]] std::uint64_t features() const override {
    return feature_bit(VIRTIO_VSOCK_F_STREAM) | feature_bit(VIRTIO_VSOCK_F_NO_IMPLIED_STREAM);
  }
  [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override { return kQueueSizes; }
  [[nodiscard]] std::span<const std::byte> config() const override {
    return std::as_bytes(std::span(&config_, 1));
  }
  void attach(Driver<M>& driver) override { driver_ = &driver; }
  void start() override {
    started_ = true;
    connections_.negotiate(driver_->features());
  }
  void stop_queue(std::uint16_t queue) override {
    if (queue == kTxQueue) tx_waits_ = false;  // nothing is there any more that could
  }
  void settle() override {}
  void reset() override {
    connections_.reset();
    started_ = reset_owed_ = tx_waits_ = false;
  }
  [[nodiscard]] int host_fd() const override { return sockets_.host_fd(); }

  [[nodiscard]] Result<bool> serve(std::uint16_t queue) override {
    return queue == kEventQueue ? serve_event() : exchange(queue == kTxQueue);
  }
  [[nodiscard]] Result<bool> host_ready() override {
    const bool more = connections_.host_ready();
    const auto turn = exchange(false);
    return turn ? *turn || more : turn;
  }

  [[nodiscard]] Result<void> save(std::vector<std::byte>&) override { return {}; }
  [[nodiscard]] Result<void> restore(std::span<const std::byte> bytes) override {
    if (!bytes.empty()) return fail(DeviceStateError::kDevice, bytes.size(), 0);
    reset_owed_ = started_;
    return {};
  }

 private:
  using Chain = virtio::Chain<VirtQueue<M>>;

  /// Of rx and tx what other devices have; of event twice the buffers that Linux puts there, though
  /// there is one event at a time.
  static constexpr std::array<std::uint16_t, 3> kQueueSizes{256, 256, 16};

  /// Packets from the guest, if there are said to be some, then packets to it.
  Result<bool> exchange(bool transmit) {
    bool more = false;
    if (transmit || tx_waits_) {
      const auto turn = serve_tx();
      if (!turn) return turn;
      more = *turn;
    }
    const auto turn = serve_rx();
    if (!turn) return turn;
    return more || *turn || (tx_waits_ && connections_.can_receive());
  }

  Result<bool> serve_tx() {
    const auto ready = [&] {
      tx_waits_ = !connections_.can_receive();
      return !tx_waits_;
    };
    return take_turn(*driver_, kTxQueue, ready, [&](Chain chain) -> Result<void> {
      if (const auto ok = transmit(chain); !ok) driver_->refused(kTxQueue, ok.error());
      return chain.complete(0);
    });
  }

  Result<void> transmit(const Chain& chain) {
    // How much data there may be is the connection's credit to say.
    const auto packet = TxPacket<M>::parse(chain, std::numeric_limits<std::uint32_t>::max());
    if (!packet) return std::unexpected(packet.error());
    const auto& header = packet->header();
    const auto wanted = connections_.receive(header);
    if (!wanted) return std::unexpected(wanted.error());
    if (!*wanted) return {};
    data_.resize(header.len);
    auto reader = packet->data();
    const auto read = reader.read(data_);
    if (read)
      connections_.receive_data(header, data_);
    else
      connections_.lose_data(header);
    return read;
  }

  Result<bool> serve_rx() {
    return take_turn(
        *driver_, kRxQueue, [&] { return connections_.prepare(); },
        [&](Chain chain) -> Result<void> {
          const auto used = receive(chain);
          if (!used) driver_->refused(kRxQueue, used.error());
          return chain.complete(used.value_or(0));
        });
  }

  Result<std::uint32_t> receive(const Chain& chain) {
    const auto room = RxPacket<M>::open(chain);
    if (!room) return std::unexpected(room.error());
    auto data = connections_.data();
    // Without room for data write() says so.
    data = data.first(std::min<std::size_t>(data.size(), std::max(room->room(), std::uint32_t{1})));
    const auto used = room->write(connections_.header(), data);
    if (used) connections_.sent(data.size());
    return used;
  }

  Result<bool> serve_event() {
    return take_turn(
        *driver_, kEventQueue, [&] { return reset_owed_; },
        [&](Chain chain) -> Result<void> {
          const auto told = tell_reset(chain);
          reset_owed_ = !told;
          if (!told) driver_->refused(kEventQueue, told.error());
          return chain.complete(told ? sizeof(VsockEvent) : 0);
        });
  }

  static Result<void> tell_reset(const Chain& chain) {
    if (chain.fault()) return std::unexpected(*chain.fault());
    if (chain.readable_bytes() != 0)
      return fail(VsockError::kEventReadable, chain.readable_bytes());
    if (chain.writable_bytes() < sizeof(VsockEvent))
      return fail(VsockError::kEventRoom, chain.writable_bytes(), sizeof(VsockEvent));
    auto writer = chain.writer();
    return writer.write_object(VsockEvent{.id = VIRTIO_VSOCK_EVENT_TRANSPORT_RESET});
  }

  HostSockets& sockets_;
  Connections connections_;
  VsockConfig config_;
  Driver<M>* driver_ = nullptr;
  bool started_ = false;
  bool reset_owed_ = false;  // the guest is to be told of it
  bool tx_waits_ = false;    // packets may wait there, though there was no kick
  std::vector<std::byte> data_;
};

}  // namespace guestproof::virtio::vsock
