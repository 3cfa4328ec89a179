// All connections of a socket device: joins each (connection.h) with its socket on the host,
// answers packets of unknown connections, and says which packet the guest gets next.
//
// - A REQUEST opens a socket to the port's service: RESPONSE, or RST when there is none or there
//   are too many connections. A client on the host causes a REQUEST; its port of the host is the
//   next free one from 0x40000000 on.
// - Every other packet of an unknown connection is answered with RST, a RST with nothing. So is a
//   packet that wants_reset() (header.h); with an unknown op it ends the connection that it names.
// - Packets to the guest: RST of unknown connections first, then one packet of each connection in
//   turn, in the order of their ports (the host's, then the guest's).
// - Data from the host is read when the guest has taken what came before, whether or not it has
//   room for more; data to the host is written when it comes, and what the host does not take
//   waits, at most Limits::buffer bytes a connection.
//
// Thread-safety: none.
// Specification: virtio 1.3 §5.10.6.
#pragma once

#include <compare>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "guestproof/virtio/device/vsock/connection.h"
#include "guestproof/virtio/device/vsock/host_sockets.h"

namespace guestproof::virtio::vsock {

struct Limits {
  /// Each has a file descriptor, of which a process has 1024 unless it asks for more, and makes the
  /// host keep 320 KiB with both buffers full: 80 MiB in all. The room for them (ByteQueue) is up
  /// to four times the guest's buffer, 272 MiB in all, where services take half and then no more.
  std::uint32_t connections = 256;
  /// buf_alloc: what Linux gives its own sockets. Four packets of the largest size: the guest fills
  /// some while the host takes others. At least 1.
  std::uint32_t buffer = 256 * 1024;
  /// RST packets of unknown connections that wait for the guest: as many as a tx queue has packets.
  /// While so many wait no packet is taken from the guest. At least 1.
  std::uint32_t replies = 256;
  /// Bytes that are read from the host at a time: the most that a packet carries. At least 1.
  std::uint32_t read = 64 * 1024;
};

/// Events of the host in one turn: as many as there may be connections; the others come in the
/// next.
inline constexpr std::uint32_t kEventsPerTurn = 256;

class Connections {
 public:
  /// `sockets` outlives this. REQUIRES: check_guest_cid().
  Connections(std::uint64_t guest_cid, HostSockets& sockets, const Limits& limits = {});
  ~Connections() { reset(); }
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  void negotiate(std::uint64_t features) { types_ = SocketTypes::negotiated(features); }
  /// All connections end, and nobody is told but the host.
  void reset();

  [[nodiscard]] std::size_t size() const { return table_.size(); }

  // From the guest.

  /// Whether a packet can be received: its answer has a place.
  [[nodiscard]] bool can_receive() const { return replies_.size() < limits_.replies; }
  /// Takes a packet but for its data; true when receive_data() or lose_data() is to come. Errors:
  /// why there is a RST, or with a wrong CID nothing (VsockError, ConnectionError, SocketError).
  /// REQUIRES: can_receive().
  [[nodiscard]] Result<bool> receive(const VsockHdr& header);
  void receive_data(const VsockHdr& header, std::span<const std::byte> data);
  /// The data cannot be read: the connection is reset, for it would have a hole.
  void lose_data(const VsockHdr& header);

  // From the host.

  /// Takes what happened on the host; true when there may be more.
  [[nodiscard]] bool host_ready();

  // To the guest.

  /// Chooses the next packet; false when there is none now. It stays the next one until sent() or
  /// something else is called.
  [[nodiscard]] bool prepare();
  /// Of the packet that was prepared; its data is what it may have at most.
  [[nodiscard]] VsockHdr header() const;
  [[nodiscard]] std::span<const std::byte> data() const;
  /// It was sent with so many bytes of data; with data, at least 1.
  void sent(std::size_t bytes);

 private:
  struct Key {
    std::uint32_t host_port = 0;
    std::uint32_t guest_port = 0;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Entry {
    Connection connection;
    HostSocket socket = HostSocket::kNone;
    bool readable = true, writable = true;  // may be
    bool reading_finished = false, writing_finished = false;
  };
  using Table = std::map<Key, Entry>;

  [[nodiscard]] static Key key_of(const VsockHdr& received) {
    return {received.dst_port, received.src_port};
  }
  [[nodiscard]] Result<void> open(const VsockHdr& request);
  [[nodiscard]] Result<void> refuse(const VsockHdr& received, const Error& why);
  [[nodiscard]] Result<void> deliver(Table::iterator entry, const VsockHdr& header);
  void add(const Key& key, Connection&& connection, HostSocket socket);
  void client(HostSocket socket, std::uint32_t guest_port);
  /// Does at the host's end what the connection asks for.
  void settle(Entry& entry);
  void flush(Entry& entry);
  /// Asks the host for data if the guest could get it.
  void refill(Entry& entry);
  void close(Entry& entry);
  void forget(Table::iterator entry);

  std::uint64_t guest_cid_;
  HostSockets& sockets_;
  Limits limits_;
  SocketTypes types_;
  Table table_;
  std::map<HostSocket, Key> by_socket_;
  std::deque<VsockHdr> replies_;
  Key turn_;  // the last connection that had one
  Key next_;  // the one that was prepared
  bool reply_is_next_ = false;
  std::uint32_t next_port_;
  std::vector<std::byte> read_buffer_;
};

}  // namespace guestproof::virtio::vsock
