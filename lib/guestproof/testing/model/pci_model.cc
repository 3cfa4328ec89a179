#include "guestproof/testing/model/pci_model.h"

#include <algorithm>
#include <utility>

namespace guestproof::testing {
namespace {

using Bytes = PciModel::Bytes;
using EventKind = ModelPciEvent::Kind;
using Structure = MsixModel::Structure;

unsigned command_of(const Bytes& config) { return static_cast<unsigned>(number_in(config, 4, 2)); }

bool is_master(const Bytes& config) { return (command_of(config) & 4) != 0; }

unsigned msix_flags(const Bytes& config, std::size_t msix_at) {
  const auto word = number_in(config, msix_at + 2, 2);
  return static_cast<unsigned>((word >> 15 & 1) + 2 * (word >> 14 & 1)) +
         4 * (command_of(config) >> 2 & 1);
}

}  // namespace

std::uint8_t model_owner_byte(unsigned bar, std::uint64_t offset) {
  return static_cast<std::uint8_t>(0x11 * (bar + 1) + 7 * offset);
}

PciModel::Function PciModel::built(const ModelFunctionSpec& spec) {
  Function function;
  function.spec = spec;
  function.routing_id = spec.device * 8U + spec.function;
  auto& config = function.config;
  config.assign(256, 0);
  function.writable = function.clearable = function.own = config;
  put_number(config, 0, 2, spec.vendor_id);
  put_number(config, 2, 2, spec.device_id);
  config[8] = spec.revision;
  put_number(config, 9, 3, spec.class_code);
  put_number(config, 44, 2, spec.subsystem_vendor_id);
  put_number(config, 46, 2, spec.subsystem_id);
  config[14] = spec.multi_function ? 0x80 : 0;
  config[61] = spec.pin;
  put_number(function.writable, 4, 2, 0x547);
  put_number(function.clearable, 6, 2, 0xf900);
  if (spec.pin != 0) put_number(function.own, 6, 2, 8);
  function.writable[60] = 0xff;

  for (const auto& bar : spec.bars) {
    const bool wide = bar.kind == ModelBar::Kind::kMemory64;
    std::uint64_t free = 0;
    for (unsigned bit = 0; bit < 64; ++bit)
      if (std::uint64_t{1} << bit >= bar.size) free |= std::uint64_t{1} << bit;
    put_number(function.writable, 16 + 4 * bar.index, wide ? 8 : 4, free);
    unsigned type = wide ? 4 : 0;
    if (bar.prefetchable) type += 8;
    if (bar.kind == ModelBar::Kind::kPorts) type = 1;
    config[16 + 4 * bar.index] = static_cast<std::uint8_t>(type);
  }

  std::size_t at = 0x40, link = 0x34;
  const auto capability = [&](unsigned id, const Bytes& body, const Bytes& writable) {
    config[link] = static_cast<std::uint8_t>(at);
    config[at] = static_cast<std::uint8_t>(id);
    config[6] = 0x10;
    link = at + 1;
    std::ranges::copy(body, config.begin() + static_cast<long>(at) + 2);
    std::ranges::copy(writable, function.writable.begin() + static_cast<long>(at) + 2);
    const auto here = at;
    at += 2 + body.size();
    while (at % 4 != 0) ++at;
    return here;
  };
  if (spec.msix.vectors != 0) {
    Bytes body, writable(10);
    append_number(body, 2, spec.msix.vectors - 1U);
    append_number(body, 4, spec.msix.table_offset + spec.msix.table_bar);
    append_number(body, 4, spec.msix.pending_offset + spec.msix.pending_bar);
    writable[1] = 0xc0;
    function.msix_at = capability(0x11, body, writable);
    function.msix.emplace(spec.msix.vectors);
  }
  for (const auto& each : spec.capabilities) {
    const auto here = capability(0x09, each.body, each.writable);
    if (each.window) function.window_at = here + 2 + each.body.size() - 4;
  }
  function.initial = config;
  return function;
}

PciModel::PciModel(const ModelBusSpec& spec) : spec_(spec) {
  for (const auto& each : spec_.functions) functions_.push_back(built(each));
}

PciModel::Function* PciModel::function_at(std::uint64_t ecam_offset) {
  for (auto& function : functions_)
    if (ecam_offset >> 12 == function.routing_id) return &function;
  return nullptr;
}

ModelError PciModel::config_refusal(std::uint64_t offset, std::size_t width) {
  if (width != 1 && width != 2 && width != 4) return {"pci.width", width, 4};
  if (offset / 4 != (offset + width - 1) / 4) return {"pci.straddle", offset, width};
  if (offset > 255) return {"pci.offset", offset, 256};
  return {};
}

PciModel::Answer PciModel::read_ecam(std::uint64_t offset, std::size_t width) {
  Answer answer{Bytes(width, 0xff), {}};
  auto* function = function_at(offset);
  if (function == nullptr) {
    answer.error = {"pci.absent", offset >> 12, 0};
    return answer;
  }
  const auto at = offset & 0xfff;
  answer.error = config_refusal(at, width);
  if (answer.error.name == "pci.offset") answer.bytes.assign(width, 0);
  if (!answer.error.none()) return answer;
  const bool window = function->window_at != 0 && at / 4 * 4 == function->window_at;
  if (window && function->spec.owner != nullptr)
    return function->spec.owner->read_window(at % 4, width);
  for (std::size_t i = 0; i < width; ++i)
    answer.bytes[i] = window ? model_owner_byte(6, at % 4 + i) : function->config[at + i];
  if (window) events_.push_back({EventKind::kWindowRead, function->routing_id, 0, at % 4, width});
  return answer;
}

ModelError PciModel::write_ecam(std::uint64_t offset, const Bytes& bytes) {
  auto* function = function_at(offset);
  if (function == nullptr) return {"pci.absent", offset >> 12, 0};
  const auto at = offset & 0xfff;
  if (const auto error = config_refusal(at, bytes.size()); !error.none()) return error;
  if (function->window_at != 0 && at / 4 * 4 == function->window_at) {
    if (function->spec.owner != nullptr) return function->spec.owner->write_window(at % 4, bytes);
    events_.push_back({EventKind::kWindowWritten, function->routing_id, 0, at % 4,
                       number_in(bytes, 0, bytes.size())});
    return {};
  }
  const auto before = function->config;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    for (unsigned bit = 1; bit < 256; bit *= 2) {
      auto& byte = function->config[at + i];
      if ((function->writable[at + i] & bit) != 0)
        byte = static_cast<std::uint8_t>((byte & ~bit) | (bytes[i] & bit));
      if ((function->clearable[at + i] & bytes[i] & bit) != 0)
        byte = static_cast<std::uint8_t>(byte & ~bit);
    }
  const bool was_master = is_master(before), master = is_master(function->config);
  if (was_master && !master) observe_master(*function, false);
  if (function->msix) {
    function->msix->control(msix_flags(function->config, function->msix_at));
    observe_msix(*function);
  }
  if (!was_master && master) observe_master(*function, true);
  observe_lines();
  bool moved = (command_of(before) & 3) != (command_of(function->config) & 3);
  for (std::size_t each = 16; each < 40; ++each)
    if (before[each] != function->config[each]) moved = true;
  if (!moved) return {};
  const auto refusal = place_bars(static_cast<std::size_t>(function - functions_.data()));
  observe_bars();
  return refusal;
}

ModelError PciModel::port_refusal(std::uint64_t port, std::size_t width) const {
  if (port < 0xcfc || width == 0 || port + width > 0xd00) return {"pci.port", port, width};
  if (address_ < 0x8000'0000) return {"pci.address_disabled", address_, 0};
  return {};
}

std::uint64_t PciModel::port_offset(std::uint64_t port) const {
  return (std::uint64_t{address_} >> 8 & 0xffff) * 4096 + (address_ & 0xff) + (port - 0xcfc);
}

PciModel::Answer PciModel::read_port(std::uint64_t port, std::size_t width) {
  Answer answer{Bytes(width, 0xff), {}};
  if (port == 0xcf8 && width == 4) {
    put_number(answer.bytes, 0, 4, address_);
    return answer;
  }
  answer.error = port_refusal(port, width);
  if (!answer.error.none()) return answer;
  return read_ecam(port_offset(port), width);
}

ModelError PciModel::write_port(std::uint64_t port, const Bytes& bytes) {
  if (port == 0xcf8 && bytes.size() == 4) {
    const auto number = number_in(bytes, 0, 4);
    address_ = static_cast<std::uint32_t>(number - (number & 0x7f00'0003));
    return {};
  }
  if (const auto error = port_refusal(port, bytes.size()); !error.none()) return error;
  return write_ecam(port_offset(port), bytes);
}

std::optional<std::uint64_t> PciModel::wanted(const Function& function, const ModelBar& bar) const {
  const bool ports = bar.kind == ModelBar::Kind::kPorts;
  if ((command_of(function.config) & (ports ? 1U : 2U)) == 0) return std::nullopt;
  const bool wide = bar.kind == ModelBar::Kind::kMemory64;
  const auto registers = number_in(function.config, 16 + 4 * bar.index, wide ? 8 : 4);
  return registers / bar.size * bar.size;
}

bool PciModel::in_a_window(const ModelBar& bar, std::uint64_t base) const {
  // First and last addresses: of a BAR neither wraps, since its base is a multiple of its size.
  const auto inside = [&](const ModelWindow& window) {
    return window.size != 0 && base >= window.base &&
           base + (bar.size - 1) <= window.base + (window.size - 1);
  };
  if (bar.kind == ModelBar::Kind::kPorts) return inside(spec_.ports);
  return inside(spec_.memory[0]) || inside(spec_.memory[1]);
}

ModelError PciModel::place_bars(std::size_t function) {
  placed_.clear();
  ModelError refusal;
  for (std::size_t i = 0; i < functions_.size(); ++i)
    for (const auto& bar : functions_[i].spec.bars) {
      const auto base = wanted(functions_[i], bar);
      if (!base) continue;
      ModelError error;
      std::optional<std::uint64_t> meets;
      for (const auto& other : placed_) {
        const bool same_space =
            (other.bar.kind == ModelBar::Kind::kPorts) == (bar.kind == ModelBar::Kind::kPorts);
        // One of two ranges that meet has the first address of the other.
        if (same_space && (other.has(*base) || Placed{i, bar, *base}.has(other.base)))
          meets = std::max(meets.value_or(0), other.base);
      }
      if (!in_a_window(bar, *base))
        error = {"pci.bar_outside", *base, bar.size};
      else if (meets)
        error = {"pci.bar_overlap", *base, *meets};
      else
        placed_.push_back({i, bar, *base});
      if (i == function && refusal.none()) refusal = error;
    }
  return refusal;
}

void PciModel::observe_bars() {
  const auto was = std::exchange(observed_, placed_);
  const auto event = [&](EventKind kind, const Placed& place) {
    events_.push_back(
        {kind, functions_[place.function].routing_id, place.bar.index, place.base, place.bar.size});
  };
  for (const auto& place : was)
    if (std::ranges::find(placed_, place) == placed_.end()) event(EventKind::kUnmapped, place);
  for (const auto& place : placed_)
    if (std::ranges::find(was, place) == was.end()) event(EventKind::kMapped, place);
}

void PciModel::observe_lines() {
  std::array<bool, 4> levels{};
  for (const auto& function : functions_) {
    const bool pending = (function.config[6] & 8) != 0;
    const bool disabled = (command_of(function.config) & 0x400) != 0;
    const bool by_message = function.msix && (function.msix->flags() & 1) != 0;
    if (!pending || disabled || by_message) continue;
    levels[(function.spec.device + function.spec.pin + 3U) % 4] = true;
  }
  for (unsigned line = 0; line < 4; ++line)
    if (levels[line] != levels_[line])
      events_.push_back({EventKind::kLine, 0, line, 0, levels[line] ? 1U : 0U});
  levels_ = levels;
}

void PciModel::observe_msix(Function& function) {
  for (const auto& message : function.msix->take_messages())
    events_.push_back({EventKind::kMessage, 0, 0, message.address, message.data});
}

void PciModel::observe_master(const Function& function, bool on) {
  if (&function == &functions_.front()) return;  // the bridge has nobody behind it
  if (function.spec.owner != nullptr) return function.spec.owner->master(on);
  events_.push_back({EventKind::kMaster, function.routing_id, 0, 0, on ? 1U : 0U});
}

const PciModel::Placed* PciModel::find(bool ports, std::uint64_t address) const {
  for (const auto& place : placed_)
    if ((place.bar.kind == ModelBar::Kind::kPorts) == ports && place.has(address)) return &place;
  return nullptr;
}

ModelError PciModel::bar_refusal(bool ports, std::uint64_t address, std::size_t width) const {
  if (width < 1 || width > 8) return {"pci.width", width, 8};
  const auto* place = find(ports, address);
  if (place == nullptr) return {"pci.unmapped", address, 0};
  if (address - place->base + width > place->bar.size)
    return {"pci.bar_end", address, place->bar.size};
  return {};
}

PciModel::MsixPart PciModel::msix_part(const Function& function, unsigned bar, std::uint64_t offset,
                                       std::size_t width) {
  if (!function.msix) return {};
  const auto& where = function.spec.msix;
  for (const auto structure : {Structure::kTable, Structure::kPending}) {
    const bool table = structure == Structure::kTable;
    if (bar != (table ? where.table_bar : where.pending_bar)) continue;
    const std::uint64_t begin = table ? where.table_offset : where.pending_offset;
    std::size_t inside = 0;
    for (std::size_t i = 0; i < width; ++i)
      if (offset + i >= begin && offset + i < begin + function.msix->bytes_of(structure)) ++inside;
    if (inside == width) return {structure, offset - begin, {}};
    if (inside != 0) return {std::nullopt, 0, {"pci.msix_part", offset, width}};
  }
  return {};
}

PciModel::Answer PciModel::read(bool ports, std::uint64_t address, std::size_t width) {
  Answer answer{Bytes(width, 0xff), bar_refusal(ports, address, width)};
  if (!answer.error.none()) return answer;
  const auto place = *find(ports, address);
  return read_bar(place.function, place.bar.index, address - place.base, width);
}

PciModel::Answer PciModel::read_bar(std::size_t index, unsigned bar, std::uint64_t offset,
                                    std::size_t width) {
  auto& function = functions_[index];
  const auto part = msix_part(function, bar, offset, width);
  Answer answer{Bytes(width, 0xff), part.error};
  if (!part.error.none()) return answer;
  if (part.structure) return function.msix->read(*part.structure, part.offset, width);
  if (function.spec.owner != nullptr) return function.spec.owner->read_bar(bar, offset, width);
  for (std::size_t i = 0; i < width; ++i) answer.bytes[i] = model_owner_byte(bar, offset + i);
  events_.push_back({EventKind::kBarRead, function.routing_id, bar, offset, width});
  if (offset == 0) function.config[6] &= 0xf7;  // the owner takes its interrupt back
  observe_lines();
  return answer;
}

ModelError PciModel::write(bool ports, std::uint64_t address, const Bytes& bytes) {
  if (const auto error = bar_refusal(ports, address, bytes.size()); !error.none()) return error;
  const auto place = *find(ports, address);
  return write_bar(place.function, place.bar.index, address - place.base, bytes);
}

ModelError PciModel::write_bar(std::size_t index, unsigned bar, std::uint64_t offset,
                               const Bytes& bytes) {
  auto& function = functions_[index];
  const auto part = msix_part(function, bar, offset, bytes.size());
  if (!part.error.none()) return part.error;
  if (part.structure) {
    const auto error = function.msix->write(*part.structure, part.offset, bytes);
    observe_msix(function);
    return error;
  }
  if (function.spec.owner != nullptr) return function.spec.owner->write_bar(bar, offset, bytes);
  events_.push_back({EventKind::kBarWritten, function.routing_id, bar, offset,
                     number_in(bytes, 0, bytes.size())});
  return {};
}

bool PciModel::msix_enabled(std::size_t function) const {
  const auto& msix = functions_[function].msix;
  return msix && (msix->flags() & 1) != 0;
}

ModelError PciModel::raise(std::size_t function, std::size_t vector) {
  auto& msix = functions_[function].msix;
  if (!msix) return {"pci.no_msix", vector, 0};
  const auto error = msix->raise(vector);
  observe_msix(functions_[function]);
  return error;
}

ModelError PciModel::withdraw(std::size_t function, std::size_t vector) {
  auto& msix = functions_[function].msix;
  if (!msix) return {"pci.no_msix", vector, 0};
  return msix->withdraw(vector);
}

void PciModel::set_interrupt(std::size_t function, bool pending) {
  auto& status = functions_[function].config[6];
  status = static_cast<std::uint8_t>((status & 0xf7) + (pending ? 8 : 0));
  observe_lines();
}

void PciModel::report(std::size_t function, unsigned errors) {
  auto& config = functions_[function].config;
  put_number(config, 6, 2, number_in(config, 6, 2) | errors);
}

void PciModel::reset() {
  for (auto& function : functions_) {
    if (is_master(function.config)) observe_master(function, false);
    function.config = function.initial;
    if (function.msix) function.msix->reset();
  }
  address_ = 0;
  static_cast<void>(place_bars(0));
  observe_bars();
  observe_lines();
}

std::optional<std::uint64_t> PciModel::base_of(std::size_t function, unsigned bar) const {
  for (const auto& place : placed_)
    if (place.function == function && place.bar.index == bar) return place.base;
  return std::nullopt;
}

Bytes PciModel::encode() const {
  Bytes bytes;
  append_number(bytes, 4, 0x42505047);
  append_number(bytes, 2, 1);
  append_number(bytes, 2, functions_.size());
  append_number(bytes, 4, 0);
  append_number(bytes, 4, address_);
  for (const auto& function : functions_) {
    const auto msix = function.msix ? function.msix->encode() : Bytes();
    append_number(bytes, 4, function.routing_id);
    append_number(bytes, 4, 16 + 256 + msix.size());
    append_number(bytes, 4, 0x46505047);
    append_number(bytes, 4, 1);
    append_number(bytes, 4, 16 + 256 + msix.size());
    append_number(bytes, 4, msix.size());
    bytes.insert(bytes.end(), function.config.begin(), function.config.end());
    bytes.insert(bytes.end(), msix.begin(), msix.end());
  }
  put_number(bytes, 8, 4, bytes.size());
  return bytes;
}

ModelError PciModel::take_function(std::span<const std::uint8_t> bytes, Function& function) const {
  const auto field = [&](std::size_t at, std::size_t width) { return number_in(bytes, at, width); };
  if (field(0, 4) != 0x46505047) return {"pci_state.magic", field(0, 4), 0x46505047};
  if (field(4, 2) != 1) return {"pci_state.version", field(4, 2), 1};
  if (field(6, 2) != 0) return {"pci_state.reserved", field(6, 2), 0};
  if (field(8, 4) != bytes.size()) return {"pci_state.length", field(8, 4), bytes.size()};
  if (field(12, 4) != bytes.size() - 272)
    return {"pci_state.msix_length", field(12, 4), bytes.size() - 272};
  for (std::size_t at = 0; at < 256; ++at) {
    const auto now = bytes[16 + at], was = function.config[at];
    for (unsigned bit = 1; bit < 256; bit *= 2) {
      const auto free = function.writable[at] | function.clearable[at] | function.own[at];
      if ((now & bit) != (was & bit) && (free & bit) == 0) return {"pci_state.read_only", at, was};
    }
    function.config[at] = now;
  }
  if (!function.msix) return {};
  if (const auto error = function.msix->decode(bytes.subspan(272)); !error.none()) return error;
  const auto says = msix_flags(function.config, function.msix_at);
  if (function.msix->flags() != says)
    return {"pci_state.msix_control", function.msix->flags(), says};
  return {};
}

ModelError PciModel::decode(std::span<const std::uint8_t> bytes) {
  const auto size = encode().size();
  if (bytes.size() != size) return {"pci_state.bytes", bytes.size(), size};
  const auto field = [&](std::size_t at, std::size_t width) { return number_in(bytes, at, width); };
  if (field(0, 4) != 0x42505047) return {"pci_state.magic", field(0, 4), 0x42505047};
  if (field(4, 2) != 1) return {"pci_state.version", field(4, 2), 1};
  if (field(6, 2) != functions_.size())
    return {"pci_state.functions", field(6, 2), functions_.size()};
  if (field(8, 4) != size) return {"pci_state.length", field(8, 4), size};
  if ((field(12, 4) & 0x7f00'0003) != 0)
    return {"pci_state.config_address", field(12, 4), 0x80ff'fffc};

  auto taken = functions_;
  std::size_t at = 16;
  for (auto& function : taken) {
    const auto length = 272 + (function.msix ? function.msix->encode().size() : 0);
    if (field(at, 2) != function.routing_id)
      return {"pci_state.slot", field(at, 2), function.routing_id};
    if (field(at + 2, 2) != 0) return {"pci_state.reserved", field(at + 2, 2), 0};
    if (field(at + 4, 4) != length) return {"pci_state.length", field(at + 4, 4), length};
    if (const auto error = take_function(bytes.subspan(at + 8, length), function); !error.none())
      return error;
    at += 8 + length;
  }
  for (std::size_t i = 0; i < functions_.size(); ++i) {
    const bool was = is_master(functions_[i].config), is = is_master(taken[i].config);
    if (was && !is) observe_master(functions_[i], false);
    functions_[i] = taken[i];
    if (!was && is) observe_master(functions_[i], true);
  }
  address_ = static_cast<std::uint32_t>(field(12, 4));
  static_cast<void>(place_bars(0));
  observe_bars();
  observe_lines();
  return {};
}

std::vector<ModelPciEvent> PciModel::take_events() { return std::exchange(events_, {}); }

}  // namespace guestproof::testing
