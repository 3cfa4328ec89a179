// The network device, virtio-net: sends the driver's frames to a back end and gives it those that
// come from there, with checksums and segmentation left to either side as negotiated, on one or
// several pairs of virtqueues, filtered as commands on the control virtqueue say.
//
// Frames from the driver (frame.h, header.h have the checks):
// - One that is refused, or that the back end fails to send, is dropped; all chains are returned
//   with length 0. So is every frame while the link is down (kLinkDown).
// - The header is fetched once and checked, and the back end gets a private header made of what was
//   checked. The frame goes from guest memory to the back end as it is: no decision depends on it.
// - When the back end cannot take it now, the chain is put back and taken again at host_ready():
//   frames stay in order, and none is lost or sent twice.
//
// Frames for the driver:
// - A frame is received into the device's own buffer, not into guest memory: before the guest sees
//   a byte of it, its header is checked, its length is known, and it is known to be wanted. One
//   that is refused (its header asks for what the driver does not take, it is too short or too
//   long) or not wanted (filter.h), or comes while the link is down, is dropped.
// - Then it waits for buffers, one frame for each pair; others wait in the back end. Without
//   VIRTIO_NET_F_MRG_RXBUF it takes the next chain, and is dropped when that is too small
//   (kRxRoom); the chain is put back for the next frame. With it, chains are held until they have
//   room for all of it; then they are filled and returned together. It is dropped when all of the
//   queue's chains are held and have not the room; a driver that never offers as much waits for
//   itself.
// - A chain that cannot be used (RxRoom::add) is returned with length 0. With it go those that are
//   held, and the frame: the driver could not tell which of them are parts of it.
// - The header, 12 bytes, is always in the first chain, cut in any way.
//
// Commands: control.h has the checks. The ack is one byte, the first writable one, and the used
// length is 1; without a place for it (kNoAck, MemoryError) nothing is done and the length is 0.
// What a command changes is changed before it is returned. A back end that refuses offloads or
// pairs makes the ack ERR.
// - Configuration space changes by MAC_ADDR_SET and ANNOUNCE_ACK are changes like any other, with a
//   new generation and a notification.
// - Pairs that VQ_PAIRS_SET takes out of use: frames that wait there are dropped, chains that are
//   held put back. The driver's frames on such a pair wait until it is in use (again).
//
// Saved: what the driver set, and the link's state. Not: frames that wait, which are dropped by a
// device that is restored, as networks do.
//
// Thread-safety: none, see VirtioDevice; set_link() and announce() are serialised with its calls.
// Specification: virtio 1.3 §5.1.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "guestproof/virtio/device/device.h"
#include "guestproof/virtio/device/net/backend.h"
#include "guestproof/virtio/device/net/control.h"
#include "guestproof/virtio/device/net/frame.h"
#include "guestproof/virtio/device/net/settings.h"

namespace guestproof::virtio::net {

/// What QEMU and Linux's own devices have; a packet of 64 KiB fits into a third of it.
inline constexpr std::uint16_t kQueueSize = 256;

template <GuestMemory M>
class VirtioNet final : public VirtioDevice<M> {
 public:
  /// `backend` outlives the device. REQUIRES: check_backend(config, backend).
  VirtioNet(const Config& config, NetBackend& backend)
      : config_(config), backend_(backend), pairs_(config.max_pairs) {
    GUESTPROOF_INVARIANT(check_backend(config, backend));
    queue_sizes_.assign(2U * config.max_pairs + 1, kQueueSize);
    settings_ = Settings::initial(config_, 0);
    describe();
  }

  // The host's side.

  /// The driver hears of it with VIRTIO_NET_F_STATUS.
  void set_link(bool up) {
    settings_.link_up = up;
    show_config();
  }
  /// Asks the driver to tell its network where it is now, after a migration say; false when it did
  /// not negotiate VIRTIO_NET_F_GUEST_ANNOUNCE and VIRTIO_NET_F_STATUS.
  [[nodiscard]] bool announce() {
    if (!has(VIRTIO_NET_F_GUEST_ANNOUNCE) || !has(VIRTIO_NET_F_STATUS)) return false;
    settings_.announcing = true;
    show_config();
    return true;
  }
  [[nodiscard]] const Settings& settings() const { return settings_; }

  // VirtioDevice

  [[nodiscard]] std::uint32_t device_id() const override { return VIRTIO_ID_NET; }
  [[nodiscard]] std::uint64_t features() const override { return config_.features; }
  [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override { return queue_sizes_; }
  void attach(Driver<M>& driver) override { driver_ = &driver; }
  [[nodiscard]] Result<void> check_features(std::uint64_t features) const override {
    if (const auto unmet = unmet_need(features); unmet)
      return fail(DeviceError::kFeatureNeeds, unmet->feature, unmet->needs);
    return {};
  }
  [[nodiscard]] std::span<const std::byte> config() const override {
    return std::as_bytes(std::span(&fields_, 1));
  }

  void start() override;
  [[nodiscard]] Result<bool> serve(std::uint16_t queue) override;
  void stop_queue(std::uint16_t queue) override;
  void settle() override {
    for (auto& pair : pairs_) pair.room.put_back();
  }
  void reset() override;
  [[nodiscard]] int host_fd() const override { return backend_.host_fd(); }
  [[nodiscard]] Result<bool> host_ready() override;
  [[nodiscard]] Result<void> save(std::vector<std::byte>& out) override;
  [[nodiscard]] Result<void> restore(std::span<const std::byte> bytes) override;

 private:
  using Chain = virtio::Chain<VirtQueue<M>>;

  struct Pair {
    bool blocked = false;                 // the back end did not take a frame
    std::optional<VirtioNetHdr> waiting;  // of the frame that is received, and waits for buffers
    std::size_t frame_bytes = 0;
    std::vector<std::byte> buffer;  // a header, and a frame; one byte more shows a longer one
    RxRoom<VirtQueue<M>> room;      // chains for the frame, which are not enough yet

    [[nodiscard]] std::span<const std::byte> frame() const {
      return std::span(buffer).subspan(sizeof(VirtioNetHdr), frame_bytes);
    }
  };

  [[nodiscard]] bool has(unsigned feature) const { return (features_ & feature_bit(feature)) != 0; }
  /// §5.1.2. Pairs that the driver could not negotiate do not count.
  [[nodiscard]] std::uint16_t control_queue() const {
    return static_cast<std::uint16_t>(2 * (has(VIRTIO_NET_F_MQ) ? config_.max_pairs : 1));
  }
  [[nodiscard]] static std::uint16_t receive_queue(std::uint16_t pair) {
    return static_cast<std::uint16_t>(2 * pair);
  }
  [[nodiscard]] static std::uint16_t transmit_queue(std::uint16_t pair) {
    return static_cast<std::uint16_t>(2 * pair + 1);
  }

  /// The configuration space as the settings have it.
  void describe();
  /// describe(), and the driver hears of changes.
  void show_config();

  /// What was agreed upon. If it fails the VMM hears of it, and what the back end gives is checked
  /// all the same.
  void tell_backend();

  [[nodiscard]] Result<bool> serve_pairs(std::uint16_t begin, std::uint16_t end);
  [[nodiscard]] Result<bool> serve_transmit(std::uint16_t pair);
  [[nodiscard]] Result<void> send(std::uint16_t pair, Chain& chain);
  [[nodiscard]] Result<bool> serve_receive(std::uint16_t pair);
  /// Whether a frame is waiting, after looking for one.
  [[nodiscard]] bool find_frame(std::uint16_t pair);
  void take_frame(std::uint16_t pair, std::size_t bytes);
  [[nodiscard]] Result<void> place(std::uint16_t pair, Chain chain);
  /// Nothing waits, and no chain is held.
  void withdraw(std::uint16_t pair);

  [[nodiscard]] Result<bool> serve_control();
  [[nodiscard]] Result<void> answer(Chain& chain);
  [[nodiscard]] static Result<typename M::Slice> find_ack(const Chain& chain);
  [[nodiscard]] Result<void> execute(const Chain& chain);
  [[nodiscard]] Result<void> apply(const SetMode& command);
  [[nodiscard]] Result<void> apply(const SetMacTables& command);
  [[nodiscard]] Result<void> apply(const SetMac& command);
  [[nodiscard]] Result<void> apply(const SetVlan& command);
  [[nodiscard]] Result<void> apply(const AcknowledgeAnnounce& command);
  [[nodiscard]] Result<void> apply(const SetPairs& command);
  [[nodiscard]] Result<void> apply(const SetOffloads& command);

  Config config_;
  NetBackend& backend_;
  Driver<M>* driver_ = nullptr;
  std::vector<std::uint16_t> queue_sizes_;
  VirtioNetConfig fields_;
  std::uint64_t features_ = 0;  // negotiated; 0 while the device is not started
  Settings settings_;
  FrameLimits limits_;
  std::vector<Pair> pairs_;
  std::uint16_t served_pairs_ = 1;   // the pairs in use after these are new
  std::vector<::iovec> parts_;       // of a frame that is sent
  std::uint32_t receives_left_ = 0;  // in this turn
};

template <GuestMemory M>
void VirtioNet<M>::describe() {
  fields_.mac = has(VIRTIO_NET_F_MAC) ? settings_.filter.mac : config_.mac;
  fields_.status = 0;
  if ((config_.features & feature_bit(VIRTIO_NET_F_STATUS)) != 0)
    fields_.status = static_cast<std::uint16_t>((settings_.link_up ? VIRTIO_NET_S_LINK_UP : 0) |
                                                (settings_.announcing ? VIRTIO_NET_S_ANNOUNCE : 0));
  fields_.max_virtqueue_pairs = config_.max_pairs;
  fields_.mtu = config_.mtu;
  fields_.speed = config_.speed;
  fields_.duplex = config_.duplex;
}

template <GuestMemory M>
void VirtioNet<M>::show_config() {
  const auto before = fields_;
  describe();
  if (driver_ != nullptr && std::memcmp(&before, &fields_, sizeof before) != 0)
    driver_->config_changed();
}

template <GuestMemory M>
void VirtioNet<M>::start() {
  features_ = driver_->features();
  limits_ = FrameLimits::negotiated(features_, config_.mtu);
  const auto link_up = settings_.link_up;
  settings_ = Settings::initial(config_, features_);
  settings_.link_up = link_up;
  served_pairs_ = settings_.pairs;
  describe();
  tell_backend();
}

template <GuestMemory M>
void VirtioNet<M>::tell_backend() {
  if (const auto done = backend_.set_pairs(settings_.pairs); !done)
    driver_->refused(0, done.error());
  if (const auto done = backend_.set_offloads(settings_.offloads); !done)
    driver_->refused(0, done.error());
}

template <GuestMemory M>
Result<bool> VirtioNet<M>::serve(std::uint16_t queue) {
  if (queue == control_queue()) return serve_control();
  const auto pair = static_cast<std::uint16_t>(queue / 2);
  return queue % 2 == 0 ? serve_receive(pair) : serve_transmit(pair);
}

template <GuestMemory M>
void VirtioNet<M>::stop_queue(std::uint16_t queue) {
  const auto pair = static_cast<std::uint16_t>(queue / 2);
  if (pair >= pairs_.size()) return;
  if (queue % 2 == 0)
    withdraw(pair);
  else
    pairs_[pair].blocked = false;
}

template <GuestMemory M>
void VirtioNet<M>::reset() {
  for (std::uint16_t pair = 0; pair < config_.max_pairs; ++pair) {
    withdraw(pair);
    pairs_[pair].blocked = false;
  }
  features_ = 0;
  const auto link_up = settings_.link_up;
  settings_ = Settings::initial(config_, 0);
  settings_.link_up = link_up;
  describe();
}

template <GuestMemory M>
Result<bool> VirtioNet<M>::host_ready() {
  backend_.acknowledge();
  for (auto& pair : pairs_) pair.blocked = false;
  return serve_pairs(0, settings_.pairs);
}

template <GuestMemory M>
Result<bool> VirtioNet<M>::serve_pairs(std::uint16_t begin, std::uint16_t end) {
  bool more = false;
  for (auto pair = begin; pair < end; ++pair) {
    const auto sent = serve_transmit(pair);
    if (!sent) return sent;
    const auto received = serve_receive(pair);
    if (!received) return received;
    more |= *sent || *received;
  }
  return more;
}

template <GuestMemory M>
Result<void> VirtioNet<M>::save(std::vector<std::byte>& out) {
  append(settings_, out);
  return {};
}

template <GuestMemory M>
Result<void> VirtioNet<M>::restore(std::span<const std::byte> bytes) {
  const auto settings = read_settings(bytes, config_, features_);
  if (!settings) return std::unexpected(settings.error());
  settings_ = *settings;
  served_pairs_ = settings_.pairs;  // all queues count as kicked
  describe();
  if (features_ != 0) tell_backend();
  return {};
}

template <GuestMemory M>
Result<bool> VirtioNet<M>::serve_transmit(std::uint16_t pair) {
  if (pair >= settings_.pairs) return false;
  return take_turn(
      *driver_, transmit_queue(pair), [&] { return !pairs_[pair].blocked; },
      [&](Chain chain) { return send(pair, chain); });
}

template <GuestMemory M>
Result<void> VirtioNet<M>::send(std::uint16_t pair, Chain& chain) {
  VirtioNetHdr header;
  auto ready = parse_tx(chain, Offloads::host(features_), limits_, header, parts_);
  if (ready && !settings_.link_up)
    ready = fail(NetError::kLinkDown, chain.readable_bytes() - sizeof header);
  if (ready) {
    const auto sent = backend_.send(pair, parts_);
    if (sent && !*sent) {
      pairs_[pair].blocked = true;
      return chain.put_back();
    }
    if (!sent) ready = std::unexpected(sent.error());
  }
  if (!ready) driver_->refused(transmit_queue(pair), ready.error());
  return chain.complete(0);
}

template <GuestMemory M>
Result<bool> VirtioNet<M>::serve_receive(std::uint16_t pair) {
  if (pair >= settings_.pairs) return false;
  receives_left_ = whole_queue(driver_->queue(receive_queue(pair)));
  const auto more = take_turn(
      *driver_, receive_queue(pair), [&] { return find_frame(pair); },
      [&](Chain chain) { return place(pair, std::move(chain)); });
  if (!more) return more;
  return *more || receives_left_ == 0;
}

template <GuestMemory M>
bool VirtioNet<M>::find_frame(std::uint16_t index) {
  auto& pair = pairs_[index];
  pair.buffer.resize(sizeof(VirtioNetHdr) + kMaxFrameBytes + 1);
  for (; !pair.waiting && receives_left_ != 0; --receives_left_) {
    const auto got = backend_.receive(index, pair.buffer);
    if (!got) driver_->refused(receive_queue(index), got.error());
    if (!got || !*got) return false;
    take_frame(index, **got);
  }
  return pair.waiting.has_value();
}

template <GuestMemory M>
void VirtioNet<M>::take_frame(std::uint16_t index, std::size_t bytes) {
  auto& pair = pairs_[index];
  VirtioNetHdr header;
  const auto header_bytes = std::min(bytes, sizeof header);
  std::memcpy(static_cast<void*>(&header), pair.buffer.data(), header_bytes);
  pair.frame_bytes = bytes - header_bytes;
  const auto checked =
      checked_rx_header(header, Offloads::guest(settings_.offloads), limits_, pair.frame_bytes);
  if (!checked)
    driver_->refused(receive_queue(index), checked.error());
  else if (settings_.link_up && settings_.filter.accepts(pair.frame()))
    pair.waiting = *checked;
}

template <GuestMemory M>
Result<void> VirtioNet<M>::place(std::uint16_t index, Chain chain) {
  auto& pair = pairs_[index];
  if (const auto ok = pair.room.add(chain); !ok) {
    driver_->refused(receive_queue(index), ok.error());
    if (pair.room.chains() != 0) {
      pair.room.give_back();
      pair.waiting.reset();
    }
    return chain.complete(0);
  }
  const auto needed = sizeof(VirtioNetHdr) + pair.frame_bytes;
  if (pair.room.bytes() >= needed)
    return pair.room.deliver(*std::exchange(pair.waiting, std::nullopt), pair.frame());
  if (has(VIRTIO_NET_F_MRG_RXBUF) &&
      pair.room.chains() < driver_->queue(receive_queue(index)).size())
    return {};
  driver_->refused(receive_queue(index), Error(NetError::kRxRoom, needed, pair.room.bytes()));
  withdraw(index);
  return {};
}

template <GuestMemory M>
void VirtioNet<M>::withdraw(std::uint16_t pair) {
  pairs_[pair].room.put_back();
  pairs_[pair].waiting.reset();
}

template <GuestMemory M>
Result<bool> VirtioNet<M>::serve_control() {
  if (!has(VIRTIO_NET_F_CTRL_VQ)) return false;
  const auto turn =
      take_turn(*driver_, control_queue(), [&](Chain chain) { return answer(chain); });
  if (!turn) return turn;
  // What the driver made available on new pairs was not looked at yet.
  const auto more = serve_pairs(served_pairs_, settings_.pairs);
  if (!more) return more;
  if (!*more) served_pairs_ = settings_.pairs;
  return *turn || *more;
}

template <GuestMemory M>
Result<void> VirtioNet<M>::answer(Chain& chain) {
  const auto ack = find_ack(chain);
  if (!ack) {
    driver_->refused(control_queue(), ack.error());
    return chain.complete(0);
  }
  const auto done = execute(chain);
  if (!done) driver_->refused(control_queue(), done.error());
  ack->store(0, done ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
  return chain.complete(sizeof VIRTIO_NET_OK);
}

template <GuestMemory M>
Result<typename M::Slice> VirtioNet<M>::find_ack(const Chain& chain) {
  if (chain.fault()) return std::unexpected(*chain.fault());
  if (chain.writable_bytes() == 0) return fail(NetControlError::kNoAck, chain.readable_bytes());
  return chain.memory().find(chain.writable().front().address, sizeof VIRTIO_NET_OK,
                             Access::kWrite);
}

template <GuestMemory M>
Result<void> VirtioNet<M>::execute(const Chain& chain) {
  const auto command =
      read_command(chain.reader(), {.features = features_, .max_pairs = config_.max_pairs});
  if (!command) return std::unexpected(command.error());
  return std::visit([&](const auto& each) { return apply(each); }, *command);
}

template <GuestMemory M>
Result<void> VirtioNet<M>::apply(const SetMode& command) {
  settings_.filter.modes.*command.mode = command.on;
  return {};
}

template <GuestMemory M>
Result<void> VirtioNet<M>::apply(const SetMacTables& command) {
  settings_.filter.unicast = command.unicast;
  settings_.filter.multicast = command.multicast;
  return {};
}

template <GuestMemory M>
Result<void> VirtioNet<M>::apply(const SetMac& command) {
  settings_.filter.mac = command.mac;
  settings_.filter.knows_mac = settings_.mac_set = true;
  show_config();
  return {};
}

template <GuestMemory M>
Result<void> VirtioNet<M>::apply(const SetVlan& command) {
  settings_.filter.vlans.set(command.vlan, command.on);
  return {};
}

template <GuestMemory M>
Result<void> VirtioNet<M>::apply(const AcknowledgeAnnounce&) {
  settings_.announcing = false;
  show_config();
  return {};
}

template <GuestMemory M>
Result<void> VirtioNet<M>::apply(const SetPairs& command) {
  if (const auto done = backend_.set_pairs(command.pairs); !done) return done;
  settings_.pairs = command.pairs;
  served_pairs_ = std::min(served_pairs_, command.pairs);
  for (auto pair = command.pairs; pair < config_.max_pairs; ++pair) withdraw(pair);
  return {};
}

template <GuestMemory M>
Result<void> VirtioNet<M>::apply(const SetOffloads& command) {
  if (const auto done = backend_.set_offloads(command.offloads); !done) return done;
  settings_.offloads = command.offloads;
  return {};
}

}  // namespace guestproof::virtio::net
