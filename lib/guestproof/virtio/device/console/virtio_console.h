// The console device, virtio-console: one port, or with VIRTIO_CONSOLE_F_MULTIPORT several, each a
// stream of bytes in both directions.
//
// No byte is lost or repeated because of what a guest does with its buffers:
// - For the guest: up to kInputBytes of a port's bytes are kept here, and no more are read while
//   there are some. A receive buffer gets as many of them as it holds; those that could not be
//   written stay. With VIRTIO_CONSOLE_F_MULTIPORT nothing is read or given before the guest has
//   opened the port. What is kept outlives a reset, and is saved.
// - From the guest: a transmit buffer stays the guest's until the port has taken all of it. When
// the
//   port takes no more, or after kTurnBytes, the chain is put back, and is taken again later, from
//   the byte on that is next. With VIRTIO_CONSOLE_F_MULTIPORT buffers wait until the port is ready.
//
// The answers to what the driver makes available; of what is refused the VMM hears why:
// - Receive buffers: a malformed chain, one with device-readable bytes (kReadable, §5.3.6.1) and
// one
//   without writable bytes (kNoRoom) are returned with length 0. Where a buffer leaves guest memory
//   it ends; the used length is what was written.
// - Transmit buffers are returned with length 0: at once when the chain is malformed, has
//   device-writable bytes (kWritable, §5.3.6.1), or holds fewer bytes than were transmitted of it
//   (kTransmitChanged); where guest memory ends; when the port fails; and when the host's end is
//   closed (kHostClosed: the bytes are dropped).
// - Control messages of the driver: at least 8 bytes (kControlLength), of which 8 are looked at;
// see
//   control.h. Device-writable bytes: kWritable.
// - Buffers for control messages: malformed, or with device-readable bytes, as receive buffers;
//   kControlRoom when the next message does not fit; a MemoryError when not all of it is in guest
//   memory. The message waits for the next buffer.
// - A queue that does not exist without VIRTIO_CONSOLE_F_MULTIPORT: kNoQueue.
//
// Configuration space: read-only but for emerg_wr, with VIRTIO_CONSOLE_F_EMERG_WRITE. A write that
// begins with it, of 1 to 4 bytes, gives its lower byte to port 0's emergency(); at any time, also
// before the driver has acknowledged anything (§5.3.5.1). It reads as 0.
//
// Linux up to now reads a RESIZE message's rows before its columns; here they stand as §5.3.6.2 has
// them.
//
// Thread-safety: none, see VirtioDevice; the host's side is part of that unit.
// Specification: virtio 1.3 §5.3.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "guestproof/virtio/device/console/control.h"
#include "guestproof/virtio/device/console/error.h"
#include "guestproof/virtio/device/console/port.h"
#include "guestproof/virtio/device/console/port_poll.h"
#include "guestproof/virtio/device/console/wire.h"
#include "guestproof/virtio/device/device.h"

namespace guestproof::virtio::console {

inline constexpr std::uint64_t kConsoleFeatures = feature_bit(VIRTIO_CONSOLE_F_SIZE) |
                                                  feature_bit(VIRTIO_CONSOLE_F_MULTIPORT) |
                                                  feature_bit(VIRTIO_CONSOLE_F_EMERG_WRITE);

/// Bytes for the guest that are kept of each port: a page, which is what Linux gives as one buffer.
inline constexpr std::size_t kInputBytes = 4096;
/// Bytes from the guest in one turn of a port: a chain can hold gigabytes, the same memory again
/// and again, and the other ports wait meanwhile.
inline constexpr std::uint64_t kTurnBytes = 64 << 10;

template <GuestMemory M>
class VirtioConsole final : public VirtioDevice<M> {
 public:
  /// `features`: a part of kConsoleFeatures, VIRTIO_CONSOLE_F_MULTIPORT when there are several
  /// ports. `poll` outlives the device, and is there when ports have file descriptors. REQUIRES: 1
  /// to kMaxPorts ports.
  explicit VirtioConsole(std::vector<PortOffer> ports, std::uint64_t features = kConsoleFeatures,
                         PortPoll* poll = nullptr)
      : features_(features & kConsoleFeatures),
        poll_(poll),
        control_(std::move(ports)),
        streams_(control_.size()),
        queue_sizes_(offers(VIRTIO_CONSOLE_F_MULTIPORT) ? 2 * control_.size() + 2 : 2, kQueueSize) {
    GUESTPROOF_INVARIANT(control_.size() == 1 || offers(VIRTIO_CONSOLE_F_MULTIPORT));
    config_.max_nr_ports = static_cast<std::uint32_t>(control_.size());
  }

  // The host's side; what the driver has to hear of goes out with the next host_ready(). REQUIRES:
  // the device is in a life cycle; id < the number of ports.

  /// A port comes, or is there already.
  void plug(std::size_t id) { control_.plug(id); }
  /// A port goes; what is kept for the guest is dropped.
  void unplug(std::size_t id) {
    control_.unplug(id);
    streams_[id] = {};
    update_poll(id);
  }
  /// Somebody comes to the host's end of a port, or goes.
  void set_host_open(std::size_t id, bool open) {
    control_.set_host_open(id, open);
    update_poll(id);
  }
  /// The size of a console in characters; that of port 0 is in the configuration space, too.
  void resize(std::size_t id, std::uint16_t cols, std::uint16_t rows) {
    control_.resize(id, cols, rows);
    if (id != 0 || !offers(VIRTIO_CONSOLE_F_SIZE)) return;
    show_size();
    driver_->config_changed();
  }

  // VirtioDevice

  [[nodiscard]] std::uint32_t device_id() const override { return VIRTIO_ID_CONSOLE; }
  [[nodiscard]] std::uint64_t features() const override { return features_; }
  [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override { return queue_sizes_; }
  void attach(Driver<M>& driver) override { driver_ = &driver; }
  [[nodiscard]] int host_fd() const override { return poll_ != nullptr ? poll_->get() : -1; }

  [[nodiscard]] std::span<const std::byte> config() const override {
    return std::as_bytes(std::span(&config_, 1));
  }
  [[nodiscard]] bool writes_early(std::uint32_t offset, std::size_t length) const override {
    return is_emergency(offset, length);
  }
  [[nodiscard]] Result<void> write_config(std::uint32_t offset,
                                          std::span<const std::byte> bytes) override {
    if (!is_emergency(offset, bytes.size())) return fail(DeviceError::kConfigReadOnly, offset);
    control_.offer(0).port->emergency(bytes.front());
    return {};
  }

  void start() override {
    started_ = true;
    update_polls();
  }
  void stop_queue(std::uint16_t queue) override {
    const auto id = port_of(queue);
    if (!id) return;
    if (queue % 2 == 1)
      streams_[*id].stop();
    else
      wait_for(*id, PortPoll::Direction::kInput, -1);
  }
  void settle() override {}
  void reset() override {
    started_ = false;
    control_.reset();
    changed_ = 0;
    for (auto& stream : streams_) stream.stop();
    update_polls();
  }

  [[nodiscard]] Result<bool> serve(std::uint16_t queue) override {
    if (queue >= 2 && !multiport()) return refuse_all(queue);
    if (queue == kControlReceive) return give_messages();
    if (queue == kControlTransmit) return take_messages();
    const auto id = *port_of(queue);
    return queue % 2 == 0 ? give_input(id) : take_output(id);
  }
  [[nodiscard]] Result<bool> host_ready() override {
    Turns turns;
    if (multiport()) turns.add([&] { return give_messages(); });
    for (std::size_t id = 0; id < streams_.size(); ++id) {
      turns.add([&] { return give_input(id); });
      if (std::exchange(streams_[id].blocked, false)) turns.add([&] { return take_output(id); });
    }
    return turns.all;
  }

  [[nodiscard]] Result<void> save(std::vector<std::byte>& out) override {
    const SavedDevice device{
        .ports = static_cast<std::uint16_t>(streams_.size()),
        .device_ready = control_.device_ready() ? std::uint8_t{1} : std::uint8_t{0}};
    append(out, std::as_bytes(std::span(&device, 1)));
    for (std::size_t id = 0; id < streams_.size(); ++id) {
      const auto port = saved(id);
      append(out, std::as_bytes(std::span(&port, 1)));
      append(out, streams_[id].input);
    }
    return {};
  }
  [[nodiscard]] Result<void> restore(std::span<const std::byte> bytes) override {
    SavedDevice device;
    if (const auto ok = take(bytes, device); !ok) return ok;
    if (device.ports != streams_.size())
      return fail(DeviceStateError::kDevice, device.ports, streams_.size());
    if (device.device_ready > (multiport() ? 1 : 0) || device.reserved != 0)
      return fail(DeviceStateError::kReserved, device.device_ready);
    std::vector<PortControl::Port> ports(streams_.size());
    std::vector<Stream> streams(streams_.size());
    for (std::size_t id = 0; id < ports.size(); ++id)
      if (const auto ok = take_port(bytes, id, ports[id], streams[id]); !ok) return ok;
    if (!bytes.empty()) return fail(DeviceStateError::kLength, bytes.size(), 0);
    if (const auto ok = control_.restore(device.device_ready == 1, std::move(ports)); !ok)
      return ok;
    streams_ = std::move(streams);
    show_size();
    update_polls();
    return {};
  }

 private:
  static constexpr std::uint16_t kControlReceive = 2;
  static constexpr std::uint16_t kControlTransmit = 3;
  // People type and programs print in lines: a driver that has 64 of them waiting loses nothing by
  // waiting itself, and a port more costs two rings of this size.
  static constexpr std::uint16_t kQueueSize = 64;

  struct Stream {
    std::vector<std::byte> input;   // for the guest, at most kInputBytes
    std::uint64_t transmitted = 0;  // of the next transmit buffer
    bool blocked = false;           // the port took no more

    /// Of the transmit queue nothing is going on any more.
    void stop() {
      transmitted = 0;
      blocked = false;
    }
  };

  struct SavedDevice {
    le16 ports;                 // 0
    std::uint8_t device_ready;  // 2
    std::uint8_t reserved = 0;  // 3
  };
  static_assert(sizeof(SavedDevice) == 4);
  /// `input` bytes of input follow.
  struct SavedPort {
    std::uint8_t state;     // 0: PortControl::State
    std::uint8_t pending;   // 1: bit n: PortControl::Message n
    std::uint8_t flags;     // 2: kPlugged, kHostOpen, kGuestOpen
    std::uint8_t reserved;  // 3
    le16 cols;              // 4
    le16 rows;              // 6
    le32 input;             // 8
    le32 reserved2;         // 12
    le64 transmitted;       // 16
  };
  static_assert(sizeof(SavedPort) == 24 && offsetof(SavedPort, cols) == 4 &&
                offsetof(SavedPort, input) == 8 && offsetof(SavedPort, transmitted) == 16);
  static constexpr std::uint8_t kPlugged = 1, kHostOpen = 2, kGuestOpen = 4;

  /// Several turns as one: until one fails; whether one has more to do.
  struct Turns {
    Result<bool> all = false;
    template <class Turn>
    void add(Turn&& turn) {
      if (!all) return;
      const Result<bool> one = turn();
      all = one ? Result<bool>(*all || *one) : one;
    }
  };

  [[nodiscard]] bool offers(unsigned feature) const { return (features_ >> feature & 1) != 0; }
  [[nodiscard]] bool multiport() const { return driver_->has(VIRTIO_CONSOLE_F_MULTIPORT); }

  /// The port of a receive or transmit queue.
  [[nodiscard]] static std::optional<std::size_t> port_of(std::uint16_t queue) {
    if (queue < kControlReceive) return 0;
    if (queue <= kControlTransmit) return std::nullopt;
    return queue / 2U - 1;
  }
  [[nodiscard]] static std::uint16_t receive_queue(std::size_t id) {
    return static_cast<std::uint16_t>(id == 0 ? 0 : 2 * id + 2);
  }
  [[nodiscard]] static std::uint16_t transmit_queue(std::size_t id) {
    return static_cast<std::uint16_t>(receive_queue(id) + 1);
  }

  [[nodiscard]] bool may_receive(std::size_t id) const {
    return multiport() ? control_.port(id).guest_open : id == 0;
  }
  [[nodiscard]] bool may_transmit(std::size_t id) const {
    return multiport() ? control_.port(id).state == PortControl::State::kReady : id == 0;
  }
  /// The host's end is open, or there is no such thing.
  [[nodiscard]] bool host_open(std::size_t id) const {
    return !multiport() || control_.port(id).host_open;
  }

  // For the guest.

  [[nodiscard]] Result<bool> give_input(std::size_t id) {
    const auto queue = receive_queue(id);
    auto turn = take_turn(
        *driver_, queue, [&] { return refill(id); },
        [&](Chain<VirtQueue<M>> chain) {
          std::uint32_t used = 0;
          if (const auto done = fill(streams_[id].input, chain, used); !done)
            driver_->refused(queue, done.error());
          return chain.complete(used);
        });
    update_poll(id);
    return turn;
  }

  /// True when there are bytes that the guest may have.
  [[nodiscard]] bool refill(std::size_t id) {
    auto& input = streams_[id].input;
    if (!may_receive(id)) return false;
    if (!input.empty() || !host_open(id)) return !input.empty();
    std::array<std::byte, kInputBytes> bytes;
    const auto got = control_.offer(id).port->read(bytes);
    if (!got) driver_->refused(receive_queue(id), got.error());
    if (got) append(input, std::span(bytes).first(*got));
    return !input.empty();
  }

  /// Moves bytes from the front of `input` into a receive buffer.
  [[nodiscard]] static Result<void> fill(std::vector<std::byte>& input,
                                         const Chain<VirtQueue<M>>& chain, std::uint32_t& used) {
    if (const auto ok = check_receive(chain); !ok) return ok;
    auto writer = chain.writer();
    const auto before = writer.remaining();
    const auto length = std::min<std::uint64_t>(input.size(), before);
    const auto done = writer.write(std::span(input).first(length));
    used = static_cast<std::uint32_t>(before - writer.remaining());
    input.erase(input.begin(), input.begin() + used);
    return done;
  }

  [[nodiscard]] static Result<void> check_receive(const Chain<VirtQueue<M>>& chain) {
    if (chain.fault()) return std::unexpected(*chain.fault());
    if (chain.readable_bytes() != 0) return fail(ConsoleError::kReadable, chain.readable_bytes());
    if (chain.writable_bytes() == 0) return fail(ConsoleError::kNoRoom);
    return {};
  }

  // From the guest.

  [[nodiscard]] Result<bool> take_output(std::size_t id) {
    auto& stream = streams_[id];
    auto left = kTurnBytes;
    const auto turn = take_turn(
        *driver_, transmit_queue(id),
        [&] { return may_transmit(id) && !stream.blocked && left != 0; },
        [&](Chain<VirtQueue<M>> chain) -> Result<void> {
          const auto done = transmit(id, chain, left);
          if (done && !*done) return chain.put_back();
          if (!done) driver_->refused(transmit_queue(id), done.error());
          stream.transmitted = 0;
          return chain.complete(0);
        });
    update_poll(id);
    if (!turn) return turn;
    return *turn || left == 0;
  }

  /// Passes on what is next of a transmit buffer, at most `left` bytes. False: not all of it yet.
  [[nodiscard]] Result<bool> transmit(std::size_t id, const Chain<VirtQueue<M>>& chain,
                                      std::uint64_t& left) {
    auto& stream = streams_[id];
    if (chain.fault()) return std::unexpected(*chain.fault());
    if (chain.writable_bytes() != 0) return fail(ConsoleError::kWritable, chain.writable_bytes());
    if (!host_open(id)) return fail(ConsoleError::kHostClosed, id);
    auto reader = chain.reader();
    if (const auto ok = reader.skip(stream.transmitted); !ok)
      return fail(ConsoleError::kTransmitChanged, chain.readable_bytes(), stream.transmitted);
    while (reader.remaining() != 0 && left != 0) {
      std::array<std::byte, 4096> bytes;
      const auto before = reader.remaining();
      const auto wanted = std::min({before, left, std::uint64_t{bytes.size()}});
      const auto read = reader.read(std::span(bytes).first(wanted));
      const auto passed = pass_on(id, std::span(bytes).first(before - reader.remaining()));
      if (!passed) return passed;
      left -= before - reader.remaining();
      if (stream.blocked) return false;
      if (!read) return std::unexpected(read.error());
    }
    return reader.remaining() == 0;
  }

  /// Gives bytes to the port until it is blocked.
  [[nodiscard]] Result<bool> pass_on(std::size_t id, std::span<const std::byte> bytes) {
    auto& stream = streams_[id];
    while (!bytes.empty() && !stream.blocked) {
      const auto taken = control_.offer(id).port->write(bytes);
      if (!taken) return std::unexpected(taken.error());
      GUESTPROOF_INVARIANT(*taken <= bytes.size());
      stream.blocked = *taken == 0;
      stream.transmitted += *taken;
      bytes = bytes.subspan(*taken);
    }
    return true;
  }

  // Control messages.

  [[nodiscard]] Result<bool> take_messages() {
    Turns turns;
    turns.add([&] {
      return answer_each(kControlTransmit, [&](const auto& chain) { return take_message(chain); });
    });
    turns.add([&] { return give_messages(); });
    for (std::size_t id = 0; id < streams_.size(); ++id) {
      if (!turns.all || (changed_ >> id & 1) == 0) continue;
      changed_ &= ~(1U << id);
      Turns of_port;
      of_port.add([&] { return give_input(id); });
      of_port.add([&] { return take_output(id); });
      if (of_port.all && *of_port.all) changed_ |= 1U << id;
      turns.add([&] { return of_port.all; });
    }
    return turns.all;
  }

  [[nodiscard]] Result<void> take_message(const Chain<VirtQueue<M>>& chain) {
    if (chain.fault()) return std::unexpected(*chain.fault());
    if (chain.writable_bytes() != 0) return fail(ConsoleError::kWritable, chain.writable_bytes());
    if (chain.readable_bytes() < sizeof(ConsoleControl))
      return fail(ConsoleError::kControlLength, chain.readable_bytes(), sizeof(ConsoleControl));
    const auto message = chain.reader().template read_object<ConsoleControl>();
    if (!message) return std::unexpected(message.error());
    const auto changed = control_.receive(*message);
    if (!changed) return std::unexpected(changed.error());
    if (*changed) changed_ |= 1U << **changed;
    return {};
  }

  [[nodiscard]] Result<bool> give_messages() {
    std::vector<std::byte> message;
    return take_turn(
        *driver_, kControlReceive,
        [&] {
          message = control_.next();
          return !message.empty();
        },
        [&](Chain<VirtQueue<M>> chain) {
          const auto given = give_message(chain, message);
          if (!given) driver_->refused(kControlReceive, given.error());
          return chain.complete(given ? static_cast<std::uint32_t>(message.size()) : 0);
        });
  }

  [[nodiscard]] Result<void> give_message(const Chain<VirtQueue<M>>& chain,
                                          std::span<const std::byte> message) {
    if (const auto ok = check_receive(chain); !ok) return ok;
    if (chain.writable_bytes() < message.size())
      return fail(ConsoleError::kControlRoom, chain.writable_bytes(), message.size());
    // A driver that gives a buffer outside guest memory gets no half of a message.
    auto probe = chain.writer();
    const auto ok = probe.visit_slices(message.size(), [](const typename M::Slice&) {});
    if (!ok) return ok;
    control_.sent();
    return chain.writer().write(message);
  }

  /// A turn in which each chain is returned once `answer(chain)` has said what was wrong with it.
  template <class Answer>
  [[nodiscard]] Result<bool> answer_each(std::uint16_t queue, Answer&& answer) {
    return take_turn(*driver_, queue, [&](Chain<VirtQueue<M>> chain) {
      if (const auto done = answer(chain); !done) driver_->refused(queue, done.error());
      return chain.complete(0);
    });
  }
  [[nodiscard]] Result<bool> refuse_all(std::uint16_t queue) {
    return answer_each(queue, [&](const auto& chain) -> Result<void> {
      if (chain.fault()) return std::unexpected(*chain.fault());
      return fail(ConsoleError::kNoQueue, queue, driver_->features());
    });
  }

  // What else there is to keep right.

  [[nodiscard]] bool is_emergency(std::uint32_t offset, std::size_t length) const {
    return offers(VIRTIO_CONSOLE_F_EMERG_WRITE) && offset == offsetof(ConsoleConfig, emerg_wr) &&
           length != 0 && length <= sizeof(le32);
  }
  void show_size() {
    if (!offers(VIRTIO_CONSOLE_F_SIZE)) return;
    config_.cols = control_.port(0).cols;
    config_.rows = control_.port(0).rows;
  }

  /// Waits for what a port can go on with.
  void update_poll(std::size_t id) {
    const auto& stream = streams_[id];
    const auto* port = control_.offer(id).port;
    const bool input = started_ && driver_->queue(receive_queue(id)).active() &&
                       stream.input.empty() && may_receive(id) && host_open(id);
    wait_for(id, PortPoll::Direction::kInput, input ? port->input_fd() : -1);
    wait_for(id, PortPoll::Direction::kOutput, stream.blocked ? port->output_fd() : -1);
  }
  void wait_for(std::size_t id, PortPoll::Direction direction, int fd) {
    if (poll_ == nullptr) return;
    if (const auto done = poll_->wait_for(id, direction, fd); !done)
      driver_->refused(receive_queue(id), done.error());
  }
  void update_polls() {
    for (std::size_t id = 0; id < streams_.size(); ++id) update_poll(id);
  }

  static void append(std::vector<std::byte>& out, std::span<const std::byte> bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
  }

  [[nodiscard]] SavedPort saved(std::size_t id) const {
    const auto& port = control_.port(id);
    const auto& stream = streams_[id];
    const auto flag = [](bool set, std::uint8_t bit) { return set ? unsigned{bit} : 0U; };
    return {.state = static_cast<std::uint8_t>(port.state),
            .pending = port.pending,
            .flags = static_cast<std::uint8_t>(flag(port.plugged, kPlugged) |
                                               flag(port.host_open, kHostOpen) |
                                               flag(port.guest_open, kGuestOpen)),
            .reserved = 0,
            .cols = port.cols,
            .rows = port.rows,
            .input = static_cast<std::uint32_t>(stream.input.size()),
            .reserved2 = 0U,
            .transmitted = stream.transmitted};
  }

  /// The next object of a saved state.
  template <class T>
  [[nodiscard]] static Result<void> take(std::span<const std::byte>& bytes, T& object) {
    if (bytes.size() < sizeof(T)) return fail(DeviceStateError::kBytes, bytes.size(), sizeof(T));
    std::memcpy(static_cast<void*>(&object), bytes.data(), sizeof(T));
    bytes = bytes.subspan(sizeof(T));
    return {};
  }
  [[nodiscard]] static Result<void> take_port(std::span<const std::byte>& bytes, std::size_t id,
                                              PortControl::Port& port, Stream& stream) {
    SavedPort saved;
    if (const auto ok = take(bytes, saved); !ok) return ok;
    if (saved.reserved != 0 || saved.reserved2 != 0 ||
        (saved.flags & ~(kPlugged | kHostOpen | kGuestOpen)) != 0)
      return fail(DeviceStateError::kReserved, saved.flags);
    if (saved.input > kInputBytes) return fail(DeviceStateError::kDevice, saved.input, id);
    if (saved.input > bytes.size())
      return fail(DeviceStateError::kBytes, bytes.size(), saved.input);
    port = {.state = static_cast<PortControl::State>(saved.state),
            .pending = saved.pending,
            .plugged = (saved.flags & kPlugged) != 0,
            .host_open = (saved.flags & kHostOpen) != 0,
            .guest_open = (saved.flags & kGuestOpen) != 0,
            .cols = saved.cols,
            .rows = saved.rows};
    append(stream.input, bytes.first(saved.input));
    stream.transmitted = saved.transmitted;
    bytes = bytes.subspan(saved.input);
    return {};
  }

  std::uint64_t features_;
  PortPoll* poll_;
  PortControl control_;
  std::vector<Stream> streams_;
  std::vector<std::uint16_t> queue_sizes_;
  Driver<M>* driver_ = nullptr;
  ConsoleConfig config_{};
  bool started_ = false;
  std::uint32_t changed_ = 0;  // bit n: a message has changed what port n may do
};

}  // namespace guestproof::virtio::console
