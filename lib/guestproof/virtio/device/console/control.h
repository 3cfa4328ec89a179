// The ports of a console as device and driver have agreed on them through control messages: a state
// machine, without queues.
//
// A port is absent until the driver was told of it (DEVICE_ADD), then added, then ready or failed
// (the driver's PORT_READY); a ready one is opened and closed by either side. What the driver is to
// be told is not a list of messages that could grow, but a set for each port, at most one message
// of each kind, which says what holds when it is sent. They are sent port by port, in the order of
// Message.
//
// Thread-safety: none.
// Specification: virtio 1.3 §5.3.6.2.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "guestproof/base/error.h"
#include "guestproof/virtio/device/console/error.h"
#include "guestproof/virtio/device/console/port.h"
#include "guestproof/virtio/device/console/wire.h"

namespace guestproof::virtio::console {

/// The most ports of a device: with the control queues that makes 64 virtqueues, and QEMU has no
/// more either.
inline constexpr std::size_t kMaxPorts = 31;

class PortControl {
 public:
  enum class State : std::uint8_t { kAbsent, kAdded, kReady, kFailed };
  enum Message : std::uint8_t { kRemove, kAdd, kConsole, kName, kResize, kOpen, kMessages };

  /// What is remembered of a port, and saved.
  struct Port {
    State state = State::kAbsent;
    std::uint8_t pending = 0;  // bit n: Message n
    bool plugged = false;
    bool host_open = false;
    bool guest_open = false;
    std::uint16_t cols = 0;
    std::uint16_t rows = 0;
  };

  /// REQUIRES: 1 to kMaxPorts ports, names of at most kMaxNameBytes.
  explicit PortControl(std::vector<PortOffer> offers);

  [[nodiscard]] std::size_t size() const { return ports_.size(); }
  [[nodiscard]] const PortOffer& offer(std::size_t id) const { return offers_[id]; }
  [[nodiscard]] const Port& port(std::size_t id) const { return ports_[id]; }
  /// The driver is ready for control messages.
  [[nodiscard]] bool device_ready() const { return device_ready_; }

  // The host's side. REQUIRES: id < size().

  void plug(std::size_t id);
  void unplug(std::size_t id);
  void set_host_open(std::size_t id, bool open);
  void resize(std::size_t id, std::uint16_t cols, std::uint16_t rows);

  /// A message of the driver; the port that it changed. The first of these that applies is the
  /// error, and nothing is changed but by kDriverFailed:
  ///   1. kEvent         not DEVICE_READY, PORT_READY or PORT_OPEN
  ///   2. kValue         neither 0 nor 1
  ///   3. kPortId        no such port (DEVICE_READY's id is not looked at)
  ///   4. kPortAbsent    the driver was not told of the port
  ///   5. kOrder         DEVICE_READY or PORT_READY again, PORT_OPEN of a port that is not ready
  ///   6. kDriverFailed  DEVICE_READY or PORT_READY with the value 0
  [[nodiscard]] Result<std::optional<std::size_t>> receive(const ConsoleControl& message);

  /// The bytes of the next message to the driver; none when there is nothing to say.
  [[nodiscard]] std::vector<std::byte> next() const;
  /// The driver has got it. REQUIRES: there is a next().
  void sent();

  /// The driver is gone: it has to be told everything again.
  void reset();
  /// Ports as they were; whether they can be that is checked (DeviceStateError::kDevice, with the
  /// port's number as the limit), and nothing is changed if not.
  [[nodiscard]] Result<void> restore(bool device_ready, std::vector<Port> ports);

 private:
  static constexpr std::uint8_t bit(Message message) {
    return static_cast<std::uint8_t>(1U << message);
  }
  /// The first port that the driver is to be told something about; size() if there is none.
  [[nodiscard]] std::size_t first_pending() const;
  [[nodiscard]] Result<std::optional<std::size_t>> device_ready(std::uint16_t value);
  [[nodiscard]] Result<std::optional<std::size_t>> port_ready(std::size_t id, std::uint16_t value);
  void open(std::size_t id, bool open);
  [[nodiscard]] bool has_size(const Port& port) const { return port.cols != 0 || port.rows != 0; }
  /// The messages that may be pending for a port in this state.
  [[nodiscard]] std::uint8_t possible(const Port& port, const PortOffer& offer) const;

  std::vector<PortOffer> offers_;
  std::vector<Port> ports_;
  bool device_ready_ = false;
};

}  // namespace guestproof::virtio::console
