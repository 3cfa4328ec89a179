#if defined(__x86_64__)

#include <algorithm>
#include <array>
#include <cstring>

#include "guestproof/ring0/area.h"
#include "guestproof/ring0/processor.h"

namespace guestproof::ring0 {
namespace {

constexpr std::uint32_t kInvalidOpcode = 6, kGeneralProtection = 13, kPageFault = 14;
constexpr std::array<std::uint8_t, 2> kSyscall{0x0f, 0x05};
constexpr std::uint64_t kWriteAccess = 1 << 1, kExecuteAccess = 1 << 4;

// In flat 32-bit code, `paddd xmm0, xmm0`: every processor that has a 64-bit mode has it, and KVM's
// emulator has not.
bool ask_whether_it_emulates() {
  const auto kvm = kvm::Kvm::open();
  if (!kvm) return false;
  constexpr std::array<std::uint8_t, 5> kCode{0x66, 0x0f, 0xfe, 0xc0, 0xf4};
  auto memory = Area::create(kPageSize);
  if (!memory) return false;
  std::memcpy(memory->bytes().data(), kCode.data(), kCode.size());
  auto vm = kvm->create_vm();
  kvm_userspace_memory_region region{};
  region.memory_size = kPageSize;
  region.userspace_addr = memory->begin();
  if (!vm || !vm->set_memory_region(region)) return false;
  auto vcpu = vm->create_vcpu(0);
  const auto cpuid = kvm->supported_cpuid();
  if (!vcpu || !cpuid || !vcpu->set_cpuid2(*cpuid)) return false;
  auto sregs = vcpu->get_sregs();
  if (!sregs) return false;
  for (auto* segment : {&sregs->cs, &sregs->ds, &sregs->es, &sregs->fs, &sregs->gs, &sregs->ss}) {
    segment->base = 0;
    segment->limit = 0xffffffff;
    segment->g = 1;
    segment->db = 1;
    segment->selector = segment == &sregs->cs ? 8 : 16;
  }
  sregs->cr0 |= 1;      // PE
  sregs->cr4 |= 0x600;  // OSFXSR, OSXMMEXCPT
  kvm_regs regs{};
  regs.rflags = 2;
  if (!vcpu->set_sregs(*sregs) || !vcpu->set_regs(regs)) return false;
  const auto exit = vcpu->run();
  return exit && !std::holds_alternative<kvm::Hlt>(*exit);
}

}  // namespace

Result<CpuState> state_of(const kvm::Vcpu& vcpu) {
  const auto regs = vcpu.get_regs();
  if (!regs) return std::unexpected(regs.error());
  const auto sregs = vcpu.get_sregs();
  if (!sregs) return std::unexpected(sregs.error());
  CpuState state;
  state.general = {regs->rax, regs->rbx, regs->rcx, regs->rdx, regs->rsi, regs->rdi,
                   regs->rbp, regs->rsp, regs->r8,  regs->r9,  regs->r10, regs->r11,
                   regs->r12, regs->r13, regs->r14, regs->r15};
  state.pc = regs->rip;
  state.rflags = regs->rflags;
  state.cs = sregs->cs.selector;
  state.ss = sregs->ss.selector;
  state.cr2 = sregs->cr2;
  return completed(state, vcpu);
}

CpuState state_of(const TrapFrame& frame) {
  CpuState state;
  state.general = {frame.rax, frame.rbx, frame.rcx, frame.rdx, frame.rsi, frame.rdi,
                   frame.rbp, frame.rsp, frame.r8,  frame.r9,  frame.r10, frame.r11,
                   frame.r12, frame.r13, frame.r14, frame.r15};
  state.pc = frame.rip;
  state.rflags = frame.rflags;
  state.cs = frame.cs;
  state.ss = frame.ss;
  state.cr2 = frame.cr2;
  return state;
}

Result<CpuState> completed(const CpuState& state, const kvm::Vcpu& vcpu) {
  const auto sregs = vcpu.get_sregs();
  if (!sregs) return std::unexpected(sregs.error());
  auto all = state;
  all.cr0 = sregs->cr0;
  all.cr3 = sregs->cr3;
  all.cr4 = sregs->cr4;
  all.efer = sregs->efer;
  return all;
}

Trap trap_of(const TrapFrame& frame) {
  Trap trap{.vector = static_cast<std::uint32_t>(frame.vector),
            .value = frame.error_code,
            .pc = frame.rip};
  if (frame.vector == kPageFault) {
    trap.fault = true;
    trap.address = frame.cr2;
    trap.access = {.write = (frame.error_code & kWriteAccess) != 0,
                   .execute = (frame.error_code & kExecuteAccess) != 0};
  }
  return trap;
}

std::optional<Control> control_of(const kvm::Vcpu& vcpu, std::uint64_t, const kvm::Exit& exit) {
  const auto* out = std::get_if<kvm::IoOut>(&exit);
  if (out == nullptr || (out->port != kTrap && out->port != kCall) || out->size != 4 ||
      out->count != 1)
    return std::nullopt;
  return Control{out->port == kTrap, vcpu.page().data(*out).load<std::uint32_t>(0)};
}

std::optional<Call> call_by_exception(TrapFrame& frame) {
  constexpr std::uint8_t kOut = 0xef;  // out dx, eax
  std::array<std::uint8_t, 1> code{};
  const bool from_below = frame.vector == kGeneralProtection && (frame.cs & 3) != 0;
  if (!from_below || (frame.rdx & 0xffff) != kCall || read_code(frame.rip, code) == 0 ||
      code[0] != kOut)
    return std::nullopt;
  ++frame.rip;
  return static_cast<Call>(frame.rax & 0xffffffff);
}

std::optional<SystemCall> system_call_of(const TrapFrame& frame) {
  std::array<std::uint8_t, kSyscall.size()> code{};
  if (frame.vector != kInvalidOpcode || read_code(frame.rip, code) != code.size() ||
      code != kSyscall)
    return std::nullopt;
  return SystemCall{frame.rax, {frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9}};
}

void answer(TrapFrame& frame, std::uint64_t value) {
  frame.rax = value;
  frame.rip += kSyscall.size();
}

bool emulates() {
  static const bool answer = ask_whether_it_emulates();
  return answer;
}

}  // namespace guestproof::ring0

#endif
