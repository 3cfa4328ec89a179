// The host's end of connections, as the device needs it: byte streams that are opened to a port's
// service, or come from a client that wants a port of the guest; never a call that waits.
// UnixSockets is the real one.
//
// What a socket is ready for is told once: when a read or a write would block, an event says when
// it is worth another attempt. An event is a hint; the attempt may find nothing all the same.
//
// Thread-safety: none; one device's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "guestproof/virtio/device/vsock/error.h"

namespace guestproof::virtio::vsock {

/// Names an open socket; used again after close().
enum class HostSocket : int { kNone = -1 };

struct HostEvent {
  enum class Kind : std::uint8_t {
    kConnect,  // a client wants a connection to `port`; its socket is open
    kReady,    // reading or writing is worth an attempt; of kNone: there may be more, ask again
    kGone,     // as kReady, and the peer takes no more data
  };

  Kind kind = Kind::kReady;
  HostSocket socket = HostSocket::kNone;
  std::uint32_t port = 0;  // kConnect
};

class HostSockets {
 public:
  HostSockets() = default;
  HostSockets(const HostSockets&) = delete;
  HostSockets& operator=(const HostSockets&) = delete;
  virtual ~HostSockets() = default;

  /// Readable when next_event() may find something.
  [[nodiscard]] virtual int host_fd() const = 0;
  [[nodiscard]] virtual std::optional<HostEvent> next_event() = 0;

  /// Opens a connection to the service of a port. Errors: SocketError::kConnect, kSocket, kEpoll.
  [[nodiscard]] virtual Result<HostSocket> connect(std::uint32_t port) = 0;
  /// Tells the client of a kConnect that the guest has accepted, before any data; the connection's
  /// port of the host. Errors: SocketError::kWrite.
  [[nodiscard]] virtual Result<void> accept(HostSocket socket, std::uint32_t port) = 0;
  /// Bytes that were read, 0 at the end of the peer's data; nothing when it would block. Errors:
  /// SocketError::kRead. REQUIRES: `out` is not empty.
  [[nodiscard]] virtual Result<std::optional<std::size_t>> read(HostSocket socket,
                                                                std::span<std::byte> out) = 0;
  /// Bytes that were written, more than 0; nothing when it would block. Errors:
  /// SocketError::kWrite. REQUIRES: `in` is not empty.
  [[nodiscard]] virtual Result<std::optional<std::size_t>> write(HostSocket socket,
                                                                 std::span<const std::byte> in) = 0;
  /// The peer sees the end of our data.
  virtual void finish_writing(HostSocket socket) = 0;
  /// The peer's writes fail from now on.
  virtual void finish_reading(HostSocket socket) = 0;
  virtual void close(HostSocket socket) = 0;
};

}  // namespace guestproof::virtio::vsock
