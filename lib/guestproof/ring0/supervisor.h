// What a guest needs to run at all, which no process has: descriptor tables and stacks for
// exceptions, and code that tells the host of each.
//
// An exception saves the registers as a TrapFrame on a stack of its own, and writes its address to
// the host. The host changes what it has to, and the guest goes on from there. So the host needs no
// call of KVM to serve a fault, and any virtual machine monitor can serve one that hands out
// accesses to kTrap.
//
// Offsets from kSupervisor, where the guest has it, and from where the host has its memory:
//
//   0x000000  code of the exceptions' entries
//   0x002000  IDT (x86_64)
//   0x010000  0x10000 for each vCPU: GDT and TSS (x86_64), stacks
//   0x210000  page tables; not in the guest's address space
//
// Thread-safety: none; each vCPU's part is its thread's.
#pragma once

#include <cstdint>
#include <span>

#include "guestproof/kvm/vcpu.h"
#include "guestproof/ring0/cpu_state.h"
#include "guestproof/ring0/mirror.h"
#include "guestproof/ring0/options.h"
#include "guestproof/ring0/page_tables.h"

namespace guestproof::ring0 {

#if defined(__x86_64__)

/// As the entries push it, from the lowest address on.
struct TrapFrame {
  std::uint64_t cr2;
  std::uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
  std::uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
  std::uint64_t vector;
  std::uint64_t error_code;                // 0 for vectors that have none
  std::uint64_t rip, cs, rflags, rsp, ss;  // Intel SDM vol. 3 §6.14.2
};

/// Ports of 4 bytes. A write is the lower half of a frame's address (kTrap), or a Call.
inline constexpr std::uint16_t kTrap = 0xf000;
inline constexpr std::uint16_t kCall = 0xf004;

/// What sgdt, sidt, lgdt and lidt have in memory.
struct [[gnu::packed]] DescriptorTable {
  std::uint16_t limit = 0;
  std::uint64_t base = 0;
};

/// The registers of a vCPU that is about to enter a test; kernel_x86_64.cc loads them by code.
struct Arrival {
  std::uint64_t cr0 = 0, cr3 = 0, cr4 = 0, efer = 0;
  std::uint64_t xcr0 = 0;
  std::uint64_t fs_base = 0;
  std::uint64_t rsp = 0, rdi = 0, rip = 0;
  std::uint64_t task = 0;  // TR's selector
  DescriptorTable gdtr, idtr;
};

#elif defined(__aarch64__)

struct TrapFrame {
  std::uint64_t x[31];
  std::uint64_t elr, spsr, esr, far, sp_el0;
};

/// The registers of a vCPU that is about to enter a test.
struct Arrival {
  std::uint64_t mair = 0, tcr = 0, ttbr0 = 0, ttbr1 = 0;
  std::uint64_t vbar = 0, cpacr = 0, sctlr = 0;
  std::uint64_t tpidr_el0 = 0;
  std::uint64_t sp_el1 = 0, sp_el0 = 0, x0 = 0, pc = 0, pstate = 0;
};

/// Guest-virtual addresses of registers, of 8 bytes. A write is a frame's address (kTrap), or a
/// Call.
inline constexpr std::uint64_t kControl = kSupervisor + 0x3000;
inline constexpr std::uint64_t kTrap = kControl;
inline constexpr std::uint64_t kCall = kControl + 8;

#endif

#if defined(__x86_64__)
/// Errors: kvm's kSetXcrs.
[[nodiscard]] Result<void> set_xcr0(const kvm::Vcpu& vcpu, std::uint64_t value);
#endif
/// Of this thread.
[[nodiscard]] std::uint64_t thread_pointer();

/// What the guest asks its host for.
enum class Call : std::uint32_t {
  kReturned,  // the test is over on this vCPU
  kStopped,   // ... on all of them
  kDrain,     // the ring of records is full
};

class Supervisor {
 public:
  static constexpr std::uint64_t kTables = std::uint64_t{0x10000} * (1 + kMaxVcpus);
  static constexpr std::uint64_t kSize = kTables + (32 << 20);

  /// `memory` has kSize bytes of zeroes, which the guest has at the guest-physical address
  /// `physical`.
  /// `user`: tests run at the lower privilege.
  Supervisor(std::span<std::byte> memory, std::uint64_t physical, bool user)
      : memory_(memory),
        tables_(memory.subspan(kTables), physical + kTables),
        physical_(physical),
        user_(user) {}

  [[nodiscard]] PageTables& tables() { return tables_; }
  /// Fills it. Errors: kPageTables, kTableEntry.
  [[nodiscard]] Result<void> build(std::uint32_t vcpus);
  /// The guest-physical address of the page that kTrap and kCall are in, where no memory may be
  /// (aarch64).
  [[nodiscard]] std::uint64_t control() const { return physical_ + kSize; }

  /// Where a vCPU starts: `entry(argument)` on `stack`, an address that is a multiple of 16.
  struct Start {
    std::uint64_t entry = 0;
    std::uint64_t argument = 0;
    std::uint64_t stack = 0;
    /// Vector state besides what every processor has: XCR0 (x86_64, 0 where there is no XSAVE),
    /// whether there is SVE (aarch64).
    std::uint64_t vectors = 0;
    /// Of thread-local variables: thread_pointer() of a thread.
    std::uint64_t thread = 0;
  };
  /// What registers have then.
  [[nodiscard]] Arrival arrival(std::uint32_t index, const Start& start) const;
  /// Errors: kvm's, of the registers.
  [[nodiscard]] Result<void> start(const kvm::Vcpu& vcpu, std::uint32_t index,
                                   const Start& start) const;

  /// The frame whose address the guest wrote to kTrap. Errors: kTrapFrame: there is none.
  [[nodiscard]] Result<TrapFrame*> frame(std::uint64_t written) const;

 private:
  std::span<std::byte> memory_;
  PageTables tables_;
  std::uint64_t physical_;
  bool user_;
};

}  // namespace guestproof::ring0
