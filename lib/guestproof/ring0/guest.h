// What code in ring 0 (EL1) can use besides C++ itself: privileged instructions by their names, the
// guest-physical window, and what the checks of check.h are made of.
//
// The code is this process's, and finds the process's memory, so that most of the C and C++
// libraries work: what makes no system call. malloc() and new do as long as the heap need not grow
// (kHeap bytes are made ready), kprintf() does, printf() does not. The process is a copy: what a
// test writes is gone when it ends.
//
// <sys/io.h> has functions of the same names as inb() and its kin, whose arguments come in another
// order: a source includes one of the two.
//
// What is one instruction is always inlined, so that failures there are their users'.
//
// Thread-safety: each vCPU is a thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guestproof/ring0/address.h"
#include "guestproof/ring0/channel.h"
#include "guestproof/ring0/supervisor.h"
#include "guestproof/ring0/text.h"

namespace guestproof::ring0 {

/// Bytes of heap that a test has before malloc() would have to ask the kernel.
inline constexpr std::size_t kHeap = 16 << 20;

/// What a vCPU is part of.
struct Guest {
  const Channel* channel = nullptr;
  std::uint32_t vcpu = 0;
  bool on_host = false;  // a function of the test that the host calls while the guest waits
};
/// This vCPU's. Null in code that does not run in a guest.
extern constinit thread_local const Guest* this_guest;

/// What stop() throws in a function of the test that the host calls.
struct StoppedOnHost {};

/// Which of the test's vCPUs this is, from 0 on.
[[nodiscard]] inline std::uint32_t vcpu() { return this_guest->vcpu; }

/// The guest-physical address, which ram() or mmio() has, as a pointer.
template <class T>
[[nodiscard]] volatile T* phys(std::uint64_t address) {
  return pointer_to<volatile T>(kWindow + address);
}

/// printf() for ring 0; at most Text::kCapacity bytes at a time.
[[gnu::format(printf, 1, 2)]] void kprintf(const char* format, ...);

// What the checks are made of.

void report_failure(const char* file, int line, const Text& text);
void report_skip(const Text& reason);
/// Ends the test, on all vCPUs.
[[noreturn]] void stop();

#if defined(__x86_64__)

[[gnu::always_inline]] inline void call(Call what) {
  asm volatile("outl %0, %1" : : "a"(static_cast<std::uint32_t>(what)), "d"(kCall) : "memory");
}

// Ports.

[[nodiscard, gnu::always_inline]] inline std::uint8_t inb(std::uint16_t port) {
  std::uint8_t value = 0;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}
[[nodiscard, gnu::always_inline]] inline std::uint16_t inw(std::uint16_t port) {
  std::uint16_t value = 0;
  asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}
[[nodiscard, gnu::always_inline]] inline std::uint32_t inl(std::uint16_t port) {
  std::uint32_t value = 0;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}
[[gnu::always_inline]] inline void outb(std::uint16_t port, std::uint8_t value) {
  asm volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
[[gnu::always_inline]] inline void outw(std::uint16_t port, std::uint16_t value) {
  asm volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
[[gnu::always_inline]] inline void outl(std::uint16_t port, std::uint32_t value) {
  asm volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

// Registers.

[[nodiscard, gnu::always_inline]] inline std::uint64_t rdmsr(std::uint32_t index) {
  std::uint32_t low = 0, high = 0;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index) : "memory");
  return std::uint64_t{high} << 32 | low;
}
[[gnu::always_inline]] inline void wrmsr(std::uint32_t index, std::uint64_t value) {
  asm volatile("wrmsr"
               :
               : "a"(static_cast<std::uint32_t>(value)),
                 "d"(static_cast<std::uint32_t>(value >> 32)), "c"(index)
               : "memory");
}

struct CpuidRegisters {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  friend bool operator==(const CpuidRegisters&, const CpuidRegisters&) = default;
};
[[nodiscard, gnu::always_inline]] inline CpuidRegisters cpuid(std::uint32_t leaf,
                                                              std::uint32_t subleaf = 0) {
  CpuidRegisters out;
  asm volatile("cpuid"
               : "=a"(out.eax), "=b"(out.ebx), "=c"(out.ecx), "=d"(out.edx)
               : "a"(leaf), "c"(subleaf));
  return out;
}

#define GUESTPROOF_RING0_CONTROL_REGISTER(name)                          \
  [[nodiscard, gnu::always_inline]] inline std::uint64_t read_##name() { \
    std::uint64_t value = 0;                                             \
    asm volatile("mov %%" #name ", %0" : "=r"(value) : : "memory");      \
    return value;                                                        \
  }                                                                      \
  [[gnu::always_inline]] inline void write_##name(std::uint64_t value) { \
    asm volatile("mov %0, %%" #name : : "r"(value) : "memory");          \
  }
GUESTPROOF_RING0_CONTROL_REGISTER(cr0)
GUESTPROOF_RING0_CONTROL_REGISTER(cr2)
GUESTPROOF_RING0_CONTROL_REGISTER(cr3)
GUESTPROOF_RING0_CONTROL_REGISTER(cr4)
GUESTPROOF_RING0_CONTROL_REGISTER(cr8)
#undef GUESTPROOF_RING0_CONTROL_REGISTER

[[nodiscard, gnu::always_inline]] inline DescriptorTable sgdt() {
  DescriptorTable table;
  asm volatile("sgdt %0" : "=m"(table));
  return table;
}
[[nodiscard, gnu::always_inline]] inline DescriptorTable sidt() {
  DescriptorTable table;
  asm volatile("sidt %0" : "=m"(table));
  return table;
}
[[gnu::always_inline]] inline void lgdt(const DescriptorTable& table) {
  asm volatile("lgdt %0" : : "m"(table));
}
[[gnu::always_inline]] inline void lidt(const DescriptorTable& table) {
  asm volatile("lidt %0" : : "m"(table));
}

[[nodiscard, gnu::always_inline]] inline std::uint64_t xgetbv(std::uint32_t index = 0) {
  std::uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
  return std::uint64_t{high} << 32 | low;
}
[[nodiscard, gnu::always_inline]] inline std::uint64_t rdtsc() { return __builtin_ia32_rdtsc(); }
[[gnu::always_inline]] inline void invlpg(const volatile void* address) {
  asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}
[[gnu::always_inline]] inline void hlt() { asm volatile("hlt" : : : "memory"); }

#elif defined(__aarch64__)

[[gnu::always_inline]] inline void call(Call what) {
  asm volatile("str %0, [%1]" : : "r"(static_cast<std::uint64_t>(what)), "r"(kCall) : "memory");
}

/// System registers by the assembler's names: `RING0_READ_SYSREG(midr_el1)`.
#define RING0_READ_SYSREG(name)                                      \
  __extension__({                                                    \
    std::uint64_t ring0_value = 0;                                   \
    asm volatile("mrs %0, " #name : "=r"(ring0_value) : : "memory"); \
    ring0_value;                                                     \
  })
#define RING0_WRITE_SYSREG(name, value) \
  asm volatile("msr " #name ", %0" : : "r"(static_cast<std::uint64_t>(value)) : "memory")

[[gnu::always_inline]] inline void isb() { asm volatile("isb" : : : "memory"); }
[[gnu::always_inline]] inline void wfi() { asm volatile("wfi" : : : "memory"); }

#endif

}  // namespace guestproof::ring0
