#include "guestproof/testing/model/console_model.h"

#include <algorithm>

namespace guestproof::testing {
namespace {

enum State : std::uint8_t { kAbsent, kAdded, kReady, kFailed };
enum Message : std::uint8_t { kRemove, kAdd, kConsole, kName, kResize, kOpen };

ModelError no_receive_buffer(const ModelChain& chain) {
  if (!chain.fault.none()) return chain.fault;
  if (chain.readable_bytes() != 0) return {"console.readable", chain.readable_bytes()};
  if (chain.writable_bytes() == 0) return {"console.no_room"};
  return {};
}

}  // namespace

std::vector<std::uint8_t> ConsoleModel::config() const {
  std::vector<std::uint8_t> out;
  append_number(out, 2, ports[0].cols);
  append_number(out, 2, ports[0].rows);
  append_number(out, 4, ports.size());
  append_number(out, 4, 0);
  return out;
}

ModelError ConsoleModel::write_config(std::uint64_t offset, std::span<const std::uint8_t> bytes) {
  if (!writes_early(offset, bytes.size())) return {"device.config_read_only", offset};
  ports[0].end->emergency(bytes[0]);
  return {};
}

void ConsoleModel::stop_queue(std::size_t queue) {
  if (queue == 2 || queue == 3 || queue % 2 == 0) return;
  auto& port = ports[queue == 1 ? 0 : (queue - 3) / 2];
  port.transmitted = 0;
  port.blocked = false;
}

void ConsoleModel::reset() {
  device_ready_ = false;
  changed.clear();
  for (auto& port : ports) {
    open(port, false);
    port.state = kAbsent;
    port.pending.clear();
    port.transmitted = 0;
    port.blocked = false;
  }
}

void ConsoleModel::open(Port& port, bool open) {
  if (port.guest_open == open) return;
  port.guest_open = open;
  port.end->guest_opened(open);
}

std::vector<std::uint8_t> ConsoleModel::save() const {
  std::vector<std::uint8_t> out;
  append_number(out, 2, ports.size());
  append_number(out, 2, device_ready_ ? 1 : 0);
  for (const auto& port : ports) {
    std::uint64_t pending = 0;
    for (const auto message : port.pending) pending |= 1ULL << message;
    append_number(out, 1, port.state);
    append_number(out, 1, pending);
    append_number(out, 2,
                  (port.plugged ? 1 : 0) + (port.host_open ? 2 : 0) + (port.guest_open ? 4 : 0));
    append_number(out, 2, port.cols);
    append_number(out, 2, port.rows);
    append_number(out, 8, port.input.size());
    append_number(out, 8, port.transmitted);
    out.insert(out.end(), port.input.begin(), port.input.end());
  }
  return out;
}

ModelError ConsoleModel::restore(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < 4) return {"device_state.bytes", bytes.size(), 4};
  if (number_in(bytes, 0, 2) != ports.size())
    return {"device_state.device", number_in(bytes, 0, 2), ports.size()};
  const auto ready = bytes[2];
  if (ready > 1 || (ready == 1 && !multiport()) || bytes[3] != 0)
    return {"device_state.reserved", ready};
  bytes = bytes.subspan(4);
  auto restored = ports;
  for (std::size_t id = 0; id < ports.size(); ++id) {
    if (bytes.size() < 24) return {"device_state.bytes", bytes.size(), 24};
    auto& port = restored[id];
    const auto flags = bytes[2];
    const auto input = number_in(bytes, 8, 4);
    if (flags > 7 || bytes[3] != 0 || number_in(bytes, 12, 4) != 0)
      return {"device_state.reserved", flags};
    if (input > 4096) return {"device_state.device", input, id};
    if (input > bytes.size() - 24) return {"device_state.bytes", bytes.size() - 24, input};
    port.state = bytes[0];
    port.pending.clear();
    for (unsigned message = 0; message < 8; ++message)
      if ((bytes[1] >> message & 1) != 0) port.pending.insert(message);
    port.plugged = (flags & 1) != 0;
    port.host_open = (flags & 2) != 0;
    port.guest_open = (flags & 4) != 0;
    port.cols = static_cast<std::uint16_t>(number_in(bytes, 4, 2));
    port.rows = static_cast<std::uint16_t>(number_in(bytes, 6, 2));
    port.transmitted = number_in(bytes, 16, 8);
    port.input.assign(bytes.begin() + 24, bytes.begin() + 24 + static_cast<std::ptrdiff_t>(input));
    bytes = bytes.subspan(24 + input);
  }
  if (!bytes.empty()) return {"device_state.length", bytes.size(), 0};
  for (std::size_t id = 0; id < ports.size(); ++id) {
    const auto& port = restored[id];
    std::uint64_t pending = 0;
    for (const auto message : port.pending) pending |= 1ULL << message;
    const bool known = port.state != kAbsent;
    if (port.state > kFailed || ((known || pending != 0) && ready == 0) || (known && !port.plugged))
      return {"device_state.device", port.state, id};
    for (const auto message : port.pending) {
      const bool possible =
          (message == kRemove && !known) || (message == kAdd && !known && port.plugged) ||
          (port.state == kReady && (((message == kConsole || message == kResize) && port.console) ||
                                    (message == kName && !port.name.empty()) || message == kOpen));
      if (!possible) return {"device_state.device", pending, id};
    }
    if (ready == 1 && port.plugged && !known && !port.pending.contains(kAdd))
      return {"device_state.device", pending, id};
    if (port.guest_open && port.state != kReady) return {"device_state.device", 1, id};
  }
  for (std::size_t id = 0; id < ports.size(); ++id) {
    open(ports[id], restored[id].guest_open);
    ports[id] = restored[id];
    ports[id].blocked = false;
  }
  device_ready_ = ready == 1;
  return {};
}

void ConsoleModel::plug(std::size_t id) {
  if (!ports[id].plugged && device_ready_) ports[id].pending.insert(kAdd);
  ports[id].plugged = true;
}

void ConsoleModel::unplug(std::size_t id) {
  auto& port = ports[id];
  open(port, false);
  const bool told = port.state != kAbsent || port.pending.contains(kRemove);
  port.pending.clear();
  if (told) port.pending.insert(kRemove);
  port.plugged = false;
  port.state = kAbsent;
  port.input.clear();
  port.transmitted = 0;
  port.blocked = false;
}

void ConsoleModel::set_host_open(std::size_t id, bool open) {
  ports[id].host_open = open;
  if (ports[id].state == kReady) ports[id].pending.insert(kOpen);
}

void ConsoleModel::resize(std::size_t id, std::uint16_t cols, std::uint16_t rows) {
  ports[id].cols = cols;
  ports[id].rows = rows;
  if (ports[id].state == kReady && ports[id].console) ports[id].pending.insert(kResize);
}

bool ConsoleModel::refill(std::size_t id, ModelError& why) {
  auto& port = ports[id];
  const bool may = multiport() ? port.guest_open : id == 0;
  if (!may) return false;
  if (port.input.empty() && (port.host_open || !multiport())) {
    std::uint8_t byte = 0;
    auto answer = End::Answer::kDone;
    while (port.input.size() < 4096 && (answer = port.end->get(byte)) == End::Answer::kDone)
      port.input.push_back(byte);
    if (answer == End::Answer::kFails) why = {"system.read"};
  }
  return !port.input.empty();
}

ConsoleModel::Given ConsoleModel::give_input(const WatchedMemory& memory, const ModelChain& chain,
                                             std::size_t id) {
  if (const auto why = no_receive_buffer(chain); !why.none()) return {.used = 0, .why = why};
  auto& input = ports[id].input;
  Given given;
  while (!input.empty() && given.used < chain.writable_bytes()) {
    const std::array<std::uint8_t, 1> byte{input.front()};
    if (chain.write(ModelMemory(memory), given.used, byte) == 0) {
      given.why = no_memory(memory, chain.writable, given.used);
      break;
    }
    input.pop_front();
    ++given.used;
  }
  return given;
}

std::vector<std::uint8_t> ConsoleModel::message() const {
  std::vector<std::uint8_t> out;
  for (std::size_t id = 0; id < ports.size(); ++id) {
    const auto& port = ports[id];
    if (port.pending.empty()) continue;
    const auto message = *port.pending.begin();
    constexpr std::uint8_t kEvents[] = {2, 1, 4, 7, 5, 6};
    append_number(out, 4, id);
    append_number(out, 2, kEvents[message]);
    append_number(out, 2, message == kConsole || (message == kOpen && port.host_open) ? 1 : 0);
    if (message == kName)
      for (const char c : port.name) out.push_back(static_cast<std::uint8_t>(c));
    if (message == kResize) {
      append_number(out, 2, port.cols);
      append_number(out, 2, port.rows);
    }
    break;
  }
  return out;
}

ConsoleModel::Given ConsoleModel::give_message(const WatchedMemory& memory,
                                               const ModelChain& chain) {
  const auto bytes = message();
  if (const auto why = no_receive_buffer(chain); !why.none()) return {.used = 0, .why = why};
  if (chain.writable_bytes() < bytes.size())
    return {.used = 0, .why = {"console.control_room", chain.writable_bytes(), bytes.size()}};
  std::uint64_t reachable = 0;
  for (const auto& piece : chain.writable) {
    const auto part = ModelMemory(memory).reachable(piece.address, piece.length, true);
    reachable += part;
    if (part != piece.length) break;
  }
  if (reachable < bytes.size())
    return {.used = 0, .why = no_memory(memory, chain.writable, reachable)};
  chain.write(ModelMemory(memory), 0, bytes);
  auto& port = *std::ranges::find_if(ports, [](const Port& p) { return !p.pending.empty(); });
  if (*port.pending.begin() == kAdd) port.state = kAdded;
  port.pending.erase(port.pending.begin());
  return {.used = static_cast<std::uint32_t>(bytes.size()), .why = {}};
}

bool ConsoleModel::may_transmit(std::size_t id) const {
  return multiport() ? ports[id].state == kReady : id == 0;
}

ConsoleModel::Passed ConsoleModel::take_output(const WatchedMemory& memory, const ModelChain& chain,
                                               std::size_t id, std::uint64_t& left) {
  auto& port = ports[id];
  const auto refuse = [&](const ModelError& why) {
    port.transmitted = 0;
    return Passed{.all = true, .why = why};
  };
  if (!chain.fault.none()) return refuse(chain.fault);
  if (chain.writable_bytes() != 0) return refuse({"console.writable", chain.writable_bytes()});
  if (multiport() && !port.host_open) return refuse({"console.host_closed", id});
  const auto bytes = chain.readable_bytes();
  if (port.transmitted > bytes)
    return refuse({"console.transmit_changed", bytes, port.transmitted});
  auto position = port.transmitted;
  while (position != bytes && left != 0) {
    // What the port does not take of a piece is read again later.
    std::vector<std::uint8_t> piece(std::min({bytes - position, left, std::uint64_t{4096}}));
    const auto got = chain.read(ModelMemory(memory), position, piece);
    for (std::size_t i = 0; i < got; ++i) {
      const auto answer = port.end->put(piece[i]);
      if (answer == End::Answer::kFails) return refuse({"system.write"});
      port.blocked = answer == End::Answer::kNotNow;
      if (port.blocked) break;
      ++port.transmitted;
    }
    position += got;
    left -= got;
    if (port.blocked) return {.all = false, .why = {}};
    if (got < piece.size()) return refuse({"memory.unmapped"});
  }
  if (position != bytes) return {.all = false, .why = {}};
  return refuse({});
}

ModelError ConsoleModel::take_message(const WatchedMemory& memory, const ModelChain& chain) {
  if (!chain.fault.none()) return chain.fault;
  if (chain.writable_bytes() != 0) return {"console.writable", chain.writable_bytes()};
  if (chain.readable_bytes() < 8) return {"console.control_length", chain.readable_bytes(), 8};
  std::array<std::uint8_t, 8> bytes;
  if (chain.read(ModelMemory(memory), 0, bytes) < 8) return {"memory.unmapped"};
  return receive(number_in(bytes, 0, 4), number_in(bytes, 4, 2), number_in(bytes, 6, 2));
}

ModelError ConsoleModel::receive(std::uint64_t id, std::uint64_t event, std::uint64_t value) {
  if (event != 0 && event != 3 && event != 6) return {"console.event", event};
  if (value > 1) return {"console.value", value, event};
  if (event == 0) {
    if (device_ready_) return {"console.order", 0};
    if (value == 0) return {"console.driver_failed", 0};
    device_ready_ = true;
    for (auto& port : ports)
      if (port.plugged) port.pending.insert(kAdd);
    return {};
  }
  if (id >= ports.size()) return {"console.port_id", id, ports.size()};
  auto& port = ports[id];
  if (port.state == kAbsent) return {"console.port_absent", id};
  if (event == 6) {
    if (port.state != kReady) return {"console.order", 6, id};
    open(port, value == 1);
    changed.insert(id);
    return {};
  }
  if (port.state != kAdded) return {"console.order", 3, id};
  port.state = value == 1 ? kReady : kFailed;
  if (value == 0) return {"console.driver_failed", 3, id};
  if (port.console) port.pending.insert(kConsole);
  if (!port.name.empty()) port.pending.insert(kName);
  if (port.console && (port.cols != 0 || port.rows != 0)) port.pending.insert(kResize);
  if (port.host_open) port.pending.insert(kOpen);
  changed.insert(id);
  return {};
}

}  // namespace guestproof::testing
