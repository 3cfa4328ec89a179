// Vsock packets over descriptor chains: a 44-byte header and `len` bytes of data, cut into
// descriptors in any way (virtio 1.3 §2.7.4.2).
//
// A TxPacket is what the guest sends: its header is fetched once, into a private copy, and the data
// is a Reader of exactly `len` bytes, copied only by whoever reads it. An RxPacket is room for one
// packet to the guest. Neither owns its chain: the device completes it, a tx chain with used length
// 0 always, an rx chain with what write() returned, or 0 after an error. Not here: what the header
// says (header.h), connections, credit.
//
// Thread-safety: values for one thread; valid as long as the chain is held and its queue is not
// reset.
// Specification: virtio 1.3 §5.10.6 and §5.10.6.4.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "guestproof/virtio/device/vsock/error.h"
#include "guestproof/virtio/device/vsock/wire.h"
#include "guestproof/virtio/queue/chain.h"

namespace guestproof::virtio::vsock {

/// The data of one packet, unless the device says otherwise: the most that Linux puts into a packet
/// as a driver and takes as a host, so nothing legitimate is refused, and one packet cannot make
/// the device buffer more.
inline constexpr std::uint32_t kMaxDataBytes = 64 * 1024;

template <GuestMemory M>
class TxPacket {
 public:
  /// The packet in a chain of the tx queue. The first of these that applies is the error:
  ///   1. the chain's fault() (ChainError, QueueError::kStaleChain)
  ///   2. kTxWritable    the chain has device-writable bytes (§5.10.6.4: read-only)
  ///   3. kTxHeader      fewer than 44 device-readable bytes
  ///   4. a MemoryError  the header is not in guest memory
  ///   5. kTxDataLimit   header.len > max_data
  ///   6. kTxDataLength  header.len > the device-readable bytes after the header
  /// Bytes beyond `len` are allowed and never looked at (§5.10.6). Whether the data is in guest
  /// memory is seen when it is read.
  template <class Queue>
  [[nodiscard]] static Result<TxPacket> parse(const Chain<Queue>& chain,
                                              std::uint32_t max_data = kMaxDataBytes) {
    if (chain.fault()) return std::unexpected(*chain.fault());
    if (chain.writable_bytes() != 0) return fail(VsockError::kTxWritable, chain.writable_bytes());
    if (chain.readable_bytes() < sizeof(VsockHdr))
      return fail(VsockError::kTxHeader, chain.readable_bytes(), sizeof(VsockHdr));
    auto reader = chain.reader();
    const auto header = reader.template read_object<VsockHdr>();
    if (!header) return std::unexpected(header.error());
    if (header->len > max_data) return fail(VsockError::kTxDataLimit, header->len, max_data);
    if (header->len > reader.remaining())
      return fail(VsockError::kTxDataLength, header->len, reader.remaining());
    return TxPacket(*header, *reader.split(header->len));
  }

  [[nodiscard]] const VsockHdr& header() const { return header_; }
  /// A fresh reader of the `len` bytes of data.
  [[nodiscard]] Reader<M> data() const { return data_; }

 private:
  TxPacket(const VsockHdr& header, const Reader<M>& data) : header_(header), data_(data) {}

  VsockHdr header_;
  Reader<M> data_;
};

template <GuestMemory M>
class RxPacket {
 public:
  /// The room for a packet in a chain of the rx queue. The first of these that applies is the
  /// error:
  ///   1. the chain's fault() (ChainError, QueueError::kStaleChain)
  ///   2. kRxReadable  the chain has device-readable bytes (§5.10.6.4: write-only)
  ///   3. kRxHeader    fewer than 44 device-writable bytes
  template <class Queue>
  [[nodiscard]] static Result<RxPacket> open(const Chain<Queue>& chain,
                                             std::uint32_t max_data = kMaxDataBytes) {
    if (chain.fault()) return std::unexpected(*chain.fault());
    if (chain.readable_bytes() != 0) return fail(VsockError::kRxReadable, chain.readable_bytes());
    if (chain.writable_bytes() < sizeof(VsockHdr))
      return fail(VsockError::kRxHeader, chain.writable_bytes(), sizeof(VsockHdr));
    return RxPacket(chain.writer(), max_data);
  }

  /// The most data that write() takes: what the chain holds after the header, what a used length
  /// can report, and max_data.
  [[nodiscard]] std::uint32_t room() const { return std::min(max_data_, space()); }

  /// Writes `header`, with `data`'s size as its len, and `data` after it. Returns the used length.
  /// The first of these that applies is the error, and nothing is written then:
  ///   1. kRxDataLimit   more data than max_data
  ///   2. kRxDataLength  more data than the chain holds after the header
  ///   3. a MemoryError  some byte of the packet is not in writable guest memory
  [[nodiscard]] Result<std::uint32_t> write(VsockHdr header,
                                            std::span<const std::byte> data = {}) const {
    if (data.size() > max_data_) return fail(VsockError::kRxDataLimit, data.size(), max_data_);
    if (data.size() > space()) return fail(VsockError::kRxDataLength, data.size(), space());
    header.len = static_cast<std::uint32_t>(data.size());
    const auto used = static_cast<std::uint32_t>(sizeof header + data.size());
    if (const auto ok = check(used); !ok) return std::unexpected(ok.error());
    auto writer = writer_;
    if (const auto ok = writer.write_object(header); !ok) return std::unexpected(ok.error());
    if (const auto ok = writer.write(data); !ok) return std::unexpected(ok.error());
    return used;
  }

 private:
  RxPacket(const Writer<M>& writer, std::uint32_t max_data)
      : writer_(writer), max_data_(max_data) {}

  [[nodiscard]] std::uint32_t space() const {
    constexpr std::uint64_t kMaxUsed = std::numeric_limits<std::uint32_t>::max();
    return static_cast<std::uint32_t>(std::min(writer_.remaining(), kMaxUsed) - sizeof(VsockHdr));
  }
  /// A driver that gave a buffer outside guest memory gets no half of a packet.
  [[nodiscard]] Result<void> check(std::uint32_t used) const {
    auto probe = writer_;
    return probe.visit_slices(used, [](const typename M::Slice&) {});
  }

  Writer<M> writer_;
  std::uint32_t max_data_;
};

}  // namespace guestproof::virtio::vsock
