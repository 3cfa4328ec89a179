// A second opinion on the network device: written from virtio 1.3 §5.1 and from the policies that
// the headers of virtio/device/net state, for comparison. It shares no code with them.
//
// Thread-safety: none.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "guestproof/testing/model/lifecycle_model.h"

namespace guestproof::testing {

using ModelBytes = std::vector<std::uint8_t>;

/// The network that the model is on, told to behave as the device's.
struct ModelNetwork {
  struct Sent {
    std::size_t pair = 0;
    ModelBytes bytes;
  };
  std::vector<std::deque<ModelBytes>> arriving;  // by pair
  std::vector<Sent> sent;
  std::uint64_t takes = UINT64_MAX;
  bool fails = false;
  std::uint64_t offloads = 0;
  std::size_t pairs = 1;
};

class NetModel final : public DeviceModel {
 public:
  using Mac = std::array<std::uint8_t, 6>;
  struct Offer {
    Mac mac{};
    std::uint64_t features = 0;
    std::uint16_t max_pairs = 1;
    std::uint16_t mtu = 1500;
    std::uint8_t duplex = 0xff;
  };
  /// `refuse` hears of every refusal.
  NetModel(const Offer& offer, ModelNetwork& network,
           std::function<void(const ModelError&)> refuse);
  /// Its queues, in order; they outlive it.
  void attach(std::vector<QueueModel*> rings) { rings_ = std::move(rings); }

  [[nodiscard]] std::uint32_t device_id() const override { return 1; }
  [[nodiscard]] std::uint64_t features() const override { return offer_.features; }
  [[nodiscard]] std::vector<std::uint16_t> queue_sizes() const override;
  [[nodiscard]] ModelError check_features(std::uint64_t features) const override;
  [[nodiscard]] std::vector<std::uint8_t> config() const override;
  void start(std::uint64_t features) override;
  void stop_queue(std::size_t queue) override;
  void reset() override;
  [[nodiscard]] std::vector<std::uint8_t> save() const override;
  [[nodiscard]] ModelError restore(std::span<const std::uint8_t> bytes) override;

  enum class Role : std::uint8_t { kReceive, kTransmit, kControl, kNone };
  [[nodiscard]] Role role(std::size_t queue) const;
  [[nodiscard]] std::size_t pairs() const { return pairs_in_use_; }
  /// Chains that are held are put back; frames wait on.
  void put_back_rooms();
  /// The chains that are held.
  [[nodiscard]] const std::vector<ModelChain>& room(std::size_t pair) const {
    return pairs_[pair].room;
  }

  /// A chain of this queue, given back, put back or kept.
  void transmit(const WatchedMemory& memory, std::size_t pair, const ModelChain& chain);
  [[nodiscard]] bool may_transmit(std::size_t pair) const { return !pairs_[pair].blocked; }
  void unblock();
  /// Whether a frame waits, after at most `looks` looks at the network, which are counted down.
  [[nodiscard]] bool find_frame(std::size_t pair, std::uint32_t& looks);
  void receive(const WatchedMemory& memory, std::size_t pair, const ModelChain& chain);
  void control(const WatchedMemory& memory, const ModelChain& chain);

  bool link_up = true;
  bool announcing = false;
  std::uint64_t unwanted = 0;  // frames that were filtered, counted
  /// Pairs up to here have been looked at since they came into use.
  std::size_t looked_at = 1;

  [[nodiscard]] bool has(unsigned feature) const { return (features_ >> feature & 1) != 0; }

 private:
  struct Header {
    std::uint8_t flags = 0, gso = 0;
    std::uint16_t hdr_len = 0, gso_size = 0, start = 0, offset = 0;
  };
  struct Frame {
    Header header;
    ModelBytes bytes;
  };
  struct Pair {
    bool blocked = false;
    std::optional<Frame> waiting;
    std::vector<ModelChain> room;
  };
  struct Table {
    std::vector<Mac> macs;
    bool overflow = false;
  };

  [[nodiscard]] static Header header_of(std::span<const std::uint8_t> bytes);
  [[nodiscard]] static ModelBytes bytes_of(const Header& header, std::uint16_t buffers);
  /// Leaves in `header` what is passed on.
  [[nodiscard]] ModelError check(Header& header, bool transmitted, std::uint64_t length) const;
  [[nodiscard]] bool wants(const ModelBytes& frame) const;
  [[nodiscard]] ModelError transmitted(const WatchedMemory& memory, std::size_t pair,
                                       const ModelChain& chain, bool& again);
  [[nodiscard]] ModelError unusable(const WatchedMemory& memory, const ModelChain& chain) const;
  void put_back(std::size_t index);
  void drop(std::size_t pair);
  [[nodiscard]] ModelError command(const WatchedMemory& memory, const ModelChain& chain);
  [[nodiscard]] ModelError mac_tables(const WatchedMemory& memory, const ModelChain& chain);
  [[nodiscard]] ModelError bad_offloads(std::uint64_t offloads, std::uint64_t features) const;
  void tell_network();
  [[nodiscard]] ModelError set_network(std::size_t pairs, std::uint64_t offloads);

  Offer offer_;
  ModelNetwork& network_;
  std::function<void(const ModelError&)> refuse_;
  std::vector<QueueModel*> rings_;
  std::uint64_t features_ = 0;
  std::vector<Pair> pairs_;
  std::size_t pairs_in_use_ = 1;
  std::uint64_t offloads_ = 0;
  Mac mac_{};
  bool mac_set_ = false;
  std::array<bool, 6> modes_{};  // by command
  Table unicast_, multicast_;
  std::set<unsigned> vlans_;
};

}  // namespace guestproof::testing
