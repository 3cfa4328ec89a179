#include "vmm/vm.h"

#include <fmt/format.h>
#include <unistd.h>

#include <optional>

#include "guestproof/bus/bus.h"
#include "vmm/board.h"
#include "vmm/guest_ram.h"
#include "vmm/log.h"
#include "vmm/serial_port.h"
#include "vmm/signals.h"
#include "vmm/terminal.h"
#include "vmm/vcpu_thread.h"
#include "vmm/virtio_machine.h"

namespace guestproof::vmm {

/// What is below works on what is above.
struct Vm::Parts {
  Parts(Config wanted, MappedMemory ram, std::unique_ptr<EventLoop> events)
      : config(std::move(wanted)), memory(std::move(ram)), loop(std::move(events)), ending(*loop) {}
  /// No vCPU waits for a reader of its output while it is ended.
  ~Parts() {
    if (serial) serial->refuse();
  }
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  [[nodiscard]] Outcome<void> add_board();
  [[nodiscard]] Outcome<void> add_devices();
  [[nodiscard]] Outcome<void> add_console();
  [[nodiscard]] Outcome<void> connect(Addition* addition);

  Config config;
  MappedMemory memory;
  std::unique_ptr<EventLoop> loop;
  Ending ending;
  std::unique_ptr<Board> board;
  std::unique_ptr<TerminationSignals> signals;
  std::optional<RawTerminal> terminal;
  std::unique_ptr<SerialPort> serial;
  std::unique_ptr<VirtioMachine> virtio;
  std::optional<Bus> memory_bus;
  std::optional<Bus> port_bus;
  std::vector<std::unique_ptr<VcpuThread>> vcpus;
};

Outcome<void> Vm::Parts::add_board() {
  auto made = make_board(config, *loop, ending);
  if (!made) return std::unexpected(made.error());
  board = std::move(*made);
  if (const auto ok = board->vm().map(memory); !ok) return cannot("--memory", ok.error());
  return {};
}

Outcome<void> Vm::Parts::add_devices() {
  auto devices = make_devices(config, memory);
  if (!devices) return std::unexpected(devices.error());
  auto made = config.transport == Transport::kPci
                  ? make_pci_machine(std::move(*devices), memory, board->vm(), *loop)
                  : make_mmio_machine(std::move(*devices), memory, board->vm(), *loop);
  if (!made) return std::unexpected(made.error());
  virtio = std::move(*made);
  return {};
}

Outcome<void> Vm::Parts::add_console() {
  auto made = TerminationSignals::create(
      {.first =
           [this] {
             if (!board->press_power_button())
               return ending.set({ExitCode::kStopped, "stopped by a signal"});
             log(fmt::format(
                 "the power button is pressed; another signal, or {} s, stop the machine",
                 kPatience.count()));
           },
       .enough =
           [this](std::string_view why) {
             ending.set({ExitCode::kStopped, fmt::format("stopped {}", why)});
           }},
      *loop);
  if (!made) return failed("signals", made.error());
  signals = std::move(*made);
  auto raw = RawTerminal::enter();
  if (!raw) return std::unexpected(raw.error());
  terminal.emplace(std::move(*raw));
  SerialPort::Host host{STDIN_FILENO, STDOUT_FILENO, {}};
  if (terminal->active()) host.leave = [this] { ending.set({ExitCode::kStopped, "left"}); };
  auto port = SerialPort::create(std::move(host), board->serial_line(), *loop);
  if (!port) return failed("the serial port", port.error());
  serial = std::move(*port);
  return {};
}

Outcome<void> Vm::Parts::connect(Addition* addition) {
  Bus::Builder memory_ranges(AddressSpace::kMemory), port_ranges(AddressSpace::kPorts);
  board->add_to(memory_ranges, port_ranges, *serial);
  virtio->add_to(memory_ranges, port_ranges);
  if (addition != nullptr) addition->add_to(memory_ranges, port_ranges);
  auto of_memory = memory_ranges.build();
  if (!of_memory) return failed("the memory bus", of_memory.error());
  auto of_ports = port_ranges.build();
  if (!of_ports) return failed("the port bus", of_ports.error());
  memory_bus.emplace(std::move(*of_memory));
  port_bus.emplace(std::move(*of_ports));
  return {};
}

Vm::Vm(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Vm::~Vm() = default;

Outcome<std::unique_ptr<Vm>> Vm::create(const Config& config, Addition* addition) {
  if (const auto ok = config.check(); !ok) return std::unexpected(ok.error());
  auto ram = make_ram(config);
  if (!ram) return std::unexpected(ram.error());
  auto loop = EventLoop::create();
  if (!loop) return failed("the event loop", loop.error());
  auto parts = std::make_unique<Parts>(config, std::move(*ram), std::move(*loop));
  auto ok = parts->add_board();
  if (ok) ok = parts->add_devices();
  if (ok && addition != nullptr) ok = addition->attach(parts->board->vm());
  if (!ok) return std::unexpected(ok.error());
  // What takes long comes before the terminal and the signals are the guest's.
  auto vcpus = parts->board->boot(parts->memory, *parts->virtio);
  if (!vcpus) return std::unexpected(vcpus.error());
  if (addition != nullptr) ok = addition->start(*vcpus);
  if (ok) ok = parts->add_console();
  if (ok) ok = parts->connect(addition);
  if (!ok) return std::unexpected(ok.error());
  for (auto& vcpu : *vcpus)
    parts->vcpus.push_back(std::make_unique<VcpuThread>(parts->vcpus.size(), std::move(vcpu),
                                                        parts->memory, *parts->memory_bus,
                                                        *parts->port_bus, parts->ending));
  return std::unique_ptr<Vm>(new Vm(std::move(parts)));
}

End Vm::run() {
  for (const auto& vcpu : parts_->vcpus) vcpu->start();
  const auto looped = parts_->loop->run();
  if (!looped) parts_->ending.set({ExitCode::kFailure, looped.error().message()});
  parts_->serial->refuse();
  for (const auto& vcpu : parts_->vcpus) vcpu->stop();
  parts_->serial->close();
  return parts_->ending.get().value();
}

bool Vm::press_power_button() { return parts_->board->press_power_button(); }

void Vm::stop(End end) { parts_->ending.set(std::move(end)); }

}  // namespace guestproof::vmm
