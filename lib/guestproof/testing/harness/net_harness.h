// The network device under test, on a network that is told what to do. Targets: net (one pair of
// virtqueues; what frames do) and net_ctrl (two pairs; what commands do).
//
// A `request` record depends on its queue. 0 and 2 receive, 1 and 3 transmit, the last one takes
// commands. In `net_ctrl` a record of kind below 192 is a command whatever its queue is; with
// `kick` the control queue is notified too.
// - receive: room for `length` bytes (modulo 2049; 0: 1600). raw: `length` as it is, up to 100000,
//   and `extra` (modulo 256) device-readable bytes before it.
// - transmit: a frame of `length` bytes (modulo 2049; 0: 60; at least 60) whose header asks, by
// kind
//   modulo 6, for nothing, a checksum, TCPv4, TCPv6 with ECN, UDP, UDP_L4. raw: `length` as it is,
//   up to 70000, the header as `value` says (below), `next` (modulo 13) bytes less of it, and
//   `extra` (modulo 256) device-writable bytes.
// - command, by kind modulo 13: a mode (0 to 5: on when `value` is odd), MAC tables of `index` and
//   `next` addresses (modulo 70), those of frames to another and to a group, the MAC address (last
//   byte `value`), a VLAN added or removed, the announcement acknowledged, pairs (1 + `value`
//   modulo 2), offloads (all that were negotiated, but those in `value`). raw: class and command
//   are the lowest bytes of `value`, the data `length` bytes (modulo 512) that repeat its other
//   six, `next` (modulo 3) bytes less of class and command, and room for an ack of `extra` − 1
//   bytes (0: one).
//
// A `backend` record, by kind:
//   0  the driver's features, see device_harness.h
//   1  a frame arrives: bytes 0 and 1 of `value` its length (modulo 2048; 0: 60), 2 the pair, 3 the
//      destination (0 the device, 1 everybody, 2 another, 3 a group; the last byte is byte 4), 5
//      with bit 7 a VLAN tag of that number
//   2  a frame arrives whose header `value` says, of 60 bytes and its highest byte more
//   3  `value` bytes (modulo 70000) arrive, the header included
//   4  the network takes `value` frames more (modulo 256), then no more
//   5  it takes frames again, and says so
//   6  it fails at everything (`value` odd), or no longer
//   7  the link is up (`value` odd) or down; with bit 1 the host asks for an announcement
// After those that say that something arrives the device works.
//
// A header in `value`: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, a byte each
// from the lowest on.
#pragma once

#include "guestproof/testing/harness/device_harness.h"
#include "guestproof/testing/memory_network.h"
#include "guestproof/testing/model/net_model.h"
#include "guestproof/virtio/device/net/virtio_net.h"

namespace guestproof::testing {

/// With all features that there are, but MQ only where there are several pairs.
[[nodiscard]] virtio::net::Config net_config(std::uint16_t pairs);

/// What outlives the life cycle that the harness has.
struct NetDeviceParts {
  explicit NetDeviceParts(const virtio::net::Config& config)
      : network_(config.max_pairs), device_(config, network_) {}

  MemoryNetwork network_;
  virtio::net::VirtioNet<WatchedMemory> device_;
};

class NetDeviceHarness : private NetDeviceParts, public DeviceHarness {
 protected:
  explicit NetDeviceHarness(const virtio::net::Config& config);

  void request(Lane& lane, const Record& record) override;
  void request_command(Lane& lane, const Record& record);

  std::size_t control() const { return lanes() - 1; }

 private:
  void reset_device() override;
  [[nodiscard]] Turn serve_model(Lane& lane, std::uint32_t looks) override;
  [[nodiscard]] Turn serve_host_model() override;
  void host_event(std::uint8_t kind, const Record& record) override;
  [[nodiscard]] std::uint8_t host_event_kinds() const override { return 7; }
  void settle_model(Settle) override { model_.put_back_rooms(); }
  void compare_devices() override;

  void request_room(Lane& lane, const Record& record);
  void request_frame(Lane& lane, const Record& record);
  void arrive(std::size_t pair, std::vector<std::byte> bytes);
  void set_link(bool up, bool announce);

  /// As Harness::model_turn(); `serve(chain)` returns chains itself.
  template <class Ready, class Serve>
  [[nodiscard]] Turn turn(Lane& lane, Ready&& ready, Serve&& serve);
  [[nodiscard]] Turn turn_of(std::size_t queue);
  [[nodiscard]] Turn receive_turn(std::size_t pair);
  /// Of several queues one after the other; notifications are noted here.
  [[nodiscard]] Turn turns_of_pairs(std::size_t begin, std::size_t end);
  /// The configuration space may have changed meanwhile.
  template <class Change>
  void changing(Change&& change);

  ModelNetwork model_network_;
  NetModel model_;
  Depth::Index sent_, waited_, received_, merged_, unwanted_, commands_, changes_;
};

class NetHarness final : public NetDeviceHarness {
 public:
  explicit NetHarness(const virtio::net::Config& config = net_config(1));
  [[nodiscard]] std::string_view name() const override { return "net"; }
};

class NetControlHarness final : public NetDeviceHarness {
 public:
  explicit NetControlHarness(const virtio::net::Config& config = net_config(2));
  [[nodiscard]] std::string_view name() const override { return "net_ctrl"; }

 private:
  void request(Lane& lane, const Record& record) override;
};

}  // namespace guestproof::testing
