// What a network device sends to and receives from.
//
// Frames come and go with the header VirtioNetHdr before them. Of those that are sent it was
// checked; those that are received are checked by the device (header.h).
//
// Thread-safety: a back end is called by one device at a time.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "guestproof/base/error.h"
#include "guestproof/virtio/device/net/config.h"

namespace guestproof::virtio::net {

class NetBackend {
 public:
  NetBackend() = default;
  NetBackend(const NetBackend&) = delete;
  NetBackend& operator=(const NetBackend&) = delete;
  virtual ~NetBackend() = default;

  /// How many virtqueue pairs it has queues for.
  [[nodiscard]] virtual std::uint16_t max_pairs() const = 0;
  /// Which of kHostOffloads and kGuestOffloads it can take and give.
  [[nodiscard]] virtual std::uint64_t offloads() const = 0;

  /// What it may leave to the driver from now on; frames that are under way may still have more.
  /// REQUIRES: a part of offloads() and kGuestOffloads, each with what it needs. Errors: its own;
  /// it goes on as before.
  [[nodiscard]] virtual Result<void> set_offloads(std::uint64_t guest) = 0;
  /// Pairs 0 to pairs − 1 are in use from now on, and frames are received on these only. REQUIRES:
  /// from 1 to max_pairs(). Errors: its own; it goes on as before.
  [[nodiscard]] virtual Result<void> set_pairs(std::uint16_t pairs) = 0;

  // On a pair that is not in use, since set_pairs() failed, the next two fail too.

  /// Sends one frame, whose first part is the header; false: not now, host_fd() becomes readable
  /// when it is worth trying again. `parts` may be in guest memory and changing: each byte is read
  /// once. REQUIRES: at most IOV_MAX parts. Errors: its own, the frame is lost.
  [[nodiscard]] virtual Result<bool> send(std::uint16_t pair, std::span<const ::iovec> parts) = 0;
  /// Receives one frame with its header; how many bytes both have. What does not fit is lost.
  /// Nothing: there is none, host_fd() becomes readable when there is. Errors: its own.
  [[nodiscard]] virtual Result<std::optional<std::size_t>> receive(std::uint16_t pair,
                                                                   std::span<std::byte> into) = 0;

  /// −1 for one that never has to be waited for.
  [[nodiscard]] virtual int host_fd() const { return -1; }
  /// host_fd() was seen to be readable, and is so again only when something new happens.
  virtual void acknowledge() {}
};

/// Errors: those of Config::check(); kBackendPairs; kBackendOffloads, an offload is offered that
/// the back end does not have.
[[nodiscard]] Result<void> check_backend(const Config& config, const NetBackend& backend);

}  // namespace guestproof::virtio::net
