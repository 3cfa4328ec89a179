// The host's end of connections on Unix sockets, as Firecracker and Cloud Hypervisor have it:
//
// - A guest that connects to port P of the host reaches the socket PATH_P, which the service of
//   that port listens on.
// - A client on the host connects to PATH and sends "CONNECT P\n", P in decimal. When the guest's
//   service has accepted it reads "OK H\n", H the connection's port of the host; then bytes go both
//   ways. When the guest does not accept, the socket is closed.
//
// Not here: timeouts. A client that does not want to wait for its OK any longer closes its socket,
// a guest that does not want to wait for the host sends RST; a VMM that wants more closes what it
// listens on.
//
// Thread-safety: none.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "guestproof/base/fd.h"
#include "guestproof/virtio/device/vsock/host_sockets.h"

namespace guestproof::virtio::vsock {

/// The longest "CONNECT port\n".
inline constexpr std::size_t kMaxConnectText = std::string_view("CONNECT 4294967295\n").size();
/// Clients that have connected and not yet sent their text. Each has a file descriptor; when one
/// more comes the oldest is closed, so clients that stay silent keep nobody out. Others send their
/// text at once: more than a few at a time are not to be expected.
inline constexpr std::size_t kMaxSilentClients = 32;

/// Clients that are accepted or heard in one call of next_event(): twice as many as may be silent,
/// each when it comes and when it may write. Clients that come, say and go without an end do not
/// keep a call from ending.
inline constexpr std::size_t kLooksPerEvent = 4 * kMaxSilentClients;

/// The port of a client's text, which ends with the first '\n'; nothing when it is not complete.
/// Errors: SocketError::kConnectText (bytes that were looked at, kMaxConnectText).
[[nodiscard]] Result<std::optional<std::uint32_t>> parse_connect(std::string_view text);

class UnixSockets final : public HostSockets {
 public:
  /// Creates the socket at `path`, where nothing is but, maybe, a socket that nobody listens at any
  /// more; it is removed in the end. Who starts two at one path at the same time sees to it that
  /// they do not take each other's for such a one. Errors: SocketError::kPath (there is no room for
  /// a port after it), kSocket, kBind, kEpoll.
  [[nodiscard]] static Result<std::unique_ptr<UnixSockets>> listen(std::string path);
  ~UnixSockets() override;

  [[nodiscard]] int host_fd() const override { return epoll_.get(); }
  [[nodiscard]] std::optional<HostEvent> next_event() override;
  [[nodiscard]] Result<HostSocket> connect(std::uint32_t port) override;
  [[nodiscard]] Result<void> accept(HostSocket socket, std::uint32_t port) override;
  [[nodiscard]] Result<std::optional<std::size_t>> read(HostSocket socket,
                                                        std::span<std::byte> out) override;
  [[nodiscard]] Result<std::optional<std::size_t>> write(HostSocket socket,
                                                         std::span<const std::byte> in) override;
  void finish_writing(HostSocket socket) override;
  void finish_reading(HostSocket socket) override;
  void close(HostSocket socket) override;

 private:
  UnixSockets(std::string path, Fd listener, Fd epoll)
      : path_(std::move(path)), listener_(std::move(listener)), epoll_(std::move(epoll)) {}

  [[nodiscard]] Result<void> watch(int fd) const;
  /// At most `looks` of them, which become fewer.
  [[nodiscard]] std::optional<HostEvent> accept_clients(std::size_t& looks);
  /// What a client that was silent has to say now.
  [[nodiscard]] std::optional<HostEvent> listen_to(const std::deque<Fd>::iterator& client);

  std::string path_;
  Fd listener_;
  Fd epoll_;
  bool clients_wait_ = false;  // there may be some that are not accepted
  std::deque<Fd> silent_;      // the oldest first
  std::map<HostSocket, Fd> open_;
};

}  // namespace guestproof::virtio::vsock
