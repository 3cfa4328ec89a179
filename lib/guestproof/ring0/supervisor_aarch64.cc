#if defined(__aarch64__)

#include <cstring>
#include <utility>

#include "guestproof/base/invariant.h"
#include "guestproof/ring0/supervisor.h"

// The vector table (Arm ARM D1.3.1): 16 entries of 128 bytes. What is common to all follows. It is
// copied to kSupervisor.
asm(R"(
  .pushsection .rodata
  .balign 16
  .global guestproof_ring0_entries, guestproof_ring0_entries_end
guestproof_ring0_entries:
  .set entry, 0
  .rept 16
  .org guestproof_ring0_entries + entry * 0x80
  sub sp, sp, #0x120
  stp x0, x1, [sp]
  b guestproof_ring0_common
  .set entry, entry + 1
  .endr
  .org guestproof_ring0_entries + 0x800
guestproof_ring0_common:
  stp x2, x3, [sp, #0x10]
  stp x4, x5, [sp, #0x20]
  stp x6, x7, [sp, #0x30]
  stp x8, x9, [sp, #0x40]
  stp x10, x11, [sp, #0x50]
  stp x12, x13, [sp, #0x60]
  stp x14, x15, [sp, #0x70]
  stp x16, x17, [sp, #0x80]
  stp x18, x19, [sp, #0x90]
  stp x20, x21, [sp, #0xa0]
  stp x22, x23, [sp, #0xb0]
  stp x24, x25, [sp, #0xc0]
  stp x26, x27, [sp, #0xd0]
  stp x28, x29, [sp, #0xe0]
  mrs x0, elr_el1
  stp x30, x0, [sp, #0xf0]
  mrs x0, spsr_el1
  mrs x1, esr_el1
  stp x0, x1, [sp, #0x100]
  mrs x0, far_el1
  mrs x1, sp_el0
  stp x0, x1, [sp, #0x110]
  mov x0, sp
  movz x1, #0xffff, lsl #48
  movk x1, #0xc000, lsl #32
  movk x1, #0x3000
  str x0, [x1]
  dsb ishst
  tlbi vmalle1
  dsb nsh
  isb
  ldp x30, x0, [sp, #0xf0]
  msr elr_el1, x0
  ldr x0, [sp, #0x100]
  msr spsr_el1, x0
  ldr x0, [sp, #0x118]
  msr sp_el0, x0
  ldp x2, x3, [sp, #0x10]
  ldp x4, x5, [sp, #0x20]
  ldp x6, x7, [sp, #0x30]
  ldp x8, x9, [sp, #0x40]
  ldp x10, x11, [sp, #0x50]
  ldp x12, x13, [sp, #0x60]
  ldp x14, x15, [sp, #0x70]
  ldp x16, x17, [sp, #0x80]
  ldp x18, x19, [sp, #0x90]
  ldp x20, x21, [sp, #0xa0]
  ldp x22, x23, [sp, #0xb0]
  ldp x24, x25, [sp, #0xc0]
  ldp x26, x27, [sp, #0xd0]
  ldp x28, x29, [sp, #0xe0]
  ldp x0, x1, [sp], #0x120
  eret
guestproof_ring0_entries_end:
  .popsection
)");
extern "C" const std::byte guestproof_ring0_entries[];
extern "C" const std::byte guestproof_ring0_entries_end[];

namespace guestproof::ring0 {
namespace {

static_assert(kTrap == 0xffff'c000'0000'3000, "the entries have it as numbers");
static_assert(sizeof(TrapFrame) == 0x120);

constexpr std::uint64_t kCode = 0;
constexpr std::uint64_t kCodeSize = 0x2000;
constexpr std::uint64_t kVcpu = 0x10000;
constexpr std::uint64_t kStack = 0x1000;  // in a vCPU's part; a page

constexpr std::uint64_t stack_page(std::uint32_t vcpu) { return kVcpu * (1 + vcpu) + kStack; }

/// ARM64_SYS_REG of the kernel's header, with op0 3 and op1 0 or 3.
constexpr std::uint64_t system_register(unsigned op1, unsigned crn, unsigned crm, unsigned op2) {
  return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | 3ULL << 14 |
         std::uint64_t{op1} << 11 | std::uint64_t{crn} << 7 | std::uint64_t{crm} << 3 | op2;
}
constexpr std::uint64_t core_register(std::size_t offset) {
  return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | offset / sizeof(std::uint32_t);
}

// Arm ARM D19.2.
constexpr std::uint64_t kSctlr = system_register(0, 1, 0, 0);
constexpr std::uint64_t kCpacr = system_register(0, 1, 0, 2);
constexpr std::uint64_t kTtbr0 = system_register(0, 2, 0, 0);
constexpr std::uint64_t kTtbr1 = system_register(0, 2, 0, 1);
constexpr std::uint64_t kTcr = system_register(0, 2, 0, 2);
constexpr std::uint64_t kMair = system_register(0, 10, 2, 0);
constexpr std::uint64_t kVbar = system_register(0, 12, 0, 0);
constexpr std::uint64_t kTpidrEl0 = system_register(3, 13, 0, 2);

/// RES1 of ARMv8.0, and: EL0 may use cache and counter instructions; instruction and data caches,
/// alignment of SP, the MMU.
constexpr std::uint64_t kSctlrValue =
    0x30d00800 | 1 << 26 | 1 << 15 | 1 << 14 | 1 << 12 | 1 << 4 | 1 << 3 | 1 << 2 | 1 << 0;
/// 48 bits in either half, 4 KiB granules, tables in inner shareable, write-back memory.
constexpr std::uint64_t kTcrValue =
    16 | 1 << 8 | 1 << 10 | 3 << 12 | 16 << 16 | 1 << 24 | 1 << 26 | 3 << 28 | 2ULL << 30;
/// Normal write-back memory, and Device-nGnRnE.
constexpr std::uint64_t kMairValue = 0x00ff;
constexpr std::uint64_t kFloatingPoint = 3 << 20, kScalableVectors = 3 << 16;
constexpr std::uint64_t kEl1 = 0x3c4, kEl0 = 0x3c0;  // with SP_EL0, all interrupts masked

/// TCR_EL1.IPS: bits of the physical addresses that the tables may have.
constexpr std::uint64_t physical_size(std::uint64_t last) {
  return (last >> 39 != 0 ? 2ULL : 1ULL) << 32;
}

}  // namespace

Result<void> Supervisor::build(std::uint32_t vcpus) {
  const std::span code(guestproof_ring0_entries, guestproof_ring0_entries_end);
  GUESTPROOF_INVARIANT(code.size() <= kCodeSize && vcpus <= kMaxVcpus);
  std::memcpy(memory_.data() + kCode, code.data(), code.size());
  auto ok = tables_.map(kSupervisor + kCode, physical_ + kCode, kCodeSize, {.execute = true});
  // Behind the supervisor's memory, where no slot is.
  if (ok)
    ok =
        tables_.map(kControl, control(), kPageSize, {.write = true, .user = user_, .device = true});
  for (std::uint32_t i = 0; ok && i < vcpus; ++i)
    ok = tables_.map(kSupervisor + stack_page(i), physical_ + stack_page(i), kPageSize,
                     {.write = true});
  return ok;
}

std::uint64_t thread_pointer() {
  std::uint64_t value = 0;
  asm("mrs %0, tpidr_el0" : "=r"(value));
  return value;
}

Arrival Supervisor::arrival(std::uint32_t index, const Start& start) const {
  return {.mair = kMairValue,
          .tcr = kTcrValue | physical_size(physical_),
          .ttbr0 = tables_.root(),
          .ttbr1 = tables_.upper_root(),
          .vbar = kSupervisor + kCode,
          .cpacr = kFloatingPoint | (start.vectors != 0 ? kScalableVectors : 0),
          .sctlr = kSctlrValue,
          .tpidr_el0 = start.thread,
          .sp_el1 = kSupervisor + stack_page(index) + kPageSize,
          .sp_el0 = start.stack,
          .x0 = start.argument,
          .pc = start.entry,
          .pstate = user_ ? kEl0 : kEl1};
}

Result<void> Supervisor::start(const kvm::Vcpu& vcpu, std::uint32_t index,
                               const Start& start) const {
  const auto to = arrival(index, start);
  const std::pair<std::uint64_t, std::uint64_t> registers[]{
      {kMair, to.mair},
      {kTcr, to.tcr},
      {kTtbr0, to.ttbr0},
      {kTtbr1, to.ttbr1},
      {kVbar, to.vbar},
      {kCpacr, to.cpacr},
      {kSctlr, to.sctlr},
      {kTpidrEl0, to.tpidr_el0},
      {core_register(offsetof(kvm_regs, sp_el1)), to.sp_el1},
      {core_register(offsetof(kvm_regs, regs.sp)), to.sp_el0},
      {core_register(offsetof(kvm_regs, regs.pc)), to.pc},
      {core_register(offsetof(kvm_regs, regs.pstate)), to.pstate},
      {core_register(offsetof(kvm_regs, regs.regs)), to.x0},
  };
  for (const auto& [id, value] : registers)
    if (const auto ok = vcpu.set_one_reg(id, value); !ok) return ok;
  return {};
}

Result<TrapFrame*> Supervisor::frame(std::uint64_t written) const {
  const auto offset = written - kSupervisor;
  if (offset >= kTables || kTables - offset < sizeof(TrapFrame) || offset % 16 != 0)
    return fail(Ring0Error::kTrapFrame, written, kSupervisor + kTables);
  return reinterpret_cast<TrapFrame*>(memory_.data() + offset);
}

}  // namespace guestproof::ring0

#endif
