// Buffer space of one connection, as both ends account for it: free-running 32-bit counters of
// bytes of data, which wrap. Each end says how large its buffer is (buf_alloc) and how many bytes
// have left it (fwd_cnt), in every packet.
//
// Thread-safety: values.
// Specification: virtio 1.3 §5.10.6.3.
#pragma once

#include <cstdint>

#include "guestproof/virtio/device/vsock/error.h"
#include "guestproof/virtio/device/vsock/wire.h"

namespace guestproof::virtio::vsock {

/// What we may send: the guest's buffer as its last packet told of it.
struct SendCredit {
  std::uint32_t buf_alloc = 0;
  std::uint32_t fwd_cnt = 0;
  std::uint32_t tx_cnt = 0;

  /// Bytes on the way, or in the guest's buffer.
  [[nodiscard]] std::uint32_t in_flight() const { return tx_cnt - fwd_cnt; }
  /// A guest may announce a smaller buffer than what is in it; there is no room then.
  [[nodiscard]] std::uint32_t free() const {
    return in_flight() < buf_alloc ? buf_alloc - in_flight() : 0;
  }

  /// Takes a packet's fields. A fwd_cnt before the last one is an older packet that was overtaken
  /// on its way through the driver (Linux fills headers in before it queues them): the later one
  /// stays, buf_alloc is taken. Errors: ConnectionError::kForwardCount, a fwd_cnt past what was
  /// sent; nothing is taken.
  [[nodiscard]] Result<void> update(const VsockHdr& header) {
    const std::uint32_t ahead = header.fwd_cnt - fwd_cnt;
    const bool older = ahead >= 1U << 31;
    if (!older && ahead > in_flight())
      return fail(ConnectionError::kForwardCount, header.fwd_cnt, tx_cnt);
    buf_alloc = header.buf_alloc;
    if (!older) fwd_cnt = header.fwd_cnt;
    return {};
  }
};

/// What we announce.
struct ReceiveCredit {
  std::uint32_t buf_alloc = 0;
  std::uint32_t fwd_cnt = 0;
  std::uint32_t announced = 0;  // fwd_cnt in the last packet to the guest

  /// Whether the guest is to be told by a packet of its own: what it does not know of is a quarter
  /// of the buffer. It never lacks more than that, and a reader that takes single bytes does not
  /// cause a packet for each.
  [[nodiscard]] bool stale() const { return fwd_cnt - announced >= (buf_alloc + 3) / 4; }

  void announce(VsockHdr& header) {
    header.buf_alloc = buf_alloc;
    header.fwd_cnt = announced = fwd_cnt;
  }
};

}  // namespace guestproof::virtio::vsock
