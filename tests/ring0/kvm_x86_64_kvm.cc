// What the KVM wrappers (kvm/) do, seen from the guest's side.

#include "guestproof/ring0/test.h"

namespace guestproof::ring0 {
namespace {

template <class T>
T value_of(Result<T> result) {
  EXPECT_TRUE(result) << (result ? "" : result.error().message());
  return std::move(result.value());
}
void expect_ok(const Result<void>& done) {
  EXPECT_TRUE(done) << (done ? "" : done.error().message());
}

constexpr std::uint16_t kAsk = 0x80;  // a port: the host does something
constexpr std::uint32_t kTsc = 0x10, kTscAdjust = 0x3b, kPat = 0x277;

/// The vCPU of the test, for what is done while it waits at a port.
kvm::Vcpu* the_vcpu;
auto keep() {
  return with_vcpu([](kvm::Vcpu& vcpu, std::uint32_t) { the_vcpu = &vcpu; });
}
template <class F>
auto ask(F what) {
  return port(kAsk).writes([what](auto, auto, std::uint64_t value) { what(value); });
}

// Registers that the host sets are the guest's, and the other way around.

RING0_TEST(Seen, SetMsrs, with_vcpu([](kvm::Vcpu& vcpu, std::uint32_t) {
             auto msrs = value_of(kvm::Msrs::zeroed(1));
             msrs.entries()[0].index = kPat;
             msrs.entries()[0].data = 0x0007040600070401;
             expect_ok(vcpu.set_msrs(msrs));
           })) {
  K_EXPECT_EQ(rdmsr(kPat), 0x0007040600070401U);
}

RING0_TEST(Seen, GetMsrs, keep(), ask([](std::uint64_t) {
             auto msrs = value_of(kvm::Msrs::zeroed(1));
             msrs.entries()[0].index = kPat;
             expect_ok(the_vcpu->get_msrs(msrs));
             EXPECT_EQ(msrs.entries()[0].data, 0x0606060606060606U);
           })) {
  wrmsr(kPat, 0x0606060606060606);
  outb(kAsk, 0);
}

RING0_TEST(Seen, RegsInTheMiddleOfAnInstruction, keep(),
           port(kAsk).reads([](std::uint64_t, std::size_t) {
             const auto regs = value_of(the_vcpu->get_regs());
             return regs.rbx == 0x1234 ? 1ULL : 0;
           })) {
  std::uint8_t seen = 0;
  asm volatile("in %%dx, %%al" : "=a"(seen) : "b"(0x1234), "d"(kAsk));
  K_EXPECT_EQ(seen, 1);
}

RING0_TEST(Seen, SregsHaveTheControlRegisters, keep(), ask([](std::uint64_t value) {
             EXPECT_EQ(value_of(the_vcpu->get_sregs()).cr2, value);
           })) {
  write_cr2(0x5678);
  outl(kAsk, 0x5678);
}

RING0_TEST(Seen, SetSregsChangesThem, keep(), ask([](std::uint64_t) {
             auto sregs = value_of(the_vcpu->get_sregs());
             sregs.cr2 = 0x9abc;
             expect_ok(the_vcpu->set_sregs(sregs));
           })) {
  outb(kAsk, 0);
  K_EXPECT_EQ(read_cr2(), 0x9abcU);
}

RING0_TEST(Seen, FloatingPointState, keep(), ask([](std::uint64_t) {
             auto fpu = value_of(the_vcpu->get_fpu());
             EXPECT_EQ(fpu.xmm[15][0], 0x42);
             fpu.xmm[15][0] = 0x43;
             fpu.fcw = 0x27f;  // double precision
             expect_ok(the_vcpu->set_fpu(fpu));
           })) {
  std::uint64_t value = 0x42;
  asm volatile("movq %0, %%xmm15" : : "r"(value) : "xmm15");
  asm volatile("outb %%al, %1" : : "a"(0), "N"(kAsk) : "memory");
  asm volatile("movq %%xmm15, %0" : "=r"(value));
  K_EXPECT_EQ(value, 0x43U);
  std::uint16_t fcw = 0;
  asm volatile("fnstcw %0" : "=m"(fcw));
  K_EXPECT_EQ(fcw, 0x27f);
}

RING0_TEST(Seen, ExtendedStateIsWhatThisProcessHas) {
  if ((read_cr4() >> 18 & 1) == 0) K_SKIP() << "no XSAVE here";
  K_EXPECT_EQ(xgetbv() & 3, 3U) << "x87 and SSE";
  if ((cpuid(7).ebx >> 5 & 1) == 0 || (xgetbv() & 4) == 0) K_SKIP() << "no AVX2 here";
  std::array<std::uint64_t, 4> ones{};
  asm volatile("vpcmpeqd %%ymm7, %%ymm7, %%ymm7; vmovdqu %%ymm7, %0" : "=m"(ones) : : "xmm7");
  for (const auto each : ones) K_EXPECT_EQ(each, UINT64_MAX);
}

RING0_TEST(Seen, DebugRegisters, with_vcpu([](kvm::Vcpu& vcpu, std::uint32_t) {
             auto registers = value_of(vcpu.get_debugregs());
             registers.db[1] = 0x1000;
             expect_ok(vcpu.set_debugregs(registers));
           })) {
  std::uint64_t value = 0;
  asm volatile("mov %%dr1, %0" : "=r"(value));
  K_EXPECT_EQ(value, 0x1000U);
}

// CPUID and time.

RING0_TEST(Seen, SetCpuid2, with_vcpu([](kvm::Vcpu& vcpu, std::uint32_t) {
             const auto cpuid = value_of(vcpu.get_cpuid2());
             EXPECT_GT(cpuid.size(), 3U);
           }),
           cpuid(0x40000100, 0, {0x11, 0x22, 0x33, 0x44})) {
  K_EXPECT_EQ(cpuid(0x40000100).eax, 0x11U);
  K_EXPECT_EQ(cpuid(0x40000100).edx, 0x44U);
}

RING0_TEST(Seen, TscOfTheHost, keep(), ask([](std::uint64_t) {
             auto msrs = value_of(kvm::Msrs::zeroed(1));
             msrs.entries()[0].index = kTsc;
             msrs.entries()[0].data = 1'000'000'000'000'000;
             expect_ok(the_vcpu->set_msrs(msrs));
           })) {
  K_EXPECT_LT(rdtsc(), 1'000'000'000'000'000U);
  outb(kAsk, 0);
  K_EXPECT_GE(rdtsc(), 1'000'000'000'000'000U);
}

// Events.

RING0_TEST(Seen, NmiComes, keep(), ask([](std::uint64_t) { expect_ok(the_vcpu->nmi()); }),
           expect_vector(2)) {
  outb(kAsk, 0);
  K_FAIL() << "no NMI has come";
}

RING0_TEST(Seen, InterruptComesWhenItMay, keep(),
           ask([](std::uint64_t) { expect_ok(the_vcpu->interrupt(0x55)); }), expect_vector(0x55)) {
  outb(kAsk, 0);
  kprintf("not yet\n");
  asm volatile("sti; nop");
  K_FAIL() << "no interrupt has come";
}

RING0_TEST(Seen, AnExceptionThatTheHostInjects, keep(), ask([](std::uint64_t) {
             auto events = value_of(the_vcpu->get_vcpu_events());
             events.exception.injected = 1;
             events.exception.nr = 13;
             events.exception.has_error_code = 1;
             events.exception.error_code = 0x18;
             expect_ok(the_vcpu->set_vcpu_events(events));
           }),
           expect_vector(13, 0x18)) {
  outb(kAsk, 0);
  K_FAIL() << "no exception has come";
}

RING0_TEST(Seen, TranslationOfTheGuestsAddresses, keep(), ask([](std::uint64_t) {
             const auto found = value_of(the_vcpu->translate(kSupervisor));
             EXPECT_EQ(found.valid, 1);
             EXPECT_EQ(value_of(the_vcpu->translate(0x1000)).valid, 0);
           })) {
  outb(kAsk, 0);
}

RING0_TEST(Seen, LinesOfAnInterruptController,
           with_vm([](kvm::Vm& vm) { expect_ok(vm.create_irqchip()); }), keep()) {
  // The local APIC is there, enabled, with the identifier of the vCPU.
  K_EXPECT_EQ(rdmsr(0x1b) >> 11 & 1, 1U);
  K_EXPECT_EQ(rdmsr(0x1b) & ~std::uint64_t{0xfff}, 0xfee00000U);
}

RING0_TEST(Seen, MsrFiltersLetOthersThrough, msr(kTscAdjust, 0x77)) {
  K_EXPECT_EQ(rdmsr(kTscAdjust), 0x77U);
  wrmsr(kPat, 0x0007040600070406);
  K_EXPECT_EQ(rdmsr(kPat), 0x0007040600070406U);
}

}  // namespace
}  // namespace guestproof::ring0
