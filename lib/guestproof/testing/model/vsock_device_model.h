// A second opinion on the socket device: connections, credit, and which packet comes when, written
// from virtio 1.3 §5.10 and from the policies that connection.h, connections.h and virtio_vsock.h
// in virtio/device/vsock/ state; and on the host that a scenario scripts for it
// (harness/vsock_device_host.h). It shares no code with any of them.
//
// Counters do not wrap here: bytes are counted in 64 bits, and the guest's 32 are what is left of
// that.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "guestproof/testing/model/lifecycle_model.h"
#include "guestproof/testing/model/vsock_header.h"

namespace guestproof::testing {

/// A socket of the host and its peer.
struct ModelSocket {
  std::uint32_t port = 0;
  bool client = false;
  std::vector<std::uint8_t> sent{};
  std::size_t read = 0;
  bool ended = false, gone = false;
  std::vector<std::uint8_t> received{};
  std::uint64_t room = UINT64_MAX;
  std::optional<std::uint32_t> accepted{};
  bool writing_finished = false, reading_finished = false, open = true;
};

struct ModelHost {
  enum class Event : std::uint8_t { kConnect, kReady, kGone };

  std::vector<ModelSocket> sockets;
  std::deque<std::pair<Event, std::size_t>> events;
  std::uint64_t most_written = UINT64_MAX;  // by one write
  bool fail_connect = false, fail_accept = false, fail_read = false;
};

class VsockDeviceModel final : public DeviceModel {
 public:
  struct Limits {
    std::uint32_t connections, buffer, replies, read;
  };
  using Packet = ModelVsockHeader;
  struct Connection {
    std::uint32_t host_port = 0, guest_port = 0;
    std::size_t socket = 0;
    bool by_host = false;
    bool opening = true;  // its first packet was not sent
    bool established = false;
    bool dead = false;  // a RST is owed
    bool may_read = true, may_write = true;
    // The guest's data: what came, what the host took, what the guest knows of that.
    std::uint64_t came = 0, taken = 0, known = 0;
    std::vector<std::uint8_t> to_host;
    // The host's: what was sent, what the guest said it took, how much may be on its way.
    std::uint64_t sent = 0, acknowledged = 0;
    std::uint32_t guests_buffer = 0;
    std::vector<std::uint8_t> to_guest;
    bool credit_asked = false, credit_awaited = false;
    bool guest_sends = true, guest_receives = true;
    bool host_sends = true, host_receives = true;
    std::uint32_t told = 0;  // flags of the last SHUTDOWN
  };

  VsockDeviceModel(std::uint64_t guest_cid, const Limits& limits)
      : guest_cid_(guest_cid), limits_(limits) {}

  [[nodiscard]] std::uint32_t device_id() const override { return 19; }
  [[nodiscard]] std::uint64_t features() const override { return 0b101; }
  [[nodiscard]] std::vector<std::uint16_t> queue_sizes() const override { return {256, 256, 16}; }
  [[nodiscard]] std::vector<std::uint8_t> config() const override;
  void start(std::uint64_t features) override;
  void stop_queue(std::size_t queue) override {
    if (queue == 1) waiting = false;
  }
  void reset() override;
  [[nodiscard]] ModelError restore(std::span<const std::uint8_t> bytes) override;

  /// Whether there is room for an answer.
  [[nodiscard]] bool can_transmit() const { return replies_.size() < limits_.replies; }
  /// Takes what is in a tx chain.
  [[nodiscard]] ModelError transmit(const WatchedMemory& memory, const ModelChain& chain);
  /// Takes what happened on the host, 256 events at most; whether as many happened.
  [[nodiscard]] bool look_at_host();
  /// Whether there is a packet for the guest.
  [[nodiscard]] bool prepare();
  /// Puts that packet into an rx chain; `used` 0 and the reason when it does not go there.
  struct Used {
    std::uint32_t used = 0;
    ModelError error;
  };
  [[nodiscard]] Used receive(const WatchedMemory& memory, const ModelChain& chain);
  /// Whether the guest has to hear of a transport reset.
  [[nodiscard]] bool event_owed() const { return event_owed_; }
  [[nodiscard]] Used tell_event(const WatchedMemory& memory, const ModelChain& chain);

  [[nodiscard]] const std::vector<Connection>& connections() const { return connections_; }
  /// What the last packets were; for counting.
  [[nodiscard]] const Packet& last_transmitted() const { return last_transmitted_; }
  [[nodiscard]] const Packet& last_received() const { return last_received_; }

  ModelHost host;
  bool waiting = false;  // tx is not served until there is room for answers

 private:
  [[nodiscard]] Connection* find(std::uint32_t host_port, std::uint32_t guest_port);
  [[nodiscard]] ModelError act(Connection& c, const Packet& packet);
  [[nodiscard]] ModelError open(const Packet& packet);
  void answer_with_reset(const Packet& packet);
  void kill(Connection& c);
  void host_takes_no_more(Connection& c);
  void serve_host(Connection& c);
  void ask_host(Connection& c);
  void close(Connection& c);
  void remove(const Connection& c);
  void connect_client(std::size_t socket);
  [[nodiscard]] static std::uint32_t shutdown_flags(const Connection& c);
  [[nodiscard]] static std::uint64_t credit(const Connection& c);
  /// Of the connection that was chosen, or a reply; op 0 when there is none.
  [[nodiscard]] Packet next_packet() const;
  void packet_sent(std::uint64_t bytes);

  std::uint64_t guest_cid_;
  Limits limits_;
  bool streams_ = true;
  bool started_ = false, event_owed_ = false;
  std::vector<Connection> connections_;  // by the host's port, then the guest's
  std::deque<Packet> replies_;
  std::optional<std::size_t> chosen_;  // of connections_; none: a reply
  std::uint32_t turn_host_ = 0, turn_guest_ = 0;
  std::uint32_t next_port_ = 0x40000000;
  Packet last_transmitted_, last_received_;
};

}  // namespace guestproof::testing
