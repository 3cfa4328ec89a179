// Frames to and from a Linux tap interface, with as many queues as it was opened with.
//
// The tap puts the header before each frame that virtio has (TUNSETVNETHDRSZ 12, little-endian). It
// does not check what a frame's header asks for beyond what its own safety needs, and it cuts what
// it receives silently to the length that it is given; both are the device's to look after.
// Steering of flows to queues is the kernel's: a flow comes back on the queue that it was last sent
// on, as §5.1.6.5.6 has it.
//
// An interface that is down refuses every frame (EIO). Who may make interfaces, their addresses and
// bridges are not here.
//
// Thread-safety: as NetBackend.
#pragma once

#include <string_view>
#include <vector>

#include "guestproof/base/fd.h"
#include "guestproof/virtio/device/net/backend.h"

namespace guestproof::virtio::net {

class TapBackend final : public NetBackend {
 public:
  /// Joins the tap interface `name`, or makes it, where the caller may; "" or "tap%d" lets the
  /// kernel choose a name. With several pairs it is a multi-queue interface. Errors: TapError,
  /// SystemError::kOpen, kPairs of NetConfigError (not from 1 to kMaxPairs).
  [[nodiscard]] static Result<TapBackend> open(std::string_view name, std::uint16_t pairs = 1);
  /// One descriptor for each queue of one interface, as somebody else opened them with IFF_TAP,
  /// IFF_NO_PI and IFF_VNET_HDR, and with several of them IFF_MULTI_QUEUE. Errors: TapError,
  /// NetConfigError::kPairs.
  [[nodiscard]] static Result<TapBackend> create(std::vector<Fd> queues);

  TapBackend(TapBackend&& other) noexcept
      : queues_(std::move(other.queues_)),
        poll_(std::move(other.poll_)),
        segments_udp_(other.segments_udp_),
        pairs_(other.pairs_) {}

  [[nodiscard]] std::uint16_t max_pairs() const override {
    return static_cast<std::uint16_t>(queues_.size());
  }
  /// All, but segmentation of UDP only where the kernel has it (Linux 6.2).
  [[nodiscard]] std::uint64_t offloads() const override;
  /// One of GUEST_USO4 and GUEST_USO6 without the other is as none: the kernel has both or none.
  [[nodiscard]] Result<void> set_offloads(std::uint64_t guest) override;
  [[nodiscard]] Result<void> set_pairs(std::uint16_t pairs) override;

  // Errors, with errno: SystemError::kWrite, kRead.

  [[nodiscard]] Result<bool> send(std::uint16_t pair, std::span<const ::iovec> parts) override;
  [[nodiscard]] Result<std::optional<std::size_t>> receive(std::uint16_t pair,
                                                           std::span<std::byte> into) override;
  [[nodiscard]] int host_fd() const override { return poll_.get(); }
  void acknowledge() override;

 private:
  TapBackend(std::vector<Fd> queues, Fd poll)
      : queues_(std::move(queues)), poll_(std::move(poll)) {}
  [[nodiscard]] Result<void> prepare();
  /// Attaches and detaches queues until this many are attached, or the kernel refuses.
  [[nodiscard]] Result<void> attach(std::uint16_t pairs);

  std::vector<Fd> queues_;
  Fd poll_;  // epoll(7), edge-triggered: a driver without buffers does not keep it readable
  bool segments_udp_ = false;
  std::uint16_t pairs_ = 0;  // attached; the first ones
};

}  // namespace guestproof::virtio::net
