// A second opinion on vsock packets: how a socket device with the simplest of peers behind it
// answers, written from virtio 1.3 §5.10 and from the policies that the headers in
// virtio/device/vsock/ state. It shares no code with them: only guest memory's bytes.
//
// The peer knows no connections. It accepts every REQUEST, sends the data of every RW back, answers
// CREDIT_REQUEST with CREDIT_UPDATE and SHUTDOWN with RST, and lets the other packets be. Its
// answers wait in a queue of at most kAnswers (what comes then is dropped) until the driver has a
// buffer for them: stream data is cut to fit a buffer, other packets stay whole and wait for a
// buffer that is large enough; one that is larger than any packet may be is dropped.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "guestproof/testing/model/queue_model.h"
#include "guestproof/testing/model/vsock_header.h"

namespace guestproof::testing {

/// What model and peer agree upon beforehand.
struct VsockLimits {
  std::uint32_t tx_data = 1024;  // of one packet
  std::uint32_t rx_data = 512;
  std::uint32_t sink = 4096;  // received data that is kept; a packet that does not fit any more
                              // empties the sink first
  std::uint32_t buf_alloc = 4096;  // what the peer announces
};

struct ModelVsockPacket : ModelVsockHeader {
  std::vector<std::uint8_t> data;  // `len` counts when it is sent
};

class VsockModel {
 public:
  static constexpr std::size_t kAnswers = 16;

  explicit VsockModel(const VsockLimits& limits) : limits_(limits) {}

  void reset();
  /// False, and the CID stays, when a guest may not have it.
  [[nodiscard]] bool set_guest_cid(std::uint64_t cid);
  void negotiate(std::uint64_t features);
  /// The host has something to send.
  void send(ModelVsockPacket packet);

  /// Takes the packet of a good tx chain.
  [[nodiscard]] ModelError transmit(const WatchedMemory& memory, const ModelChain& chain);
  struct Received {
    ModelError error;
    std::uint32_t used = 0;
  };
  /// Puts the first answer into a good rx chain. REQUIRES: there is an answer.
  [[nodiscard]] Received receive(const WatchedMemory& memory, const ModelChain& chain);

  [[nodiscard]] std::uint64_t guest_cid() const { return guest_cid_; }
  [[nodiscard]] const std::vector<ModelVsockPacket>& answers() const { return answers_; }
  [[nodiscard]] const std::vector<std::uint8_t>& sink() const { return sink_; }
  /// Bytes of data that were taken in all.
  [[nodiscard]] std::uint32_t taken() const { return taken_; }
  /// The credit that the last good packet announced.
  [[nodiscard]] std::uint32_t guest_buf_alloc() const { return guest_buf_alloc_; }
  [[nodiscard]] std::uint32_t guest_fwd_cnt() const { return guest_fwd_cnt_; }

 private:
  [[nodiscard]] bool type_allowed(std::uint16_t type) const;
  void take_data(const std::vector<std::uint8_t>& data);
  void answer(ModelVsockPacket&& packet);
  void reply(const ModelVsockPacket& to, std::uint16_t op, std::vector<std::uint8_t> data);
  void reset_sender(const ModelVsockPacket& sender);

  VsockLimits limits_;
  std::uint64_t guest_cid_ = 3;
  bool stream_ = true, seqpacket_ = true;
  std::vector<ModelVsockPacket> answers_;
  std::vector<std::uint8_t> sink_;
  std::uint32_t taken_ = 0, guest_buf_alloc_ = 0, guest_fwd_cnt_ = 0;
};

}  // namespace guestproof::testing
