// An Arm machine: GICv3, PSCI, a device tree; no power button.
#include "vmm/board.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "guestproof/kvm/kvm.h"
#include "guestproof/platform/pv_panic.h"
#include "guestproof/platform/serial_16550.h"
#include "vmm/aarch64/kernel.h"
#include "vmm/aarch64/rtc.h"
#include "vmm/aarch64/vcpu.h"
#include "vmm/chips.h"
#include "vmm/interrupts.h"
#include "vmm/layout.h"

namespace guestproof::vmm {
namespace {

/// With 40 bits of addresses, as is usual, with more where RAM needs them, or with what there is.
Result<kvm::Vm> make_vm(const kvm::Kvm& kvm, std::size_t bits, std::size_t limit) {
  constexpr std::size_t kUsual = 40;
  auto vm = limit == 0 ? kvm.create_vm()
                       : kvm.create_vm_with_ipa_size(
                             static_cast<std::uint32_t>(std::max(bits, std::min(kUsual, limit))));
  if (!vm) return vm;
  // Else an access of a guest that KVM cannot take apart is an error of the host.
  if (const auto ok = vm->enable_capability(kvm::Capability::kArmNisvToUser); !ok)
    return std::unexpected(ok.error());
  return vm;
}

Result<kvm::Device> make_gic(const kvm::Vm& vm) {
  auto gic = vm.create_device(KVM_DEV_TYPE_ARM_VGIC_V3);
  if (!gic) return gic;
  auto ok = gic->set({KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0}, layout::kInterrupts);
  if (ok)
    ok = gic->set({KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST}, layout::kDistributor);
  if (ok)
    ok = gic->set({KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST},
                  layout::kRedistributors);
  if (!ok) return std::unexpected(ok.error());
  return gic;
}

class ArmBoard final : public Board {
 public:
  ArmBoard(const Config& config, kvm::Vm vm, kvm::Device gic, Ending& ending)
      : config_(config), vm_(std::move(vm)), gic_(std::move(gic)), control_(ending) {}
  [[nodiscard]] Result<void> add_rtc(EventLoop& loop);

  [[nodiscard]] kvm::Vm& vm() override { return vm_; }
  [[nodiscard]] InterruptLine& serial_line() override { return serial_line_; }
  void add_to(Bus::Builder& memory, Bus::Builder& ports, BusDevice& serial) override;
  [[nodiscard]] Outcome<std::vector<kvm::Vcpu>> boot(const MappedMemory& memory,
                                                     const VirtioMachine& virtio) override;
  bool press_power_button() override { return false; }

 private:
  const Config& config_;
  kvm::Vm vm_;
  kvm::Device gic_;
  Control control_;
  OwnGsi serial_line_{vm_, layout::kSerialGsi};
  OwnGsi rtc_line_{vm_, layout::kRtcGsi};
  std::unique_ptr<aarch64::Rtc> rtc_;
  std::mutex lock_;
  platform::PvPanic panic_{control_};
  Locked locked_panic_{panic_, lock_};
};

Result<void> ArmBoard::add_rtc(EventLoop& loop) {
  auto made = aarch64::Rtc::create(rtc_line_, loop);
  if (!made) return std::unexpected(made.error());
  rtc_ = std::move(*made);
  return {};
}

void ArmBoard::add_to(Bus::Builder& memory, Bus::Builder&, BusDevice& serial) {
  memory.add(layout::kSerial, platform::kSerialRegisters, serial)
      .add(layout::kRtc, platform::kPl031Bytes, *rtc_)
      .add(layout::kPvPanic, platform::kPvPanicPorts, locked_panic_);
}

Outcome<std::vector<kvm::Vcpu>> ArmBoard::boot(const MappedMemory& memory,
                                               const VirtioMachine& virtio) {
  auto vcpus = aarch64::make_vcpus(vm_, config_.vcpus);
  if (!vcpus) return failed("vCPUs", vcpus.error());
  if (const auto ok = gic_.set({KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT}); !ok)
    return failed("the interrupt controller", ok.error());
  auto affinities = aarch64::affinities(*vcpus);
  if (!affinities) return failed("vCPUs", affinities.error());
  const auto state =
      aarch64::load_kernel(config_, memory, std::move(*affinities), virtio.describe());
  if (!state) return std::unexpected(state.error());
  if (const auto ok = aarch64::set_boot_state(vcpus->front(), *state); !ok)
    return failed("vCPUs", ok.error());
  return std::move(*vcpus);
}

}  // namespace

KernelHelp kernel_help() { return {"an arm64 Image", aarch64::kKernelArguments}; }

Outcome<std::unique_ptr<Board>> make_board(const Config& config, EventLoop& loop, Ending& ending) {
  const auto kvm = kvm::Kvm::open();
  if (!kvm) return cannot(kvm::Kvm::kPath, kvm.error());
  const auto limit = kvm->host_ipa_limit();
  if (!limit) return cannot(kvm::Kvm::kPath, limit.error());
  const auto bits =
      static_cast<std::size_t>(std::bit_width(layout::kRamBase + (config.memory_mib << 20) - 1));
  if (bits > (*limit == 0 ? 40 : *limit))
    return cannot(
        fmt::format("--memory: size_mib={}: its addresses have {} bits, more than this "
                    "host's processors have for a guest.",
                    config.memory_mib, bits));
  auto vm = make_vm(*kvm, bits, *limit);
  if (!vm) return cannot(kvm::Kvm::kPath, vm.error());
  auto gic = make_gic(*vm);
  if (!gic) return cannot("GICv3", gic.error());
  auto board = std::make_unique<ArmBoard>(config, std::move(*vm), std::move(*gic), ending);
  if (const auto ok = board->add_rtc(loop); !ok) return failed("the clock", ok.error());
  return board;
}

}  // namespace guestproof::vmm
