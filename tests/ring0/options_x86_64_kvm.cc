// The options of x86_64, as tests use them.

#include "guestproof/ring0/test.h"
#include "ring0/told.h"

namespace guestproof::ring0 {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::uint32_t kStar = 0xc0000081;

RING0_TEST(PortIo, ReadsWhatTheHostOffers, port(0x1).reads(0xfe)) { K_EXPECT_EQ(inb(0x1), 0xfe); }

RING0_TEST(PortIo, ReadsInOrderAndTheLastForEver, port(0x80).reads(1, 0x2222, 0x33333333)) {
  K_EXPECT_EQ(inb(0x80), 1);
  K_EXPECT_EQ(inw(0x80), 0x2222);
  K_EXPECT_EQ(inl(0x80), 0x33333333U);
  K_EXPECT_EQ(inl(0x80), 0x33333333U);
}

RING0_TEST(PortIo, ExpectsWritesInOrder, port(0x60).expects(1, 0x2222, 0x33333333)) {
  outb(0x60, 1);
  outw(0x60, 0x2222);
  outl(0x60, 0x33333333);
}

RING0_TEST(PortIo, Handlers, port(0x70).writes([](auto, auto, auto) {}).reads([](auto, auto width) {
  return width;
})) {
  outb(0x70, 1);
  K_EXPECT_EQ(inw(0x70), 2);
}

RING0_TEST(PortIo, StringsOfBytes, port(0x3f8).expects('r', 'i', 'n', 'g'),
           port(0x60).reads(7, 8)) {
  const char* from = "ring";
  std::uint64_t count = 4;
  asm volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(std::uint16_t{0x3f8}) : "memory");
  K_EXPECT_EQ(count, 0U);
  std::array<std::uint8_t, 2> to{};
  void* at = to.data();
  count = to.size();
  asm volatile("rep insb" : "+D"(at), "+c"(count) : "d"(std::uint16_t{0x60}) : "memory");
  K_EXPECT_EQ(to[0], 7);
  K_EXPECT_EQ(to[1], 8);
}

TEST(PortIo, TellsWhatIsNotExpected) {
  EXPECT_EQ(failure(tell(Options(port(0x60).expects(5)), [] { outb(0x60, 6); })),
            "0x6 was written to port 0x60, where 0x5 was expected");
  EXPECT_EQ(failure(tell(Options(port(0x60).expects()), [] { outb(0x60, 6); })),
            "0x6 was written to port 0x60, after all of the 0 expected writes");
  EXPECT_EQ(failure(tell(Options(port(0x60).expects(5)), [] {})),
            "port 0x60 was written 0 times, and 0x5 was expected next");
  EXPECT_EQ(failure(tell(Options(port(0x60).reads(0x1fe)), [] { static_cast<void>(inb(0x60)); })),
            "a read of 1 byte of port 0x60 was to give 0x1fe, which does not fit");
}

TEST(PortIo, AFailureIsWhereTheAccessIs) {
  const int line = __LINE__ + 1;
  const auto told = tell(Options(port(0x60).expects(5)), [] { outb(0x60, 6); });
  ASSERT_EQ(told.failures.size(), 1U);
  EXPECT_THAT(told.failures[0].place.file, ::testing::EndsWith("ring0/options_x86_64_kvm.cc"));
  EXPECT_EQ(told.failures[0].place.line, line);
}

TEST(PortIo, WhatNobodyAnswersEndsTheTest) {
  EXPECT_EQ(headline(tell(Options(), [] { static_cast<void>(inw(0x60)); })),
            "The test read 2 bytes of port 0x60, which nobody answers.");
  EXPECT_EQ(headline(tell(Options(port(0x60).reads(1)), [] { outb(0x60, 0x7f); })),
            "The test wrote 1 byte to port 0x60 (0x7f), which nobody expects.");
}

RING0_TEST(ModelSpecificRegister, HasItsValueAndKeepsWhatIsWritten, msr(0x123, 0x1122334455667788),
           msr(0x4b564d00, 1)) {
  K_EXPECT_EQ(rdmsr(0x123), 0x1122334455667788U);
  wrmsr(0x123, 0xffffffffffffffff);
  K_EXPECT_EQ(rdmsr(0x123), 0xffffffffffffffffU);
  K_EXPECT_EQ(rdmsr(0x4b564d00), 1U);
}

RING0_TEST(ModelSpecificRegister, HasAHandler, msr(0x124, [](Msr::Access& access) {
             if (!access.write) access.value = 42;
             return true;
           })) {
  wrmsr(0x124, 5);
  K_EXPECT_EQ(rdmsr(0x124), 42U);
}

RING0_TEST(ModelSpecificRegister, AHandlerThatRefusesIsAFault,
           msr(0x124, [](Msr::Access& access) { return !access.write; }), expect_vector(13, 0)) {
  K_EXPECT_EQ(rdmsr(0x124), 0U);
  wrmsr(0x124, 5);
}

RING0_TEST(ModelSpecificRegister, OthersAreTheProcessors, msr(0x123, 1)) {
  wrmsr(kStar, 0x0013000800000000);
  K_EXPECT_EQ(rdmsr(kStar), 0x0013000800000000U);
}

RING0_TEST(ProcessorId, HasWhatTheTestSays, cpuid(0x40000010, 0, {1, 2, 3, 4}),
           cpuid(0x80000020, 3, {5, 6, 7, 8})) {
  K_EXPECT_TRUE((cpuid(0x40000010) == CpuidRegisters{1, 2, 3, 4}));
  K_EXPECT_TRUE((cpuid(0x80000020, 3) == CpuidRegisters{5, 6, 7, 8}));
}

RING0_TEST(ExpectVector, DivideError, expect_vector(0)) {
  asm volatile("div %b0" : : "q"(0), "a"(1) : "dx");
}
RING0_TEST(ExpectVector, Breakpoint, expect_vector(3)) { asm volatile("int3"); }
RING0_TEST(ExpectVector, InvalidOpcode, expect_vector(6)) { asm volatile("ud2"); }
RING0_TEST(ExpectVector, GeneralProtection, expect_vector(13, 0)) {
  static_cast<void>(*reinterpret_cast<volatile int*>(0x8000'0000'0000'0000));
}
RING0_TEST(ExpectVector, SegmentSelector, expect_vector(13, 0x50)) {
  asm volatile("mov %0, %%ds" : : "r"(0x50));
}
RING0_TEST(ExpectVector, PageFault, expect_vector(14, 2, 0x1238)) {
  *reinterpret_cast<volatile int*>(0x1238) = 1;
}
RING0_TEST(ExpectVector, Interrupts, expect_vector(0x80)) { asm volatile("int $0x80"); }
RING0_TEST(ExpectVector, TheLastOne, expect_vector(255)) { asm volatile("int $255"); }

RING0_TEST(ExpectVector, AllHaveTheirGates) {
  const auto table = sidt();
  K_ASSERT_EQ(table.limit, 256 * 16 - 1);
  const auto* gates = reinterpret_cast<const std::uint64_t*>(table.base);
  for (std::size_t i = 0; i < 256; ++i) {
    const auto offset =
        (gates[i * 2] & 0xffff) | (gates[i * 2] >> 32 & 0xffff0000) | gates[i * 2 + 1] << 32;
    K_EXPECT_EQ(offset, kSupervisor + i * 16);
    K_EXPECT_EQ(gates[i * 2] >> 40 & 0xff, 0xeeU);
    K_EXPECT_NE(gates[i * 2] >> 32 & 7, 0U) << "a stack of its own";
  }
}

TEST(ExpectVector, TellsWhatCameInstead) {
  EXPECT_EQ(headline(tell(Options(expect_vector(13)), [] { asm volatile("int3"); })),
            "The test ended with breakpoint (vector 3), and was to end with general protection "
            "(vector 13).");
  EXPECT_EQ(headline(tell(Options(expect_vector(14, 2, 0x20)),
                          [] { *reinterpret_cast<volatile int*>(0x10) = 1; })),
            "The test ended with page fault (vector 14, error code 0x2), and was to end with page "
            "fault (vector 14, error code 0x2) at 0x20.");
  EXPECT_EQ(failure(tell(Options(expect_vector(3)), [] {})),
            "The test returned, and was to end with breakpoint (vector 3).");
}

RING0_TEST(ExpectHalt, Halts, expect_halt()) { hlt(); }
RING0_TEST(ExpectTripleFault, WithoutAnIdt, expect_triple_fault()) {
  lidt({});
  asm volatile("int3");
}

TEST(ExpectHalt, TellsWhatCameInstead) {
  EXPECT_EQ(failure(tell(Options(expect_halt()), [] {})),
            "The test returned, and was to end with hlt.");
  EXPECT_EQ(headline(tell(Options(), [] { hlt(); })), "The test ended with hlt.");
}

TEST(ExpectTripleFault, TellsWhatCameInstead) {
  EXPECT_EQ(headline(tell(Options(),
                          [] {
                            lidt({});
                            asm volatile("int3");
                          })),
            "The test ended with a triple fault.");
  EXPECT_EQ(failure(tell(Options(expect_triple_fault()), [] {})),
            "The test returned, and was to end with a triple fault.");
}

RING0_TEST(Ring3, IsRing3, cpl(3)) {
  std::uint16_t cs = 0;
  asm("mov %%cs, %0" : "=r"(cs));
  K_EXPECT_EQ(cs & 3, 3);
}
RING0_TEST(Ring3, HasNoPrivilegedInstructions, cpl(3), expect_vector(13, 0)) {
  static_cast<void>(read_cr0());
}
RING0_TEST(Ring3, HasNoPorts, cpl(3), port(0x60).reads(1), expect_vector(13, 0)) {
  static_cast<void>(inb(0x60));
}
RING0_TEST(Ring3, CannotReadWhatIsTheSupervisors, cpl(3), expect_vector(14, 5, kSupervisor)) {
  static_cast<void>(*reinterpret_cast<volatile int*>(kSupervisor));
}
TEST(Ring3, TellsItsFailuresAsRing0Does) {
  const auto told = tell(Options(cpl(3)), [] {
    kprintf("from %s\n", "below");
    K_EXPECT_EQ(1, 2);
  });
  EXPECT_THAT(failure(told), StartsWith("Expected equality of these values:\n  1\n  2"));
  EXPECT_EQ(told.output, "from below\n");
}

TEST(Options, ThatContradictEachOther) {
  EXPECT_THAT(failure(tell(Options(port(0xf004).reads(1)), [] {})),
              HasSubstr("port 0xf004 is among the ports from 0xf000 on that tests are run with"));
  EXPECT_THAT(failure(tell(Options(port(1).reads(1), port(1).reads(2)), [] {})),
              HasSubstr("port 0x1 is there twice"));
  EXPECT_THAT(failure(tell(Options(msr(1, 1), msr(1, 2)), [] {})),
              HasSubstr("the MSR 0x1 is there twice"));
}

}  // namespace
}  // namespace guestproof::ring0
