#include "guestproof/testing/harness/pci_config_harness.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "guestproof/base/invariant.h"
#include "guestproof/testing/harness/pci_events.h"

namespace guestproof::testing {
namespace {

using pci::MsixError;
using pci::PciError;
using pci::PciStateError;
using BarKind = ModelBar::Kind;
using EventKind = ModelPciEvent::Kind;

const ModelFunctionSpec kBridge{.vendor_id = 0x1b36,
                                .device_id = 8,
                                .class_code = 0x060000,
                                .bars = {},
                                .msix = {},
                                .capabilities = {}};

/// Everything that there is: ports, windows to owners, a BAR larger than 4 GiB, functions that
/// share a device and lines.
const ModelBusSpec kRich{
    .memory = {{{0xe000'0000, 0x1000'0000}, {0x10'0000'0000, std::uint64_t{1} << 36}}},
    .ports = {0xc000, 0x4000},
    .functions = {kBridge,
                  {.device = 1,
                   .vendor_id = 0x1af4,
                   .device_id = 0x1041,
                   .class_code = 0x020000,
                   .pin = 1,
                   .bars = {{0, BarKind::kMemory32, 0x1000, false},
                            {1, BarKind::kPorts, 32, false},
                            {2, BarKind::kMemory64, 0x4000, true}},
                   .msix = {3, 2, 0, 2, 0x2000},
                   .capabilities = {{{1, 2, 3, 4, 5, 6}, {0xff, 0, 0xf0, 0x0f, 0, 0xff}, false},
                                    {{7, 8, 0, 0, 0, 0}, {}, true}}},
                  {.device = 2,
                   .vendor_id = 0x1af4,
                   .device_id = 0x1042,
                   .class_code = 0x010000,
                   .multi_function = true,
                   .pin = 2,
                   .bars = {{4, BarKind::kMemory64, 0x2000, false}},
                   .msix = {},
                   .capabilities = {}},
                  {.device = 2,
                   .function = 3,
                   .vendor_id = 0x1af4,
                   .device_id = 0x1043,
                   .class_code = 0x070000,
                   .pin = 4,
                   .bars = {{0, BarKind::kPorts, 4, false}, {5, BarKind::kMemory32, 16, true}},
                   .msix = {},
                   .capabilities = {}},
                  {.device = 31,
                   .vendor_id = 0x1af4,
                   .device_id = 0x1044,
                   .class_code = 0xff0000,
                   .multi_function = true,
                   .pin = 3,
                   .bars = {{0, BarKind::kMemory64, std::uint64_t{1} << 33, true},
                            {2, BarKind::kMemory32, 0x1000, false}},
                   .msix = {65, 2, 0x100, 2, 0x800},
                   .capabilities = {{std::vector<std::uint8_t>(60, 0x5a), {}, false}}},
                  {.device = 31,
                   .function = 7,
                   .vendor_id = 0x1af4,
                   .device_id = 0x1045,
                   .class_code = 0xff0000,
                   .bars = {},
                   .msix = {},
                   .capabilities = {}}}};

/// A device that has BARs only, and windows up to the last address and from the first.
const ModelBusSpec kWide{.memory = {{{0, 0x1'0000'0000}, {0xffff'ff00'0000'0000, 0x100'0000'0000}}},
                         .ports = {0, 0x10000},
                         .functions = {kBridge,
                                       {.device = 5,
                                        .vendor_id = 0x1234,
                                        .device_id = 0x5678,
                                        .class_code = 0xff0000,
                                        .bars = {{0, BarKind::kPorts, 256, false},
                                                 {1, BarKind::kMemory64, 0x1000, false},
                                                 {3, BarKind::kMemory64, 16, false},
                                                 {5, BarKind::kMemory32, 0x8000'0000, false}},
                                        .msix = {},
                                        .capabilities = {}}}};

/// One window, with room for the BARs and little more, where a BAR can begin and not end; table and
/// pending bits in BARs of their own.
const ModelBusSpec kTight{.memory = {{{0xfe00'0800, 0x4000}, {}}},
                          .ports = {},
                          .functions = {kBridge,
                                        {.device = 3,
                                         .vendor_id = 0x1af4,
                                         .device_id = 0x1050,
                                         .class_code = 0x030000,
                                         .pin = 1,
                                         .bars = {{1, BarKind::kMemory32, 0x1000, false},
                                                  {2, BarKind::kMemory32, 0x20, false},
                                                  {3, BarKind::kPorts, 8, false}},
                                         .msix = {2, 1, 0xfe0, 2, 0x18},
                                         .capabilities = {}},
                                        {.device = 7,
                                         .vendor_id = 0x1af4,
                                         .device_id = 0x1051,
                                         .class_code = 0x030000,
                                         .pin = 1,
                                         .bars = {{0, BarKind::kMemory64, 0x2000, false}},
                                         .msix = {},
                                         .capabilities = {}}}};

const std::array kSpecs{&kRich, &kWide, &kTight};

std::span<const std::byte> bytes_of(const std::vector<std::uint8_t>& bytes) {
  return std::as_bytes(std::span(bytes));
}

pci::BarSpec bar_of(const ModelBar& bar) {
  switch (bar.kind) {
    case BarKind::kMemory32:
      return {pci::BarKind::kMemory32, bar.size, bar.prefetchable};
    case BarKind::kMemory64:
      return {pci::BarKind::kMemory64, bar.size, bar.prefetchable};
    case BarKind::kPorts:
      break;
  }
  return {pci::BarKind::kIo, bar.size, false};
}

pci::ConfigSpace config_of(const ModelFunctionSpec& spec) {
  pci::ConfigSpace::Builder builder(
      {.vendor = spec.vendor_id, .device = spec.device_id, .class_code = spec.class_code});
  if (spec.multi_function) builder.set_multi_function();
  bool fits = spec.pin == 0 || builder.set_interrupt_pin(spec.pin);
  for (const auto& bar : spec.bars) fits = fits && builder.add_bar(bar.index, bar_of(bar));
  const auto& msix = spec.msix;
  if (msix.vectors != 0)
    fits = fits && builder.add_msix({msix.vectors, msix.table_bar, msix.table_offset,
                                     msix.pending_bar, msix.pending_offset});
  for (const auto& each : spec.capabilities) {
    const auto at = builder.add_capability(pci::kCapabilityVendor, bytes_of(each.body),
                                           bytes_of(each.writable));
    fits = fits && at;
    if (each.window)
      fits = fits && builder.set_window(static_cast<std::uint8_t>(*at + each.body.size() - 2));
  }
  GUESTPROOF_INVARIANT(fits);
  return builder.build();
}

/// Answers as model_owner_byte() says. Reading the first byte of a BAR takes its interrupt back.
class Owner final : public pci::FunctionOwner {
 public:
  Owner(PciEvents& events, const ModelFunctionSpec& spec)
      : events_(&events), routing_id_(spec.device * 8U + spec.function) {}
  void set_function(pci::Function& function) { function_ = &function; }

  Result<void> read_bar(unsigned bar, std::uint64_t offset, std::span<std::byte> data) override {
    events_->add({EventKind::kBarRead, routing_id_, bar, offset, data.size()});
    answer(bar, offset, data);
    if (offset == 0) function_->set_interrupt(false);
    return {};
  }
  Result<void> write_bar(unsigned bar, std::uint64_t offset,
                         std::span<const std::byte> data) override {
    events_->add({EventKind::kBarWritten, routing_id_, bar, offset, number_of(data)});
    return {};
  }
  Result<void> read_window(unsigned at, std::span<std::byte> data) override {
    events_->add({EventKind::kWindowRead, routing_id_, 0, at, data.size()});
    answer(6, at, data);
    return {};
  }
  Result<void> write_window(unsigned at, std::span<const std::byte> data) override {
    events_->add({EventKind::kWindowWritten, routing_id_, 0, at, number_of(data)});
    return {};
  }
  void bus_master_changed(bool on) override {
    events_->add({EventKind::kMaster, routing_id_, 0, 0, on ? 1U : 0U});
  }

 private:
  static void answer(unsigned bar, std::uint64_t offset, std::span<std::byte> data) {
    for (std::size_t i = 0; i < data.size(); ++i)
      data[i] = static_cast<std::byte>(model_owner_byte(bar, offset + i));
  }
  static std::uint64_t number_of(std::span<const std::byte> data) {
    std::uint64_t number = 0;
    for (std::size_t i = data.size(); i-- > 0;)
      number = number << 8 | std::to_integer<std::uint64_t>(data[i]);
    return number;
  }

  PciEvents* events_;
  unsigned routing_id_;
  pci::Function* function_ = nullptr;
};

}  // namespace

class PciConfigHarness::System {
 public:
  explicit System(const ModelBusSpec& spec) : bus(make_bus(spec, events)) {
    for (const auto& each : spec.functions) {
      const pci::Slot slot{each.device, each.function};
      slots.push_back(slot);
      if (slots.size() == 1) continue;  // the bridge is the bus's own
      auto& owner = *owners.emplace_back(std::make_unique<Owner>(events, each));
      auto& function =
          *functions.emplace_back(std::make_unique<pci::Function>(config_of(each), owner, events));
      owner.set_function(function);
      GUESTPROOF_INVARIANT(bus.add(slot, function));
    }
  }
  [[nodiscard]] pci::Function& function(std::size_t place) const { return *bus.find(slots[place]); }

  PciEvents events;
  std::vector<pci::Slot> slots;
  std::vector<std::unique_ptr<Owner>> owners;
  std::vector<std::unique_ptr<pci::Function>> functions;
  pci::Bus bus;

 private:
  static pci::Bus make_bus(const ModelBusSpec& spec, PciEvents& events) {
    const auto window = [](const ModelWindow& each) -> pci::AddressWindow {
      return {each.base, each.size};
    };
    return pci::Bus::create({.memory = {{window(spec.memory[0]), window(spec.memory[1])}},
                             .io = window(spec.ports)},
                            events, events)
        .value();
  }
};

PciConfigHarness::PciConfigHarness() {
  first_way_ = depth_.add("access:ecam");
  depth_.add("access:config_port");
  depth_.add("access:memory");
  depth_.add("access:port");
  first_event_ = depth_.add("event:unmapped");
  for (const auto* event : {"mapped", "line", "message", "bar_read", "bar_written", "window_read",
                            "window_written", "bus_master"})
    depth_.add("event:" + std::string(event));
  sized_ = depth_.add("pci:bar_sized");
  delivered_ = depth_.add("pci:delivered");
  pending_ = depth_.add("pci:pending");
  reset_ = depth_.add("pci:reset");
  depth_.add_errors<PciError>({PciError::kNoBar, PciError::kDecodeOff});
  depth_.add_errors<MsixError>({MsixError::kVectors, MsixError::kTableEnd, MsixError::kPbaEnd});
  depth_.add_errors<PciStateError>();
}

PciConfigHarness::~PciConfigHarness() = default;

void PciConfigHarness::choose(std::uint16_t index) {
  spec_ = kSpecs[index % kSpecs.size()];
  system_ = std::make_unique<System>(*spec_);
  model_ = std::make_unique<PciModel>(*spec_);
}

SavedHarness::Bytes PciConfigHarness::encode() const {
  const auto encoded = system_->bus.encode();
  Bytes bytes(encoded.size());
  std::memcpy(bytes.data(), encoded.data(), bytes.size());
  return bytes;
}

Result<void> PciConfigHarness::decode(std::span<const std::byte> bytes) {
  return system_->bus.restore(bytes);
}

void PciConfigHarness::agree(std::string_view what, const Result<void>& done,
                             const ModelError& model) {
  compare_errors(kModelAgreement, what, error_of(done), model);
  if (!done) count(done.error());
  for (const auto& event : system_->events.take(what, *model_))
    depth_.count(first_event_ + static_cast<std::size_t>(event.kind));
}

std::uint64_t PciConfigHarness::ecam(std::size_t place, std::uint64_t offset) const {
  return (std::uint64_t{system_->slots[place].routing_id()} << 12) + offset;
}

std::uint64_t PciConfigHarness::read(Way way, std::uint64_t address, std::size_t width) {
  auto& bus = system_->bus;
  Bytes bytes(width, 0xa5);
  const auto data = std::as_writable_bytes(std::span(bytes));
  Result<void> done;
  PciModel::Answer expected;
  switch (way) {
    case Way::kEcam:
      done = bus.read_ecam(address, data);
      expected = model_->read_ecam(address, width);
      break;
    case Way::kConfigPort:
      done = bus.read_port(static_cast<std::uint16_t>(address), data);
      expected = model_->read_port(address, width);
      break;
    case Way::kMemory:
    case Way::kPort:
      done = bus.read(way == Way::kPort, address, data);
      expected = model_->read(way == Way::kPort, address, width);
  }
  agree("a read at " + hex(address), done, expected.error);
  if (bytes != expected.bytes)
    violated(kModelAgreement, "a read at " + hex(address) + " gets other bytes than the model's");
  if (done) depth_.count(first_way_ + static_cast<std::size_t>(way));
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < std::min(width, sizeof number); ++i)
    number |= std::uint64_t{bytes[i]} << 8 * i;
  return number;
}

void PciConfigHarness::write(Way way, std::uint64_t address, const Bytes& bytes) {
  auto& bus = system_->bus;
  const auto data = bytes_of(bytes);
  Result<void> done;
  ModelError expected;
  switch (way) {
    case Way::kEcam:
      done = bus.write_ecam(address, data);
      expected = model_->write_ecam(address, bytes);
      break;
    case Way::kConfigPort:
      done = bus.write_port(static_cast<std::uint16_t>(address), data);
      expected = model_->write_port(address, bytes);
      break;
    case Way::kMemory:
    case Way::kPort:
      done = bus.write(way == Way::kPort, address, data);
      expected = model_->write(way == Way::kPort, address, bytes);
  }
  agree("a write at " + hex(address), done, expected);
  if (done) depth_.count(first_way_ + static_cast<std::size_t>(way));
}

void PciConfigHarness::bring_up(std::size_t place, const Record& record) {
  for (const auto& bar : spec_->functions[place].bars) {
    const bool ports = bar.kind == BarKind::kPorts, wide = bar.size > 0x1000'0000;
    const auto& window = ports ? spec_->ports : spec_->memory[wide ? 1 : 0];
    const auto step = std::max<std::uint64_t>(bar.size, ports ? 0x100 : 0x1000);
    const auto base = window.base + (8 * place + bar.index) * step;
    write(Way::kEcam, ecam(place, 16 + 4 * bar.index), 4, base);
    if (bar.kind == BarKind::kMemory64)
      write(Way::kEcam, ecam(place, 20 + 4 * bar.index), 4, base >> 32);
  }
  write(Way::kEcam, ecam(place, 4), 2, 7);
  access_bar(place, record);
}

void PciConfigHarness::size_bar(std::size_t place, std::uint64_t offset) {
  const auto at = ecam(place, offset);
  const auto before = read(Way::kEcam, at, 4);
  write(Way::kEcam, at, 4, UINT64_MAX);
  static_cast<void>(read(Way::kEcam, at, 4));
  write(Way::kEcam, at, 4, before);
  depth_.count(sized_);
}

void PciConfigHarness::use_msix(std::size_t place, const Record& record) {
  const auto& msix = spec_->functions[place].msix;
  const auto base = model_->base_of(place, msix.table_bar);
  if (msix.vectors == 0 || !base) return;
  write(Way::kEcam, ecam(place, 0x42), 2, 0x8000);
  const auto entry = *base + msix.table_offset + std::uint64_t{16} * (record.index % msix.vectors);
  write(Way::kMemory, entry, 8, record.value);
  write(Way::kMemory, entry + 8, 8, record.length);
  static_cast<void>(read(Way::kMemory, entry + 8, 8));
  raise(place, static_cast<std::uint16_t>(record.index % msix.vectors));
}

void PciConfigHarness::use_ports(std::size_t place, const Record& record) {
  const auto routing_id = std::uint64_t{system_->slots[place].routing_id()};
  const auto width = std::size_t{1} << record.width % 3;
  const auto port = 0xcfc + record.extra % 4 / width * width;
  write(Way::kConfigPort, 0xcf8, 4, 0x8000'0000 | routing_id << 8 | (record.index & 0xfc));
  static_cast<void>(read(Way::kConfigPort, port, width));
  write(Way::kConfigPort, port, width, record.value);
  static_cast<void>(read(Way::kConfigPort, 0xcf8, 4));
}

void PciConfigHarness::access_bar(std::size_t place, const Record& record) {
  for (const auto& bar : spec_->functions[place].bars) {
    const auto base = model_->base_of(place, bar.index);
    if (bar.index != record.index % 6 || !base) continue;
    const auto way = bar.kind == BarKind::kPorts ? Way::kPort : Way::kMemory;
    const auto width = std::size_t{1} + record.width % 8;
    if (record.extra % 2 == 1)
      write(way, *base + record.length, width, record.value);
    else
      static_cast<void>(read(way, *base + record.length, width));
  }
}

void PciConfigHarness::raise(std::size_t place, std::uint16_t vector) {
  const auto outcome = system_->function(place).raise(vector);
  const auto done = outcome ? Result<void>() : std::unexpected(outcome.error());
  agree("an interrupt", done, model_->raise(place, vector));
  if (outcome) depth_.count(*outcome == pci::MsixOutcome::kPending ? pending_ : delivered_);
}

void PciConfigHarness::request(const Record& record) {
  const auto place = record.queue % system_->slots.size();
  const auto bar_offset = 16 + std::uint64_t{4} * (record.index % 6);
  switch (record.kind % 12) {
    case 0:
      return bring_up(place, record);
    case 1:
      return size_bar(place, bar_offset);
    case 2:
      write(Way::kEcam, ecam(place, bar_offset), 4, record.value);
      if (record.index % 6 != 5)
        write(Way::kEcam, ecam(place, bar_offset + 4), 4, record.value >> 32);
      return;
    case 3:
      return write(Way::kEcam, ecam(place, 4), 2, record.value);
    case 4:
      return use_msix(place, record);
    case 5:
      return raise(place, record.index);
    case 6:
      if (spec_->functions[place].pin == 0) return;
      system_->bus.set_interrupt(system_->slots[place], record.value % 2 == 1);
      model_->set_interrupt(place, record.value % 2 == 1);
      return agree("a pin", {}, {});
    case 7:
      system_->function(place).report(static_cast<std::uint16_t>(record.value & 0xf900));
      return model_->report(place, record.value & 0xf900);
    case 8:
      return use_ports(place, record);
    case 9:
      return access_bar(place, record);
    case 10:
      return agree("an interrupt taken back", system_->function(place).withdraw(record.index),
                   model_->withdraw(place, record.index));
    default:
      depth_.count(reset_);
      system_->bus.reset();
      model_->reset();
      return agree("a reset", {}, {});
  }
}

void PciConfigHarness::act(const Record& record) {
  if (record.op() != Opcode::kAccess) return;
  const auto number = std::uint64_t{record.next} << 16 | record.index;
  const auto way_and_address = [&]() -> std::pair<Way, std::uint64_t> {
    switch (record.kind / 2 % 6) {
      case 0:
        return {Way::kEcam, ecam(record.next % system_->slots.size(), record.index)};
      case 1:
        return {Way::kEcam, number};
      case 2:
        return {Way::kConfigPort, record.index};
      case 3:
        return {Way::kMemory, spec_->memory[0].base - 2048 + number};
      case 4:
        return {Way::kMemory, spec_->memory[1].base - 2048 + number};
      default:
        return {Way::kPort, record.index};
    }
  }();
  const auto [way, address] = way_and_address;
  if (record.kind % 2 == 1)
    write(way, address, record.length % 17, record.value);
  else
    static_cast<void>(read(way, address, record.length % 17));
  compare(kModelAgreement, "an access");
}

}  // namespace guestproof::testing
