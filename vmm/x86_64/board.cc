// A PC without a BIOS: hardware-reduced ACPI, an i8042 to reset it, pvpanic.
#include "vmm/board.h"

#include <numeric>

#include "guestproof/acpi/tables.h"
#include "guestproof/kvm/kvm.h"
#include "guestproof/loader/mp_table.h"
#include "guestproof/platform/acpi_registers.h"
#include "guestproof/platform/i8042.h"
#include "guestproof/platform/pv_panic.h"
#include "guestproof/platform/serial_16550.h"
#include "vmm/chips.h"
#include "vmm/interrupts.h"
#include "vmm/layout.h"
#include "vmm/x86_64/kernel.h"
#include "vmm/x86_64/vcpu.h"

namespace guestproof::vmm {
namespace {

namespace x86 = loader::x86;

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

class X86Board final : public Board {
 public:
  X86Board(const Config& config, kvm::Kvm kvm, kvm::Vm vm, Ending& ending)
      : config_(config), kvm_(std::move(kvm)), vm_(std::move(vm)), control_(ending) {}

  [[nodiscard]] kvm::Vm& vm() override { return vm_; }
  [[nodiscard]] InterruptLine& serial_line() override { return serial_line_; }
  void add_to(Bus::Builder& memory, Bus::Builder& ports, BusDevice& serial) override;
  [[nodiscard]] Outcome<std::vector<kvm::Vcpu>> boot(const MappedMemory& memory,
                                                     const VirtioMachine& virtio) override;
  bool press_power_button() override {
    const std::scoped_lock locked(lock_);
    acpi_.press_power_button();
    return true;
  }

 private:
  [[nodiscard]] Outcome<GuestAddress> write_tables(const MappedMemory& memory,
                                                   const VirtioMachine& virtio) const;
  [[nodiscard]] Result<std::vector<kvm::Vcpu>> make_vcpus(const x86::BootState& state) const;

  const Config& config_;
  kvm::Kvm kvm_;
  kvm::Vm vm_;
  Control control_;
  OwnGsi power_line_{vm_, layout::kPowerGsi};
  OwnGsi serial_line_{vm_, layout::kSerialGsi};
  std::mutex lock_;
  platform::AcpiRegisters acpi_{control_, power_line_};
  platform::I8042 i8042_{control_};
  platform::PvPanic panic_{control_};
  Locked locked_acpi_{acpi_, lock_};
  Locked locked_i8042_{i8042_, lock_};
  Locked locked_panic_{panic_, lock_};
};

void X86Board::add_to(Bus::Builder&, Bus::Builder& ports, BusDevice& serial) {
  ports.add(layout::kSerial, platform::kSerialRegisters, serial)
      .add(platform::kI8042Port, platform::kI8042Ports, locked_i8042_)
      .add(layout::kAcpiRegisters, platform::kAcpiRegisters, locked_acpi_)
      .add(layout::kPvPanic, platform::kPvPanicPorts, locked_panic_);
}

/// What firmware would tell of the machine; where its tables are.
Outcome<GuestAddress> X86Board::write_tables(const MappedMemory& memory,
                                             const VirtioMachine& virtio) const {
  acpi::Config tables;
  tables.apic_ids.resize(config_.vcpus);
  std::iota(tables.apic_ids.begin(), tables.apic_ids.end(), 0U);
  tables.local_apic = layout::kLocalApicBase;
  tables.io_apic = layout::kIoApicBase;
  tables.power = {.reset = layout::kAcpiRegisters + platform::kAcpiResetRegister,
                  .reset_value = platform::kAcpiResetValue,
                  .sleep_control = layout::kAcpiRegisters + platform::kAcpiSleepControl,
                  .sleep_status = layout::kAcpiRegisters + platform::kAcpiSleepStatus,
                  .sleep_type_off = platform::kAcpiSleepTypeOff};
  tables.power_button_gsi = layout::kPowerGsi;
  tables.panic_port = layout::kPvPanic;
  tables.serial_ports = {{.port = layout::kSerial, .gsi = layout::kSerialGsi}};
  auto [windows, pci] = virtio.describe();
  tables.virtio_windows = std::move(windows);
  tables.pci = pci;
  const auto built = acpi::build(tables, x86::kAcpi.base, x86::kAcpi.size);
  if (!built) return failed("ACPI's tables", built.error());
  if (const auto ok = write_bytes(memory, x86::kAcpi.base, built->bytes); !ok)
    return failed("ACPI's tables", ok.error());
  return built->rsdp;
}

Result<std::vector<kvm::Vcpu>> X86Board::make_vcpus(const x86::BootState& state) const {
  const auto supported = kvm_.supported_cpuid();
  if (!supported) return std::unexpected(supported.error());
  const auto deadline = kvm_.check_extension(kvm::Capability::kTscDeadlineTimer);
  if (!deadline) return std::unexpected(deadline.error());
  std::vector<kvm::Vcpu> vcpus;
  for (std::uint32_t id = 0; id < config_.vcpus; ++id) {
    auto vcpu = vm_.create_vcpu(id);
    if (!vcpu) return std::unexpected(vcpu.error());
    const auto cpuid = x86_64::processor_cpuid(*supported, id, config_.vcpus, *deadline != 0);
    if (!cpuid) return std::unexpected(cpuid.error());
    auto ok = vcpu->set_cpuid2(*cpuid);
    if (ok) ok = x86_64::set_common_state(*vcpu);
    if (ok && id == 0) ok = x86_64::set_boot_state(*vcpu, state);
    if (!ok) return std::unexpected(ok.error());
    vcpus.push_back(std::move(*vcpu));
  }
  return vcpus;
}

Outcome<std::vector<kvm::Vcpu>> X86Board::boot(const MappedMemory& memory,
                                               const VirtioMachine& virtio) {
  const auto rsdp = write_tables(memory, virtio);
  if (!rsdp) return std::unexpected(rsdp.error());
  const auto state = x86_64::load_kernel(config_, memory, *rsdp);
  if (!state) return std::unexpected(state.error());
  // For kernels that are told to do without ACPI.
  if (const auto ok = loader::load(memory, loader::MpMachine{.processors = config_.vcpus,
                                                             .local_apic = layout::kLocalApicBase,
                                                             .io_apic = layout::kIoApicBase});
      !ok)
    return failed("the MP table", ok.error());
  auto vcpus = make_vcpus(*state);
  if (!vcpus) return failed("vCPUs", vcpus.error());
  return std::move(*vcpus);
}

}  // namespace

KernelHelp kernel_help() { return {"a bzImage or an ELF file", x86_64::kKernelArguments}; }

Outcome<std::unique_ptr<Board>> make_board(const Config& config, EventLoop&, Ending& ending) {
  auto kvm = kvm::Kvm::open();
  if (!kvm) return cannot(kvm::Kvm::kPath, kvm.error());
  auto vm = make_vm(*kvm);
  if (!vm) return cannot(kvm::Kvm::kPath, vm.error());
  return std::make_unique<X86Board>(config, std::move(*kvm), std::move(*vm), ending);
}

}  // namespace guestproof::vmm
