#include "guestproof/kvm/state.h"

namespace guestproof::kvm {
namespace {

// Tags are for ever: a state that was written is read by every later version.
enum Tag : std::uint32_t {
  kCpuid = 1,
  kTscKhz = 2,
  kSregs = 3,
  kRegs = 4,
  kXcrs = 5,
  kXsave = 6,
  kDebugregs = 7,
  kMsrs = 8,
  kEvents = 9,
  kMpState = 10,
  kLapic = 11,
  kNested = 12,
  kRegisters = 13,
  kTarget = 14,

  kClock = 1,
  kPicMaster = 2,
  kPicSlave = 3,
  kIoapic = 4,
  kPit = 5,
};

/// One list of a state's fields, for both directions.
template <class Codec, class State>
void vcpu_fields(Codec& codec, State& state) {
#if defined(__x86_64__)
  codec.blob(kCpuid, state.cpuid);
  codec.object(kTscKhz, state.tsc_khz);
  codec.object(kSregs, state.sregs);
  codec.object(kRegs, state.regs);
  codec.object(kXcrs, state.xcrs);
  codec.list(kXsave, state.xsave.words);
  codec.object(kDebugregs, state.debugregs);
  codec.list(kMsrs, state.msrs);
  codec.object(kEvents, state.events);
  codec.object(kMpState, state.mp_state);
  codec.object(kLapic, state.lapic);
  codec.blob(kNested, state.nested);
#else
#if defined(__aarch64__)
  codec.object(kEvents, state.events);
#endif
  codec.object(kMpState, state.mp_state);
  codec.registers(kRegisters, state.registers);
#if defined(__aarch64__)
  codec.object(kTarget, state.target);
#endif
#endif
}

}  // namespace

std::vector<std::byte> VcpuState::encode() const {
  Encoder encoder(StateKind::kVcpu);
  vcpu_fields(encoder, *this);
  return std::move(encoder).finish();
}

Result<VcpuState> VcpuState::decode(std::span<const std::byte> bytes) {
  VcpuState state;
  Decoder decoder(bytes, StateKind::kVcpu);
  vcpu_fields(decoder, state);
  if (const auto ok = std::move(decoder).finish(); !ok) return std::unexpected(ok.error());
  return state;
}

#if defined(__x86_64__)
namespace {

template <class Codec, class State>
void vm_fields(Codec& codec, State& state) {
  codec.object(kClock, state.clock);
  codec.object(kPicMaster, state.pic_master);
  codec.object(kPicSlave, state.pic_slave);
  codec.object(kIoapic, state.ioapic);
  codec.object(kPit, state.pit);
}

Result<void> check_chip(const std::optional<kvm_irqchip>& chip, std::uint32_t id) {
  if (chip && chip->chip_id != id) return fail(StateError::kChipId, chip->chip_id, id);
  return {};
}

}  // namespace

std::vector<std::byte> VmState::encode() const {
  Encoder encoder(StateKind::kVm);
  vm_fields(encoder, *this);
  return std::move(encoder).finish();
}

Result<VmState> VmState::decode(std::span<const std::byte> bytes) {
  VmState state;
  Decoder decoder(bytes, StateKind::kVm);
  vm_fields(decoder, state);
  if (const auto ok = std::move(decoder).finish(); !ok) return std::unexpected(ok.error());
  // The id says which chip is overwritten when it is restored.
  for (const auto& ok : {check_chip(state.pic_master, KVM_IRQCHIP_PIC_MASTER),
                         check_chip(state.pic_slave, KVM_IRQCHIP_PIC_SLAVE),
                         check_chip(state.ioapic, KVM_IRQCHIP_IOAPIC)})
    if (!ok) return std::unexpected(ok.error());
  return state;
}
#endif

}  // namespace guestproof::kvm
