#include "vmm/vm.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <mutex>
#include <numeric>
#include <optional>

#include "guestproof/acpi/tables.h"
#include "guestproof/bus/bus.h"
#include "guestproof/platform/acpi_registers.h"
#include "guestproof/platform/i8042.h"
#include "guestproof/platform/pv_panic.h"
#include "vmm/guest_ram.h"
#include "vmm/interrupts.h"
#include "vmm/kernel.h"
#include "vmm/layout.h"
#include "vmm/log.h"
#include "vmm/serial_port.h"
#include "vmm/signals.h"
#include "vmm/terminal.h"
#include "vmm/vcpu_thread.h"
#include "vmm/virtio_machine.h"
#include "vmm/x86_vcpu.h"

namespace guestproof::vmm {
namespace {

/// A device of the board that any vCPU may access.
class Locked final : public BusDevice {
 public:
  Locked(BusDevice& device, std::mutex& lock) : device_(device), lock_(lock) {}
  [[nodiscard]] Result<void> read(std::uint64_t offset, std::span<std::byte> data) override {
    const std::scoped_lock locked(lock_);
    return device_.read(offset, data);
  }
  [[nodiscard]] Result<void> write(std::uint64_t offset, std::span<const std::byte> data) override {
    const std::scoped_lock locked(lock_);
    return device_.write(offset, data);
  }

 private:
  BusDevice& device_;
  std::mutex& lock_;
};

constexpr ExitCode exit_code(platform::MachineRequest request) {
  switch (request) {
    case platform::MachineRequest::kPowerOff:
      return ExitCode::kPowerOff;
    case platform::MachineRequest::kPanic:
      return ExitCode::kPanic;
    case platform::MachineRequest::kReset:
      break;
  }
  return ExitCode::kReset;
}

/// What the guest asks of the machine ends it.
class Control final : public platform::MachineControl {
 public:
  explicit Control(Ending& ending) : ending_(ending) {}
  void request(platform::MachineRequest what) override { ending_.set({exit_code(what), ""}); }

 private:
  Ending& ending_;
};

/// The chips of the board: power, reset, the keyboard controller that is a way to it, and where a
/// panic is reported.
struct Board {
  Board(const kvm::Vm& vm, Ending& ending) : control(ending), power_line(vm, layout::kPowerGsi) {}

  void press_power_button() {
    const std::scoped_lock locked(lock);
    acpi.press_power_button();
  }

  std::mutex lock;
  Control control;
  EdgeGsi power_line;
  platform::AcpiRegisters acpi{control, power_line};
  platform::I8042 i8042{control};
  platform::PvPanic panic{control};
  Locked locked_acpi{acpi, lock};
  Locked locked_i8042{i8042, lock};
  Locked locked_panic{panic, lock};
};

Result<kvm::Vm> make_vm(const kvm::Kvm& kvm) {
  auto vm = kvm.create_vm();
  if (!vm) return vm;
  auto ok = vm->set_identity_map_address(layout::kKvmIdentityMap);
  if (ok) ok = vm->set_tss_address(layout::kKvmTss);
  if (ok) ok = vm->create_irqchip();
  // Port 0x61 belongs to the timer; without a speaker it is only its gate.
  if (ok) ok = vm->create_pit2(KVM_PIT_SPEAKER_DUMMY);
  if (!ok) return std::unexpected(ok.error());
  return vm;
}

}  // namespace

/// In the order in which they are made; what is below works on what is above.
struct Vm::Parts {
  Parts(Config wanted, kvm::Kvm host, kvm::Vm machine, MappedMemory ram,
        std::unique_ptr<EventLoop> events)
      : config(std::move(wanted)),
        kvm(std::move(host)),
        memory(std::move(ram)),
        vm(std::move(machine)),
        loop(std::move(events)),
        ending(*loop),
        board(vm, ending),
        serial_gsi(vm, layout::kSerialGsi),
        serial_line(serial_gsi) {}

  [[nodiscard]] Outcome<void> add_devices();
  [[nodiscard]] Outcome<void> add_console();
  [[nodiscard]] Outcome<void> connect();
  [[nodiscard]] Outcome<GuestAddress> write_tables();
  [[nodiscard]] Outcome<loader::x86::BootState> load();
  [[nodiscard]] Result<void> add_vcpus(const loader::x86::BootState& state);

  Config config;
  kvm::Kvm kvm;
  MappedMemory memory;
  kvm::Vm vm;
  std::unique_ptr<EventLoop> loop;
  Ending ending;
  Board board;
  SharedGsi serial_gsi;
  GsiLine serial_line;
  std::unique_ptr<TerminationSignals> signals;
  std::optional<RawTerminal> terminal;
  std::unique_ptr<SerialPort> serial;
  std::unique_ptr<VirtioMachine> virtio;
  std::optional<Bus> memory_bus;
  std::optional<Bus> port_bus;
  std::vector<std::unique_ptr<VcpuThread>> vcpus;
};

Outcome<void> Vm::Parts::add_devices() {
  auto devices = make_devices(config, memory);
  if (!devices) return std::unexpected(devices.error());
  auto made = config.transport == Transport::kPci
                  ? make_pci_machine(std::move(*devices), memory, vm, *loop)
                  : make_mmio_machine(std::move(*devices), memory, vm, *loop);
  if (!made) return std::unexpected(made.error());
  virtio = std::move(*made);
  return {};
}

Outcome<void> Vm::Parts::add_console() {
  auto made = TerminationSignals::create(
      {.first =
           [this] {
             log(fmt::format(
                 "the power button is pressed; another signal, or {} s, stop the machine",
                 kPatience.count()));
             board.press_power_button();
           },
       .enough = [this] { ending.set({ExitCode::kStopped, "stopped"}); }},
      *loop);
  if (!made) return failed("signals", made.error());
  signals = std::move(*made);
  auto raw = RawTerminal::enter();
  if (!raw) return std::unexpected(raw.error());
  terminal.emplace(std::move(*raw));
  SerialPort::Host host{STDIN_FILENO, STDOUT_FILENO, {}};
  if (terminal->active()) host.leave = [this] { ending.set({ExitCode::kStopped, "left"}); };
  auto port = SerialPort::create(std::move(host), serial_line, *loop);
  if (!port) return failed("the serial port", port.error());
  serial = std::move(*port);
  return {};
}

Outcome<void> Vm::Parts::connect() {
  Bus::Builder memory_ranges(AddressSpace::kMemory), port_ranges(AddressSpace::kPorts);
  port_ranges.add(layout::kSerial, platform::kSerialRegisters, *serial)
      .add(platform::kI8042Port, platform::kI8042Ports, board.locked_i8042)
      .add(layout::kAcpiRegisters, platform::kAcpiRegisters, board.locked_acpi)
      .add(layout::kPvPanic, platform::kPvPanicPorts, board.locked_panic);
  virtio->add_to(memory_ranges, port_ranges);
  auto of_memory = memory_ranges.build();
  if (!of_memory) return failed("the memory bus", of_memory.error());
  auto of_ports = port_ranges.build();
  if (!of_ports) return failed("the port bus", of_ports.error());
  memory_bus.emplace(std::move(*of_memory));
  port_bus.emplace(std::move(*of_ports));
  return {};
}

/// What firmware would tell of the machine; where its tables are.
Outcome<GuestAddress> Vm::Parts::write_tables() {
  acpi::Config description;
  description.apic_ids.resize(config.vcpus);
  std::iota(description.apic_ids.begin(), description.apic_ids.end(), 0U);
  description.local_apic = layout::kLocalApicBase;
  description.io_apic = layout::kIoApicBase;
  description.power = {.reset = layout::kAcpiRegisters + platform::kAcpiResetRegister,
                       .reset_value = platform::kAcpiResetValue,
                       .sleep_control = layout::kAcpiRegisters + platform::kAcpiSleepControl,
                       .sleep_status = layout::kAcpiRegisters + platform::kAcpiSleepStatus,
                       .sleep_type_off = platform::kAcpiSleepTypeOff};
  description.power_button_gsi = layout::kPowerGsi;
  description.panic_port = layout::kPvPanic;
  description.serial_ports = {{.port = layout::kSerial, .gsi = layout::kSerialGsi}};
  virtio->describe(description);
  const auto& room = loader::x86::kAcpi;
  const auto tables = acpi::build(description, room.base, room.size);
  if (!tables) return failed("ACPI's tables", tables.error());
  if (const auto ok = write_bytes(memory, room.base, tables->bytes); !ok)
    return failed("ACPI's tables", ok.error());
  return tables->rsdp;
}

Outcome<loader::x86::BootState> Vm::Parts::load() {
  const auto rsdp = write_tables();
  if (!rsdp) return std::unexpected(rsdp.error());
  return load_kernel(config, memory, *rsdp);
}

Result<void> Vm::Parts::add_vcpus(const loader::x86::BootState& state) {
  const auto supported = kvm.supported_cpuid();
  if (!supported) return std::unexpected(supported.error());
  const auto deadline = kvm.check_extension(kvm::Capability::kTscDeadlineTimer);
  if (!deadline) return std::unexpected(deadline.error());
  for (std::uint32_t id = 0; id < config.vcpus; ++id) {
    auto vcpu = vm.create_vcpu(id);
    if (!vcpu) return std::unexpected(vcpu.error());
    const auto cpuid = processor_cpuid(*supported, id, config.vcpus, *deadline != 0);
    if (!cpuid) return std::unexpected(cpuid.error());
    auto ok = vcpu->set_cpuid2(*cpuid);
    if (ok) ok = set_common_state(*vcpu);
    if (ok && id == 0) ok = set_boot_state(*vcpu, state);
    if (!ok) return ok;
    vcpus.push_back(
        std::make_unique<VcpuThread>(id, std::move(*vcpu), memory, *memory_bus, *port_bus, ending));
  }
  return {};
}

Vm::Vm(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Vm::~Vm() = default;

Outcome<std::unique_ptr<Vm>> Vm::create(const Config& config) {
  if (const auto ok = config.check(); !ok) return std::unexpected(ok.error());
  auto kvm = kvm::Kvm::open();
  if (!kvm) return cannot(kvm::Kvm::kPath, kvm.error());
  auto vm = make_vm(*kvm);
  if (!vm) return cannot(kvm::Kvm::kPath, vm.error());
  auto ram = make_ram(config);
  if (!ram) return std::unexpected(ram.error());
  auto loop = EventLoop::create();
  if (!loop) return failed("the event loop", loop.error());
  auto parts = std::make_unique<Parts>(config, std::move(*kvm), std::move(*vm), std::move(*ram),
                                       std::move(*loop));
  if (const auto ok = parts->vm.map(parts->memory); !ok) return cannot("--memory", ok.error());
  auto ok = parts->add_devices();
  if (!ok) return std::unexpected(ok.error());
  // What takes long comes before the terminal and the signals are the guest's.
  const auto state = parts->load();
  if (!state) return std::unexpected(state.error());
  ok = parts->add_console();
  if (ok) ok = parts->connect();
  if (!ok) return std::unexpected(ok.error());
  if (const auto made = parts->add_vcpus(*state); !made) return failed("vCPUs", made.error());
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

void Vm::press_power_button() { parts_->board.press_power_button(); }

void Vm::stop(End end) { parts_->ending.set(std::move(end)); }

}  // namespace guestproof::vmm
