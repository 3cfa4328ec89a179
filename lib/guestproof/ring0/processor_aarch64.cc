#if defined(__aarch64__)

#include <array>
#include <cstring>
#include <vector>

#include "guestproof/ring0/processor.h"

namespace guestproof::ring0 {
namespace {

// ESR_EL1 (Arm ARM D19.2.40).
constexpr std::uint64_t kSyndrome = (1 << 25) - 1;
constexpr std::uint32_t kSvc = 0x15;
constexpr std::uint32_t kInstructionAbortLower = 0x20, kInstructionAbort = 0x21;
constexpr std::uint32_t kDataAbortLower = 0x24, kDataAbort = 0x25;
constexpr std::uint64_t kWrite = 1 << 6;
constexpr std::uint64_t kFaultKind = 0x3c, kTranslation = 0x04, kPermission = 0x0c;

constexpr std::uint64_t system_register(unsigned crn, unsigned crm, unsigned op2) {
  return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | 3ULL << 14 |
         std::uint64_t{crn} << 7 | std::uint64_t{crm} << 3 | op2;
}
constexpr std::uint64_t core_id(std::size_t offset) {
  return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | offset / sizeof(std::uint32_t);
}

struct Reading {
  std::uint64_t id;
  std::uint64_t* to;
};

Result<void> read(const kvm::Vcpu& vcpu, std::span<const Reading> readings) {
  for (const auto& [id, to] : readings) {
    const auto value = vcpu.get_one_reg<std::uint64_t>(id);
    if (!value) return std::unexpected(value.error());
    *to = *value;
  }
  return {};
}

}  // namespace

Result<CpuState> state_of(const kvm::Vcpu& vcpu) {
  CpuState state;
  std::vector<Reading> readings{{core_id(offsetof(kvm_regs, regs.pc)), &state.pc},
                                {core_id(offsetof(kvm_regs, regs.sp)), &state.stack},
                                {core_id(offsetof(kvm_regs, regs.pstate)), &state.pstate},
                                {system_register(5, 2, 0), &state.esr},
                                {system_register(6, 0, 0), &state.far}};
  for (std::size_t i = 0; i < state.general.size(); ++i)
    readings.push_back(
        {core_id(offsetof(kvm_regs, regs.regs) + i * sizeof(std::uint64_t)), &state.general[i]});
  if (const auto ok = read(vcpu, readings); !ok) return std::unexpected(ok.error());
  return completed(state, vcpu);
}

Result<CpuState> completed(const CpuState& state, const kvm::Vcpu& vcpu) {
  auto all = state;
  const std::array readings{
      Reading{system_register(1, 0, 0), &all.sctlr}, Reading{system_register(2, 0, 0), &all.ttbr0},
      Reading{system_register(2, 0, 1), &all.ttbr1}, Reading{system_register(2, 0, 2), &all.tcr}};
  if (const auto ok = read(vcpu, readings); !ok) return std::unexpected(ok.error());
  return all;
}

CpuState state_of(const TrapFrame& frame) {
  CpuState state;
  std::memcpy(state.general.data(), frame.x, sizeof frame.x);
  state.pc = frame.elr;
  state.stack = frame.sp_el0;
  state.pstate = frame.spsr;
  state.esr = frame.esr;
  state.far = frame.far;
  return state;
}

Trap trap_of(const TrapFrame& frame) {
  const auto kind = static_cast<std::uint32_t>(frame.esr >> 26 & 0x3f);
  Trap trap{.vector = kind, .value = frame.esr & kSyndrome, .pc = frame.elr};
  const bool instruction = kind == kInstructionAbort || kind == kInstructionAbortLower;
  const bool data = kind == kDataAbort || kind == kDataAbortLower;
  const auto fault = frame.esr & kFaultKind;
  if ((instruction || data) && (fault == kTranslation || fault == kPermission)) {
    trap.fault = true;
    trap.address = frame.far;
    trap.access = {.write = data && (frame.esr & kWrite) != 0, .execute = instruction};
  }
  return trap;
}

std::optional<Control> control_of(const kvm::Vcpu&, std::uint64_t page, const kvm::Exit& exit) {
  const auto* write = std::get_if<kvm::MmioWrite>(&exit);
  if (write == nullptr || write->length != sizeof(std::uint64_t)) return std::nullopt;
  const auto offset = write->address - page;
  if (offset != kTrap - kControl && offset != kCall - kControl) return std::nullopt;
  Control control{.trap = offset == kTrap - kControl};
  std::memcpy(&control.value, write->bytes.data(), sizeof control.value);
  return control;
}

std::optional<Call> call_by_exception(TrapFrame&) { return std::nullopt; }

std::optional<SystemCall> system_call_of(const TrapFrame& frame) {
  if ((frame.esr >> 26 & 0x3f) != kSvc) return std::nullopt;
  const auto& x = frame.x;
  return SystemCall{x[8], {x[0], x[1], x[2], x[3], x[4], x[5]}};
}

// The exception's return address is behind the instruction.
void answer(TrapFrame& frame, std::uint64_t value) { frame.x[0] = value; }

// No KVM of this architecture is known that does.
bool emulates() { return false; }

}  // namespace guestproof::ring0

#endif
