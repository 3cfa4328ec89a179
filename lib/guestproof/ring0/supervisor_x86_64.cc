#if defined(__x86_64__)

#include <array>
#include <cstddef>
#include <cstring>

#include "guestproof/base/invariant.h"
#include "guestproof/ring0/address.h"
#include "guestproof/ring0/supervisor.h"

// One entry of 16 bytes for each vector: the error code where the processor pushes none, and the
// vector. The rest is common to all. It is copied to kSupervisor.
asm(R"(
  .pushsection .rodata
  .balign 16
  .global guestproof_ring0_entries, guestproof_ring0_entries_end
guestproof_ring0_entries:
  .set vector, 0
  .rept 256
  .balign 16
  .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
  pushq $0
  .endif
  pushq $vector
  jmp guestproof_ring0_common
  .set vector, vector + 1
  .endr
guestproof_ring0_common:
  push %rax
  push %rcx
  push %rdx
  push %rbx
  push %rbp
  push %rsi
  push %rdi
  push %r8
  push %r9
  push %r10
  push %r11
  push %r12
  push %r13
  push %r14
  push %r15
  mov %cr2, %rax
  push %rax
  mov %esp, %eax
  mov $0xf000, %edx
  out %eax, %dx
  add $8, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %r11
  pop %r10
  pop %r9
  pop %r8
  pop %rdi
  pop %rsi
  pop %rbp
  pop %rbx
  pop %rdx
  pop %rcx
  pop %rax
  add $16, %rsp
  iretq
guestproof_ring0_entries_end:
  .popsection
)");
extern "C" const std::byte guestproof_ring0_entries[];
extern "C" const std::byte guestproof_ring0_entries_end[];

namespace guestproof::ring0 {
namespace {

static_assert(kTrap == 0xf000, "the entries have it as a number");
static_assert(sizeof(TrapFrame) == 23 * sizeof(std::uint64_t));

constexpr std::uint64_t kCode = 0;
constexpr std::uint64_t kIdt = 0x2000;
constexpr std::uint64_t kVcpu = 0x10000;
// In a vCPU's part.
constexpr std::uint64_t kGdt = 0;
constexpr std::uint64_t kTss = 0x80;
constexpr std::uint64_t kTssSize = 0x68;
constexpr std::uint64_t kStacks = 0x2000;
constexpr std::uint64_t kStackDistance = 0x2000;  // a page each, and a page of nothing

constexpr std::uint16_t kKernelCode = 0x08, kKernelData = 0x10;
constexpr std::uint16_t kUserData = 0x1b, kUserCode = 0x23;
constexpr std::uint16_t kTask = 0x28;

enum StackUse : std::uint8_t { kOfVectors, kOfDoubleFault, kOfNmi, kOfMachineCheck, kOfRing0 };
constexpr std::uint32_t kNmi = 2, kDoubleFault = 8, kMachineCheck = 18;

constexpr std::uint64_t part(std::uint32_t vcpu) { return kVcpu * (1 + vcpu); }
constexpr std::uint64_t stack_page(std::uint32_t vcpu, StackUse use) {
  return part(vcpu) + kStacks + std::uint64_t{use} * kStackDistance;
}
constexpr std::uint64_t stack_top(std::uint32_t vcpu, StackUse use) {
  return kSupervisor + stack_page(vcpu, use) + kPageSize;
}

StackUse stack_of(std::uint64_t vector) {
  switch (vector) {
    case kNmi:
      return kOfNmi;
    case kDoubleFault:
      return kOfDoubleFault;
    case kMachineCheck:
      return kOfMachineCheck;
    default:
      return kOfVectors;
  }
}

/// Interrupt gates (Intel SDM vol. 3 §6.14.1), which lower privileges may use with `int n`, too.
void fill_idt(std::span<std::byte> memory) {
  for (std::uint64_t vector = 0; vector < 256; ++vector) {
    const std::uint64_t entry = kSupervisor + kCode + vector * 16;
    const std::uint64_t stack = stack_of(vector) + 1U;  // the TSS counts from 1
    const auto low = (entry & 0xffff) | std::uint64_t{kKernelCode} << 16 | stack << 32 |
                     0xee00ULL << 32 | (entry & 0xffff0000) << 32;
    put(memory, kIdt + vector * 16, low);
    put(memory, kIdt + vector * 16 + 8, entry >> 32);
  }
}

/// §3.4.5, §7.2.3 and §7.7. Lower privileges have no ports: there is no map of permissions.
void fill_vcpu(std::span<std::byte> memory, std::uint32_t index) {
  const auto base = part(index);
  const auto task = kSupervisor + base + kTss;
  const std::array<std::uint64_t, 7> gdt{
      0,
      0x00af9b000000ffff,
      0x00cf93000000ffff,
      0x00cff3000000ffff,
      0x00affb000000ffff,
      (kTssSize - 1) | (task & 0xffffff) << 16 | 0x89ULL << 40 | (task >> 24 & 0xff) << 56,
      task >> 32,
  };
  put(memory, base + kGdt, gdt);
  put(memory, base + kTss + 0x04, stack_top(index, kOfRing0));
  for (const auto use : {kOfVectors, kOfDoubleFault, kOfNmi, kOfMachineCheck})
    put(memory, base + kTss + 0x24 + std::uint64_t{use} * 8, stack_top(index, use));
  put(memory, base + kTss + 0x66, static_cast<std::uint16_t>(kTssSize));
}

kvm_segment segment(std::uint16_t selector, std::uint8_t type, bool code) {
  kvm_segment made{};
  made.limit = 0xffffffff;
  made.selector = selector;
  made.type = type;
  made.present = 1;
  made.dpl = selector & 3;
  made.db = !code;
  made.s = 1;
  made.l = code;
  made.g = 1;
  return made;
}

constexpr std::uint64_t kOsXsave = 1 << 18;  // of CR4

}  // namespace

Result<void> Supervisor::build(std::uint32_t vcpus) {
  const std::span code(guestproof_ring0_entries, guestproof_ring0_entries_end);
  GUESTPROOF_INVARIANT(code.size() <= kIdt - kCode && vcpus <= kMaxVcpus);
  std::memcpy(memory_.data() + kCode, code.data(), code.size());
  fill_idt(memory_);
  auto ok = tables_.map(kSupervisor + kCode, physical_ + kCode, kIdt - kCode, {.execute = true});
  if (ok) ok = tables_.map(kSupervisor + kIdt, physical_ + kIdt, kPageSize, {});
  for (std::uint32_t i = 0; ok && i < vcpus; ++i) {
    fill_vcpu(memory_, i);
    ok = tables_.map(kSupervisor + part(i), physical_ + part(i), kPageSize, {.write = true});
    for (const auto use : {kOfVectors, kOfDoubleFault, kOfNmi, kOfMachineCheck, kOfRing0})
      if (ok)
        ok = tables_.map(kSupervisor + stack_page(i, use), physical_ + stack_page(i, use),
                         kPageSize, {.write = true});
  }
  return ok;
}

Result<void> set_xcr0(const kvm::Vcpu& vcpu, std::uint64_t value) {
  kvm_xcrs xcrs{};
  xcrs.nr_xcrs = 1;
  xcrs.xcrs[0].value = value;
  return vcpu.set_xcrs(xcrs);
}

std::uint64_t thread_pointer() {
  std::uint64_t value = 0;
  asm("mov %%fs:0, %0" : "=r"(value));  // System V ABI, AMD64 supplement §4.1: it is there itself
  return value;
}

Arrival Supervisor::arrival(std::uint32_t index, const Start& start) const {
  const auto base = kSupervisor + part(index);
  Arrival arrival;
  arrival.cr0 = 0x80010033;  // PG, WP, NE, ET, MP, PE
  arrival.cr3 = tables_.root();
  arrival.cr4 = 0x6a0 | (start.vectors != 0 ? kOsXsave : 0);  // OSXMMEXCPT, OSFXSR, PGE, PAE
  arrival.efer = 0xd00;                                       // NXE, LMA, LME
  arrival.xcr0 = start.vectors;
  arrival.fs_base = start.thread;
  arrival.rsp = start.stack - 8;  // as after a call
  arrival.rdi = start.argument;
  arrival.rip = start.entry;
  arrival.task = kTask;
  arrival.gdtr = {7 * 8 - 1, base + kGdt};
  arrival.idtr = {256 * 16 - 1, kSupervisor + kIdt};
  return arrival;
}

Result<void> Supervisor::start(const kvm::Vcpu& vcpu, std::uint32_t index,
                               const Start& start) const {
  const auto to = arrival(index, start);
  auto sregs = vcpu.get_sregs();
  if (!sregs) return std::unexpected(sregs.error());
  sregs->cs = segment(user_ ? kUserCode : kKernelCode, 11, true);
  for (auto* data : {&sregs->ds, &sregs->es, &sregs->fs, &sregs->gs, &sregs->ss})
    *data = segment(user_ ? kUserData : kKernelData, 3, false);
  sregs->fs.base = to.fs_base;
  sregs->tr = segment(kTask, 11, false);
  sregs->tr.base = to.gdtr.base - kGdt + kTss;
  sregs->tr.limit = kTssSize - 1;
  sregs->tr.s = 0;
  sregs->tr.g = 0;
  sregs->tr.db = 0;
  sregs->ldt.unusable = 1;
  sregs->gdt = {.base = to.gdtr.base, .limit = to.gdtr.limit, .padding = {}};
  sregs->idt = {.base = to.idtr.base, .limit = to.idtr.limit, .padding = {}};
  sregs->cr0 = to.cr0;
  sregs->cr3 = to.cr3;
  sregs->cr4 = to.cr4;
  sregs->efer = to.efer;
  if (const auto ok = vcpu.set_sregs(*sregs); !ok) return ok;
  if (to.xcr0 != 0)
    if (const auto ok = set_xcr0(vcpu, to.xcr0); !ok) return ok;
  kvm_regs regs{};
  regs.rip = to.rip;
  regs.rdi = to.rdi;
  regs.rsp = to.rsp;
  regs.rflags = 2;
  return vcpu.set_regs(regs);
}

Result<TrapFrame*> Supervisor::frame(std::uint64_t written) const {
  if (written >= kTables || kTables - written < sizeof(TrapFrame) || written % 8 != 0)
    return fail(Ring0Error::kTrapFrame, written, kTables);
  return reinterpret_cast<TrapFrame*>(memory_.data() + written);
}

}  // namespace guestproof::ring0

#endif
