// The host of a socket device, for tests and scenarios: sockets without a system, whose peers do
// what they are told when they are told, and remember what became of them.
//
// Sockets are numbered from 0 on in the order in which they were opened; a number is not used again
// before clear(). A peer takes any number of bytes until take() says otherwise.
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/virtio/device/vsock/host_sockets.h"

namespace guestproof::testing {

class VsockDeviceHost final : public virtio::vsock::HostSockets {
 public:
  struct Socket {
    std::uint32_t port = 0;             // of the service, or the guest's that a client wants
    bool client = false;                // and not a service
    std::vector<std::byte> sent{};      // by the peer
    std::size_t read = 0;               // of it
    bool ended = false;                 // the peer sends no more
    bool gone = false;                  // and takes no more
    std::vector<std::byte> received{};  // by the peer
    std::uint64_t room = std::numeric_limits<std::uint64_t>::max();  // for as much more
    std::optional<std::uint32_t> accepted{};  // the port of the host that the client was told
    bool writing_finished = false, reading_finished = false;
    bool open = true;
  };

  // What happens on the host. REQUIRES: socket < sockets().size(); on a closed one nothing does.

  /// A client connects; the number of its socket.
  std::size_t connect_client(std::uint32_t guest_port);
  void send(std::size_t socket, std::span<const std::byte> bytes);
  void end(std::size_t socket);
  void go(std::size_t socket);
  /// The peer takes so many bytes from now on, and then waits.
  void take(std::size_t socket, std::uint64_t room);
  /// Says ready for no reason.
  void disturb(std::size_t socket);
  /// These calls fail the next time.
  void fail_connect() { fail_connect_ = true; }
  void fail_accept() { fail_accept_ = true; }
  void fail_read() { fail_read_ = true; }
  /// No write takes more at once.
  void limit_writes(std::size_t bytes) { write_limit_ = bytes; }

  void clear();
  [[nodiscard]] const std::vector<Socket>& sockets() const { return sockets_; }

  [[nodiscard]] int host_fd() const override { return -1; }
  [[nodiscard]] std::optional<virtio::vsock::HostEvent> next_event() override;
  [[nodiscard]] Result<virtio::vsock::HostSocket> connect(std::uint32_t port) override;
  [[nodiscard]] Result<void> accept(virtio::vsock::HostSocket socket, std::uint32_t port) override;
  [[nodiscard]] Result<std::optional<std::size_t>> read(virtio::vsock::HostSocket socket,
                                                        std::span<std::byte> out) override;
  [[nodiscard]] Result<std::optional<std::size_t>> write(virtio::vsock::HostSocket socket,
                                                         std::span<const std::byte> in) override;
  void finish_writing(virtio::vsock::HostSocket socket) override;
  void finish_reading(virtio::vsock::HostSocket socket) override;
  void close(virtio::vsock::HostSocket socket) override;

 private:
  using Kind = virtio::vsock::HostEvent::Kind;

  std::size_t open_socket(std::uint32_t port, bool client);
  void tell(std::size_t socket, Kind kind);
  /// REQUIRES: it is open; a device that uses a closed one is wrong.
  [[nodiscard]] Socket& at(virtio::vsock::HostSocket socket);

  std::vector<Socket> sockets_;
  std::deque<virtio::vsock::HostEvent> events_;
  std::size_t write_limit_ = std::numeric_limits<std::size_t>::max();
  bool fail_connect_ = false, fail_accept_ = false, fail_read_ = false;
};

}  // namespace guestproof::testing
