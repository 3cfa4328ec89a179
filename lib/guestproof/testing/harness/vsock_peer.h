// The simplest socket device that makes use of all of virtio/device/vsock: what model/vsock_model.h
// describes, with the library's packet code. Not here: connections, and which queue is served when.
//
// Thread-safety: none.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "guestproof/testing/model/vsock_model.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/device/vsock/header.h"
#include "guestproof/virtio/device/vsock/packet.h"
#include "guestproof/virtio/queue/virt_queue.h"

namespace guestproof::testing {

class VsockPeer {
 public:
  using Chain = virtio::Chain<virtio::VirtQueue<WatchedMemory>>;

  /// A packet that waits for a receive buffer.
  struct Answer {
    virtio::vsock::VsockHdr header;
    std::vector<std::byte> data;
    std::size_t sent = 0;  // of the data

    [[nodiscard]] std::span<const std::byte> rest() const { return std::span(data).subspan(sent); }
  };

  explicit VsockPeer(const VsockLimits& limits) : limits_(limits) {}

  void reset();
  /// Errors: kGuestCid; the CID stays.
  Result<void> set_guest_cid(std::uint64_t cid);
  void negotiate(std::uint64_t features) {
    types_ = virtio::vsock::SocketTypes::negotiated(features);
  }
  /// The host has something to send; addresses and len are filled in.
  void send(virtio::vsock::VsockHdr header, std::span<const std::byte> data);

  /// Takes the packet of a tx chain, and answers it. Returns its header. Errors: ChainError,
  /// VsockError, MemoryError.
  Result<virtio::vsock::VsockHdr> transmit(const Chain& chain);
  /// Puts the first answer, or as much of it as fits, into an rx chain. Returns the used length.
  /// Errors: as transmit(). REQUIRES: there is an answer.
  Result<std::uint32_t> receive(const Chain& chain);

  [[nodiscard]] std::size_t answers() const { return count_; }
  /// REQUIRES: position < answers().
  [[nodiscard]] const Answer& answer(std::size_t position) const {
    return ring_[(first_ + position) % ring_.size()];
  }
  [[nodiscard]] std::span<const std::byte> sink() const { return sink_; }
  [[nodiscard]] std::uint32_t taken() const { return taken_; }
  [[nodiscard]] std::uint32_t guest_buf_alloc() const { return guest_buf_alloc_; }
  [[nodiscard]] std::uint32_t guest_fwd_cnt() const { return guest_fwd_cnt_; }

 private:
  /// The data at the end of the sink.
  Result<std::span<const std::byte>> take_data(virtio::Reader<WatchedMemory> data);
  void respond(const virtio::vsock::VsockHdr& packet, std::span<const std::byte> data);
  void push(const virtio::vsock::VsockHdr& header, std::span<const std::byte> data);
  void push_with_credit(virtio::vsock::VsockHdr header, std::span<const std::byte> data);
  void pop();

  VsockLimits limits_;
  std::uint64_t guest_cid_ = 3;
  virtio::vsock::SocketTypes types_{.stream = true, .seqpacket = true};
  std::array<Answer, VsockModel::kAnswers> ring_;  // their vectors are used again and again
  std::size_t first_ = 0, count_ = 0;
  std::vector<std::byte> sink_;
  std::uint32_t taken_ = 0, guest_buf_alloc_ = 0, guest_fwd_cnt_ = 0;
};

}  // namespace guestproof::testing
