#include "guestproof/virtio/device/console/control.h"

#include <algorithm>
#include <bit>
#include <span>

#include "guestproof/base/invariant.h"
#include "guestproof/virtio/device/error.h"

namespace guestproof::virtio::console {
namespace {

constexpr std::array<std::uint16_t, PortControl::kMessages> kEvents{
    VIRTIO_CONSOLE_DEVICE_REMOVE, VIRTIO_CONSOLE_DEVICE_ADD, VIRTIO_CONSOLE_CONSOLE_PORT,
    VIRTIO_CONSOLE_PORT_NAME,     VIRTIO_CONSOLE_RESIZE,     VIRTIO_CONSOLE_PORT_OPEN};

template <class T>
void append(std::vector<std::byte>& out, std::span<const T> objects) {
  const auto bytes = std::as_bytes(objects);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace

PortControl::PortControl(std::vector<PortOffer> offers) : offers_(std::move(offers)) {
  GUESTPROOF_INVARIANT(!offers_.empty() && offers_.size() <= kMaxPorts);
  for (const auto& offer : offers_) {
    GUESTPROOF_INVARIANT(offer.port != nullptr && offer.name.size() <= kMaxNameBytes);
    ports_.push_back({.plugged = offer.plugged, .host_open = offer.host_open});
  }
}

void PortControl::plug(std::size_t id) {
  if (std::exchange(ports_[id].plugged, true)) return;
  if (device_ready_) ports_[id].pending |= bit(kAdd);
}

void PortControl::unplug(std::size_t id) {
  auto& port = ports_[id];
  port.plugged = false;
  open(id, false);
  // What the driver does not know of needs no word.
  port.pending &= bit(kRemove);
  if (port.state != State::kAbsent) port.pending = bit(kRemove);
  port.state = State::kAbsent;
}

void PortControl::set_host_open(std::size_t id, bool open) {
  auto& port = ports_[id];
  port.host_open = open;
  if (port.state == State::kReady) port.pending |= bit(kOpen);
}

void PortControl::resize(std::size_t id, std::uint16_t cols, std::uint16_t rows) {
  auto& port = ports_[id];
  port.cols = cols;
  port.rows = rows;
  if (port.state == State::kReady && offers_[id].console) port.pending |= bit(kResize);
}

Result<std::optional<std::size_t>> PortControl::receive(const ConsoleControl& message) {
  const std::uint16_t event = message.event;
  if (event != VIRTIO_CONSOLE_DEVICE_READY && event != VIRTIO_CONSOLE_PORT_READY &&
      event != VIRTIO_CONSOLE_PORT_OPEN)
    return fail(ConsoleError::kEvent, event);
  if (message.value > 1) return fail(ConsoleError::kValue, message.value, event);
  if (event == VIRTIO_CONSOLE_DEVICE_READY) return device_ready(message.value);
  if (message.id >= ports_.size()) return fail(ConsoleError::kPortId, message.id, ports_.size());
  const std::size_t id = message.id;
  if (ports_[id].state == State::kAbsent) return fail(ConsoleError::kPortAbsent, id);
  if (event == VIRTIO_CONSOLE_PORT_READY) return port_ready(id, message.value);
  if (ports_[id].state != State::kReady) return fail(ConsoleError::kOrder, event, id);
  open(id, message.value == 1);
  return id;
}

Result<std::optional<std::size_t>> PortControl::device_ready(std::uint16_t value) {
  if (device_ready_) return fail(ConsoleError::kOrder, VIRTIO_CONSOLE_DEVICE_READY);
  if (value == 0) return fail(ConsoleError::kDriverFailed, VIRTIO_CONSOLE_DEVICE_READY);
  device_ready_ = true;
  for (auto& port : ports_)
    if (port.plugged) port.pending |= bit(kAdd);
  return std::nullopt;
}

Result<std::optional<std::size_t>> PortControl::port_ready(std::size_t id, std::uint16_t value) {
  auto& port = ports_[id];
  if (port.state != State::kAdded) return fail(ConsoleError::kOrder, VIRTIO_CONSOLE_PORT_READY, id);
  port.state = value == 0 ? State::kFailed : State::kReady;
  if (value == 0) return fail(ConsoleError::kDriverFailed, VIRTIO_CONSOLE_PORT_READY, id);
  const auto& offer = offers_[id];
  if (offer.console) port.pending |= bit(kConsole);
  if (!offer.name.empty()) port.pending |= bit(kName);
  if (offer.console && has_size(port)) port.pending |= bit(kResize);
  if (port.host_open) port.pending |= bit(kOpen);
  return id;
}

void PortControl::open(std::size_t id, bool open) {
  if (std::exchange(ports_[id].guest_open, open) != open) offers_[id].port->guest_opened(open);
}

std::size_t PortControl::first_pending() const {
  std::size_t id = 0;
  while (id < ports_.size() && ports_[id].pending == 0) ++id;
  return id;
}

std::vector<std::byte> PortControl::next() const {
  std::vector<std::byte> out;
  const auto id = first_pending();
  if (id == ports_.size()) return out;
  const auto& port = ports_[id];
  const auto kind = std::countr_zero(port.pending);
  const bool value = kind == kConsole || (kind == kOpen && port.host_open);
  const ConsoleControl control{.id = static_cast<std::uint32_t>(id),
                               .event = kEvents[static_cast<std::size_t>(kind)],
                               .value = static_cast<std::uint16_t>(value)};
  append(out, std::span(&control, 1));
  if (kind == kName) append(out, std::span<const char>(offers_[id].name));
  const ConsoleResize size{.cols = port.cols, .rows = port.rows};
  if (kind == kResize) append(out, std::span(&size, 1));
  return out;
}

void PortControl::sent() {
  auto& port = ports_[first_pending()];
  const auto kind = std::countr_zero(port.pending);
  port.pending &= static_cast<std::uint8_t>(port.pending - 1);
  if (kind == kAdd) port.state = State::kAdded;
}

void PortControl::reset() {
  device_ready_ = false;
  for (std::size_t id = 0; id < ports_.size(); ++id) {
    open(id, false);
    ports_[id].state = State::kAbsent;
    ports_[id].pending = 0;
  }
}

std::uint8_t PortControl::possible(const Port& port, const PortOffer& offer) const {
  if (port.state == State::kAbsent)
    return static_cast<std::uint8_t>(bit(kRemove) | (port.plugged ? bit(kAdd) : 0));
  if (port.state != State::kReady) return 0;
  return static_cast<std::uint8_t>((offer.console ? bit(kConsole) | bit(kResize) : 0) |
                                   (offer.name.empty() ? 0 : bit(kName)) | bit(kOpen));
}

Result<void> PortControl::restore(bool device_ready, std::vector<Port> ports) {
  GUESTPROOF_INVARIANT(ports.size() == ports_.size());
  for (std::size_t id = 0; id < ports.size(); ++id) {
    const auto& port = ports[id];
    const bool told = port.state != State::kAbsent || port.pending != 0;
    if (port.state > State::kFailed || (told && !device_ready) ||
        (port.state != State::kAbsent && !port.plugged))
      return fail(DeviceStateError::kDevice, static_cast<std::uint64_t>(port.state), id);
    if ((port.pending & ~possible(port, offers_[id])) != 0)
      return fail(DeviceStateError::kDevice, port.pending, id);
    const bool waits = (port.pending & bit(kAdd)) != 0;
    if (device_ready && port.plugged && port.state == State::kAbsent && !waits)
      return fail(DeviceStateError::kDevice, port.pending, id);
    if (port.guest_open && port.state != State::kReady)
      return fail(DeviceStateError::kDevice, 1, id);
  }
  for (std::size_t id = 0; id < ports.size(); ++id) open(id, ports[id].guest_open);
  device_ready_ = device_ready;
  ports_ = std::move(ports);
  return {};
}

}  // namespace guestproof::virtio::console
