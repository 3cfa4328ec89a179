#include <array>
#include <mutex>

#include "guestproof/pci/bus.h"
#include "guestproof/virtio/transport/pci/transport.h"
#include "vmm/interrupts.h"
#include "vmm/layout.h"
#include "vmm/virtio_machine.h"

namespace guestproof::vmm {
namespace {

/// CONFIG_ADDRESS and CONFIG_DATA (PCI 3.0 §3.2.2.3.2).
constexpr std::uint16_t kConfigPorts = 0xcf8;

/// The four interrupt lines of the bus.
class Intx final : public pci::IntxSink {
 public:
  explicit Intx(const kvm::Vm& vm) : vm_(vm) {}
  void set_level(unsigned line, bool high) override {
    static_cast<void>(vm_.set_irq_line(layout::irq_line(layout::kDeviceGsi + line), high));
  }

 private:
  const kvm::Vm& vm_;
};

/// BARs are looked up at each access; nobody else has to know where they are.
class NobodyElse final : public pci::BarObserver {
 public:
  void unmapped(pci::Slot, unsigned, const pci::BarRange&) override {}
  void mapped(pci::Slot, unsigned, const pci::BarRange&) override {}
};

class PciMachine final : public VirtioMachine {
 public:
  static Outcome<std::unique_ptr<PciMachine>> create(const kvm::Vm& vm);
  Outcome<void> add(Device device, const MappedMemory& memory, EventLoop& loop);

  void add_to(Bus::Builder& memory, Bus::Builder& ports) override {
    ports.add(kConfigPorts, 8, ports_);
    memory.add(layout::kEcamBase, pci::kEcamBytes, ecam_);
    memory.add(layout::kBarBase, layout::kBarBytes, bars_);
  }
  [[nodiscard]] VirtioDescription describe() const override;

 private:
  /// One of the ways from the machine's buses to PCI's.
  class Way final : public BusDevice {
   public:
    using Read = Result<void> (PciMachine::*)(std::uint64_t, std::span<std::byte>);
    using Write = Result<void> (PciMachine::*)(std::uint64_t, std::span<const std::byte>);

    Way(PciMachine& machine, Read reads, Write writes)
        : machine_(machine), read_(reads), write_(writes) {}
    [[nodiscard]] Result<void> read(std::uint64_t offset, std::span<std::byte> data) override {
      return machine_.access([&] { return (machine_.*read_)(offset, data); });
    }
    [[nodiscard]] Result<void> write(std::uint64_t offset,
                                     std::span<const std::byte> data) override {
      return machine_.access([&] { return (machine_.*write_)(offset, data); });
    }

   private:
    PciMachine& machine_;
    Read read_;
    Write write_;
  };

  /// A function's pin, changed outside of accesses; its bus turns pins into lines.
  class Pin final : public InterruptLine {
   public:
    Pin(pci::Bus& bus, pci::Slot slot) : bus_(bus), slot_(slot) {}
    void set(bool asserted) override { bus_.set_interrupt(slot_, asserted); }

   private:
    pci::Bus& bus_;
    pci::Slot slot_;
  };

  struct Member {
    std::unique_ptr<ServedDevice> served;
    std::unique_ptr<Pin> pin;
    std::unique_ptr<virtio::PciTransport> transport;
  };

  explicit PciMachine(const kvm::Vm& vm) : lines_(vm), messages_(vm) {}

  /// An access may start or stop any device of the bus.
  template <class Call>
  Result<void> access(Call&& call) {
    const std::scoped_lock locked(lock_);
    auto done = call();
    for (const auto& member : members_) member.served->notice_start();
    return done;
  }

  Result<void> read_port(std::uint64_t offset, std::span<std::byte> data) {
    return bus_->read_port(static_cast<std::uint16_t>(kConfigPorts + offset), data);
  }
  Result<void> write_port(std::uint64_t offset, std::span<const std::byte> data) {
    return bus_->write_port(static_cast<std::uint16_t>(kConfigPorts + offset), data);
  }
  Result<void> read_ecam(std::uint64_t offset, std::span<std::byte> data) {
    return bus_->read_ecam(offset, data);
  }
  Result<void> write_ecam(std::uint64_t offset, std::span<const std::byte> data) {
    return bus_->write_ecam(offset, data);
  }
  Result<void> read_bar(std::uint64_t offset, std::span<std::byte> data) {
    return bus_->read(false, layout::kBarBase + offset, data);
  }
  Result<void> write_bar(std::uint64_t offset, std::span<const std::byte> data) {
    return bus_->write(false, layout::kBarBase + offset, data);
  }

  std::mutex lock_;
  Intx lines_;
  MsiRoute messages_;
  NobodyElse observer_;
  std::optional<pci::Bus> bus_;
  std::vector<Member> members_;
  Way ports_{*this, &PciMachine::read_port, &PciMachine::write_port};
  Way ecam_{*this, &PciMachine::read_ecam, &PciMachine::write_ecam};
  Way bars_{*this, &PciMachine::read_bar, &PciMachine::write_bar};
};

Outcome<std::unique_ptr<PciMachine>> PciMachine::create(const kvm::Vm& vm) {
  std::unique_ptr<PciMachine> machine(new PciMachine(vm));
  pci::BarWindows windows;
  windows.memory[0] = {.base = layout::kBarBase, .size = layout::kBarBytes};
  auto bus = pci::Bus::create(windows, machine->observer_, machine->lines_);
  if (!bus) return failed("the PCI bus", bus.error());
  machine->bus_.emplace(std::move(*bus));
  return machine;
}

Outcome<void> PciMachine::add(Device device, const MappedMemory& memory, EventLoop& loop) {
  // The host bridge has slot 0.
  const pci::Slot slot{.device = static_cast<std::uint8_t>(members_.size() + 1)};
  auto served = ServedDevice::create(std::move(device), memory, lock_, loop);
  if (!served) return failed("virtio", served.error());
  auto pin = std::make_unique<Pin>(*bus_, slot);
  auto transport = virtio::PciTransport::create((*served)->lifecycle(), messages_, *pin);
  if (!transport) return failed((*served)->name(), transport.error());
  if (const auto ok = bus_->add(slot, (*transport)->function()); !ok)
    return failed((*served)->name(), ok.error());
  members_.push_back({std::move(*served), std::move(pin), std::move(*transport)});
  return {};
}

VirtioDescription PciMachine::describe() const {
  VirtioDescription description;
  auto& root = description.pci.emplace();
  static_assert(acpi::kEcamBytes == pci::kEcamBytes);
  root.ecam = layout::kEcamBase;
  root.memory[0] = {.base = layout::kBarBase, .size = layout::kBarBytes};
  for (unsigned line = 0; line < pci::kIntxLines; ++line)
    root.intx_gsi[line] = layout::kDeviceGsi + line;
  return description;
}

}  // namespace

Outcome<std::unique_ptr<VirtioMachine>> make_pci_machine(std::vector<Device> devices,
                                                         const MappedMemory& memory,
                                                         const kvm::Vm& vm, EventLoop& loop) {
  auto machine = PciMachine::create(vm);
  if (!machine) return std::unexpected(machine.error());
  for (auto& device : devices)
    if (const auto ok = (*machine)->add(std::move(device), memory, loop); !ok)
      return std::unexpected(ok.error());
  return std::move(*machine);
}

}  // namespace guestproof::vmm
