// Vsock packets under test, with a peer behind them that answers (vsock_peer.h), and its model.
//
// Queue 0 is the tx queue and queue 1 the rx queue, so that an empty program sends a packet; the
// device's own order is the other way round.
//
// A request on the tx queue is a packet:
//   kind     bits 0-3 (modulo 9): the op, except that 0 is RW and 5 is INVALID; 8 is unknown.
//            bits 4-7: type - 1, so 0 is STREAM, 1 SEQPACKET, 15 the invalid 0
//   value    src_port, and dst_port in its upper half
//   length   bytes of data, modulo the limit of 1024 + 1, and the header's len
//   address  where the data lies
//   next     fwd_cnt
//   extra    buf_alloc, and its lowest four bits are the header's flags
//   cut, flags  as in RequestShape: pieces of header and data, indirect, data behind the header
// With flags=raw nothing is put right:
//   value    four times 16 bits that change (exclusive or) src_cid, its upper 32 bits, dst_cid, and
//            its upper 32 bits
//   length   the header's len, whatever data there is
//   index    bytes of data that the chain has, modulo 2048; negative (0xffff is -1): so many bytes
//            of the header are missing
//   next     modulo 64: device-writable bytes at the end
//
// A request on the rx queue is a buffer:
//   length   room for data after a header, modulo 2048; 512 when 0
//   cut      bits 2-4: more pieces
//   address  where it lies
// With flags=raw, `length` (modulo 4096) is all of the buffer, and `index` (modulo 64)
// device-readable bytes come first.
//
// A `backend` record is what happens on the host, kind modulo 3:
//   0  the host sends: bits 0-2 of the value are the op - 1 (modulo 7), bit 3 means SEQPACKET, and
//      from bit 16 on it is the length of the data (modulo 1025)
//   1  these feature bits are negotiated
//   2  the guest's CID changes
#pragma once

#include <string_view>
#include <vector>

#include "guestproof/testing/harness/harness.h"
#include "guestproof/testing/harness/vsock_peer.h"
#include "guestproof/testing/model/vsock_model.h"

namespace guestproof::testing {

class VsockHarness : public Harness {
 public:
  VsockHarness();

  [[nodiscard]] std::string_view name() const override { return "vsock"; }

 protected:
  void reset_device() override;
  void request(Lane& lane, const Record& record) override;
  /// Until nothing is left to do, however many looks that takes: a packet's device is not this
  /// library's.
  [[nodiscard]] Turn serve(Lane& lane, std::uint32_t looks) override;
  [[nodiscard]] Turn serve_model(Lane& lane, std::uint32_t looks) override;
  void backend(const Record& record) override;
  void compare_outside_memory() override;

 private:
  /// What the model did with a chain.
  struct Served {
    ModelChain chain;
    ModelError error;  // the chain's own fault aside
    std::uint32_t used = 0;
  };

  [[nodiscard]] bool is_tx(const Lane& l) { return &l == &lane(0); }
  void request_tx(Lane& lane, const Record& record);
  void request_rx(Lane& lane, const Record& record);
  [[nodiscard]] GuestAddress place_data(const Lane& lane, const Record& record,
                                        std::uint32_t length);

  /// Serves one chain and returns it.
  void transmit(WatchedChain& chain, const Served& expected);
  void receive(WatchedChain& chain, const Served& expected);
  [[nodiscard]] Served transmit_model(const ModelChain& chain);
  [[nodiscard]] Served receive_model(const ModelChain& chain);
  void compare_error(const std::optional<Error>& error, const Served& expected);
  static void finish(WatchedChain& chain, std::uint32_t used);
  void count_packet(const virtio::vsock::VsockHdr& header, const WatchedChain& chain);

  VsockLimits limits_;
  VsockPeer peer_{limits_};
  VsockModel model_{limits_};
  std::vector<Served> served_;  // by the model, in this step
  std::uint32_t data_cursor_ = 0;

  Depth::Index ops_, types_, rx_ops_;  // the first of each
  Depth::Index data_, same_descriptor_, following_descriptor_, split_header_, resets_, rx_data_,
      rx_cut_, full_;
};

}  // namespace guestproof::testing
