// Frames over descriptor chains: a 12-byte header and an Ethernet frame, cut into descriptors in
// any way (§2.7.4.2).
//
// A TxFrame is what the driver sends: its header was fetched once into a private copy and checked,
// and the frame itself stays in guest memory, for a system call to copy out of. An RxRoom is the
// buffers for one received frame: one chain, or with VIRTIO_NET_F_MRG_RXBUF as many as it takes.
//
// Thread-safety: values for one thread; valid as long as the chains are held and their queue is not
// reset.
// Specification: virtio 1.3 §5.1.6.2 to §5.1.6.4.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "guestproof/virtio/device/net/header.h"
#include "guestproof/virtio/queue/chain.h"

namespace guestproof::virtio::net {

/// The parts of host memory that one writev(2) takes (IOV_MAX), the header's among them. A chain of
/// a queue of 256 comes near it only where guest memory is in hundreds of pieces.
inline constexpr std::size_t kMaxParts = 1024;

/// Fills `parts` with the header, `header` being where its checked copy goes, and the frame in a
/// chain of a transmit queue. The first of these that applies is the error:
///   1. the chain's fault() (ChainError, QueueError::kStaleChain)
///   2. kTxWritable    the chain has device-writable bytes (§5.1.6.2: an output descriptor)
///   3. kTxHeader      fewer than 12 device-readable bytes
///   4. a MemoryError  the header is not in guest memory
///   5. those of header.h, for the frame being all bytes after the header
///   6. a MemoryError  the frame is not in guest memory
///   7. kTxParts       more than kMaxParts parts
template <class Queue>
[[nodiscard]] Result<void> parse_tx(const Chain<Queue>& chain, const Offloads& offloads,
                                    const FrameLimits& limits, VirtioNetHdr& header,
                                    std::vector<::iovec>& parts) {
  if (chain.fault()) return std::unexpected(*chain.fault());
  if (chain.writable_bytes() != 0) return fail(NetError::kTxWritable, chain.writable_bytes());
  if (chain.readable_bytes() < sizeof(VirtioNetHdr))
    return fail(NetError::kTxHeader, chain.readable_bytes(), sizeof(VirtioNetHdr));
  auto reader = chain.reader();
  const auto fetched = reader.template read_object<VirtioNetHdr>();
  if (!fetched) return std::unexpected(fetched.error());
  const auto checked = checked_tx_header(*fetched, offloads, limits, reader.remaining());
  if (!checked) return std::unexpected(checked.error());
  header = *checked;
  parts.clear();
  parts.push_back({&header, sizeof header});
  const auto found = reader.visit_slices(
      reader.remaining(), [&](const auto& slice) { parts.push_back(slice.io_source()); });
  if (!found) return found;
  if (parts.size() > kMaxParts) return fail(NetError::kTxParts, parts.size(), kMaxParts);
  return {};
}

template <class Queue>
class RxRoom {
 public:
  /// Takes a chain of a receive queue in. The first of these that applies is the error, and the
  /// chain is the caller's:
  ///   1. the chain's fault() (ChainError, QueueError::kStaleChain)
  ///   2. kRxReadable    the chain has device-readable bytes (§5.1.6.3)
  ///   3. kRxHeader      fewer than 12 device-writable bytes: §5.1.6.3.1 asks that of every buffer
  ///                     with VIRTIO_NET_F_MRG_RXBUF, and without it there is no room either
  ///   4. a MemoryError  some byte of it is not in writable guest memory
  [[nodiscard]] Result<void> add(Chain<Queue>& chain) {
    if (chain.fault()) return std::unexpected(*chain.fault());
    if (chain.readable_bytes() != 0) return fail(NetError::kRxReadable, chain.readable_bytes());
    if (chain.writable_bytes() < sizeof(VirtioNetHdr))
      return fail(NetError::kRxHeader, chain.writable_bytes(), sizeof(VirtioNetHdr));
    auto writer = chain.writer();
    if (const auto ok = writer.visit_slices(writer.remaining(), [](const auto&) {}); !ok) return ok;
    bytes_ += chain.writable_bytes();
    chains_.push_back(std::move(chain));
    return {};
  }

  [[nodiscard]] std::size_t chains() const { return chains_.size(); }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  /// Writes the header, its num_buffers being the chains here, and the frame, and returns the
  /// chains so that the driver sees them together (§5.1.6.4.1); each but the last is used to its
  /// end. REQUIRES: they fit, and not into fewer chains. Errors: QueueError::kStaleChain.
  [[nodiscard]] Result<void> deliver(VirtioNetHdr header, std::span<const std::byte> frame) {
    header.num_buffers = static_cast<std::uint16_t>(chains_.size());
    auto head = std::as_bytes(std::span(&header, 1));
    written_.clear();
    for (const auto& chain : chains_) {
      auto writer = chain.writer();
      const auto room = writer.remaining();
      for (auto* const rest : {&head, &frame}) {
        const auto part = std::min<std::uint64_t>(rest->size(), writer.remaining());
        // add() has seen that all of the chain is writable memory.
        GUESTPROOF_INVARIANT(writer.write(rest->first(part)));
        *rest = rest->subspan(part);
      }
      written_.push_back(static_cast<std::uint32_t>(room - writer.remaining()));
    }
    GUESTPROOF_INVARIANT(frame.empty());
    const auto done = Chain<Queue>::complete_together(chains_, written_);
    forget();
    return done;
  }

  /// The chains are as if they had never been taken.
  void put_back() {
    for (; !chains_.empty(); chains_.pop_back()) static_cast<void>(chains_.back().put_back());
    forget();
  }
  /// Returns the chains with nothing in them.
  void give_back() { forget(); }

 private:
  void forget() {
    chains_.clear();
    bytes_ = 0;
  }

  std::vector<Chain<Queue>> chains_;
  std::vector<std::uint32_t> written_;
  std::uint64_t bytes_ = 0;
};

}  // namespace guestproof::virtio::net
