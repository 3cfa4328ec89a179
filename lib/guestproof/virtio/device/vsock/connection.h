// One connection between a port of the guest and a port of the host: what the guest's packets do to
// it, what the host's end does to it, and which packet the guest is to get next. No sockets and no
// guest memory here; connections.h joins it with the host's end.
//
// Packets of the guest, by state (RST ends the connection in every one and is for the owner of the
// table, as is a REQUEST for a connection that does not exist):
//
//               kRequested          kEstablished                          kReset
//   RESPONSE    kEstablished        kReset (kEstablished)                 ignored
//   REQUEST     kReset              kReset (kEstablished)                 ignored
//   RW          kReset              data; kReset after SHUTDOWN with      ignored
//                                   SEND (kAfterShutdown), and when the
//                                   buffer has no room (kNoCredit)
//   SHUTDOWN    kReset              flags add up                          ignored
//   CREDIT_…    kReset              credit                                ignored
//               (kNotEstablished)   all: kReset for kForwardCount
//
// kRequested: the host asked, the guest has not answered. In kReset a RST is owed to the guest, and
// nothing else counts any more: the protocol was violated, or both ends are done. Data is carried
// whole and in order, or there is a RST; credit sees to it that there is room.
//
// Shutdown, guest to host: with SEND the host's end is shut down for writing once it has all data;
// with RECEIVE what waits for the guest is dropped; with both it is the end, a RST is owed once the
// host has all data. Host to guest: SEND when the host's end has no more data and the guest has
// all, RECEIVE when the host's end takes no more. When both were said the connection is forgotten
// without waiting for the guest's RST: the host's socket is gone, whatever the guest may still send
// is answered with RST as for any unknown connection, and no timer is needed.
//
// Thread-safety: none.
// Specification: virtio 1.3 §5.10.6.3, §5.10.6.5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "guestproof/virtio/device/vsock/byte_queue.h"
#include "guestproof/virtio/device/vsock/credit.h"
#include "guestproof/virtio/device/vsock/header.h"

namespace guestproof::virtio::vsock {

class Connection {
 public:
  enum class State : std::uint8_t { kRequested, kEstablished, kReset };

  /// The host asks; a REQUEST is owed. `buffer`: bytes of the guest that may wait for the host.
  [[nodiscard]] static Connection by_host(std::uint32_t buffer);
  /// The guest asked with this header, and the host's end is there; a RESPONSE is owed.
  [[nodiscard]] static Connection by_guest(std::uint32_t buffer, const VsockHdr& request);

  [[nodiscard]] State state() const { return state_; }

  // The guest.

  /// A packet, but for a RW's data. Errors: those of the table above; a RST is owed then. REQUIRES:
  /// check_header() found nothing, not a RST.
  [[nodiscard]] Result<void> receive(const VsockHdr& header);
  /// The data of a RW that was received just now; dropped when the host's end takes no more, or
  /// the state is kReset.
  void receive_data(std::span<const std::byte> data);
  /// The end by force; a RST is owed.
  void reset();

  // The host's end.

  /// What waits for it.
  [[nodiscard]] std::span<const std::byte> to_host() const { return to_host_.bytes(); }
  /// It took so many bytes. REQUIRES: count ≤ to_host().size().
  void forwarded(std::size_t count);
  /// Whether it has all data of a guest that sends no more.
  [[nodiscard]] bool drained() const { return guest_sends_no_more() && to_host_.empty(); }
  [[nodiscard]] bool guest_receives_no_more() const { return guest_shutdown(kReceive); }
  /// Whether data from it would be of use now: the guest has all that came before.
  [[nodiscard]] bool wants_data() const;
  /// Data from it. REQUIRES: wants_data().
  void offer(std::span<const std::byte> data) { to_guest_.push(data); }
  /// It has no more data.
  void host_sends_no_more() { host_shutdown_ |= kSend; }
  /// It takes no more data. A guest that was not connected yet gets a RST.
  void host_receives_no_more();

  // What the guest is to get.

  /// The op of the next packet; nothing when there is none now.
  [[nodiscard]] std::optional<Op> next() const;
  /// The data that a RW may have now.
  [[nodiscard]] std::span<const std::byte> data() const;
  /// Fills in everything of the next packet's header but addresses. It counts as sent when sent()
  /// is called.
  void fill(VsockHdr& header) const;
  /// The next packet was sent, a RW with so many bytes of data. REQUIRES: next(), bytes ≤
  /// data().size().
  void sent(std::size_t bytes);
  /// Nothing will come of this connection any more: it is to be forgotten.
  [[nodiscard]] bool finished() const { return finished_; }

 private:
  // Masks of SHUTDOWN's flags.
  static constexpr std::uint32_t kReceive = 1U << VIRTIO_VSOCK_SHUTDOWN_F_RECEIVE;
  static constexpr std::uint32_t kSend = 1U << VIRTIO_VSOCK_SHUTDOWN_F_SEND;

  Connection(State state, std::uint32_t buffer) : state_(state) { receive_.buf_alloc = buffer; }

  [[nodiscard]] Result<void> check_state(Op op) const;
  [[nodiscard]] Result<void> act(const VsockHdr& header);
  [[nodiscard]] bool guest_shutdown(std::uint32_t mask) const {
    return (guest_shutdown_ & mask) == mask;
  }
  [[nodiscard]] bool guest_sends_no_more() const { return guest_shutdown(kSend); }
  /// SHUTDOWN's flags as they are to be: SEND only when the guest has all data.
  [[nodiscard]] std::uint32_t shutdown() const;
  void end_when_drained();

  State state_;
  bool opening_ = true;          // REQUEST or RESPONSE is owed
  bool credit_asked_ = false;    // by the guest: CREDIT_UPDATE is owed
  bool credit_awaited_ = false;  // we asked, and there is none still
  bool finished_ = false;
  std::uint32_t guest_shutdown_ = 0, host_shutdown_ = 0, told_ = 0;  // told_: of host_shutdown_
  SendCredit send_;
  ReceiveCredit receive_;
  ByteQueue to_host_, to_guest_;
};

}  // namespace guestproof::virtio::vsock
