// What aarch64 has: exceptions by class, system registers, EL0.

#include "guestproof/ring0/test.h"
#include "ring0/told.h"

namespace guestproof::ring0 {
namespace {

using namespace std::chrono_literals;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// ESR_EL1.EC (Arm ARM D19.2.40).
constexpr std::uint32_t kUndefined = 0x00, kSvc = 0x15, kDataAbort = 0x25, kDataAbortLower = 0x24,
                        kInstructionAbort = 0x21, kBrk = 0x3c;

RING0_TEST(ExceptionLevel, IsEl1) { K_EXPECT_EQ(RING0_READ_SYSREG(CurrentEL) >> 2 & 3, 1U); }

RING0_TEST(SystemRegisters, AreReadAndWritten) {
  K_EXPECT_NE(RING0_READ_SYSREG(midr_el1), 0U);
  K_EXPECT_EQ(RING0_READ_SYSREG(sctlr_el1) & 1, 1U) << "the MMU is on";
  K_EXPECT_EQ(RING0_READ_SYSREG(vbar_el1), kSupervisor);
  K_EXPECT_EQ(RING0_READ_SYSREG(tpidr_el0), thread_pointer());
  RING0_WRITE_SYSREG(tpidr_el1, 0x1234'5678'9abc'def0);
  K_EXPECT_EQ(RING0_READ_SYSREG(tpidr_el1), 0x1234'5678'9abc'def0U);
  RING0_WRITE_SYSREG(contextidr_el1, 7);
  isb();
  K_EXPECT_EQ(RING0_READ_SYSREG(contextidr_el1), 7U);
}

RING0_TEST(SystemRegisters, TheCounterRuns) {
  const auto before = RING0_READ_SYSREG(cntvct_el0);
  while (RING0_READ_SYSREG(cntvct_el0) == before) {
  }
  K_EXPECT_NE(RING0_READ_SYSREG(cntfrq_el0), 0U);
}

RING0_TEST(ExpectVector, Breakpoint, expect_vector(kBrk, 0x77)) { asm volatile("brk #0x77"); }
RING0_TEST(ExpectVector, SystemCall, expect_vector(kSvc, 0x12)) { asm volatile("svc #0x12"); }
RING0_TEST(ExpectVector, Undefined, expect_vector(kUndefined)) { asm volatile(".inst 0"); }
RING0_TEST(ExpectVector, InstructionAbort, expect_vector(kInstructionAbort, {}, 0x1000)) {
  asm volatile("br %0" : : "r"(0x1000UL));
}
// A write (WnR), a translation fault of level 3 or above.
RING0_TEST(ExpectVector, DataAbort, expect_vector(kDataAbort, {}, 0x1238)) {
  *reinterpret_cast<volatile int*>(0x1238) = 1;
}

TEST(ExpectVector, TellsWhatCameInstead) {
  EXPECT_EQ(headline(tell(Options(expect_vector(kSvc)), [] { asm volatile("brk #5"); })),
            "The test ended with BRK instruction (EC 0x3c, ISS 0x5), and was to end with SVC (EC "
            "0x15).");
  EXPECT_EQ(failure(tell(Options(expect_vector(kBrk)), [] {})),
            "The test returned, and was to end with BRK instruction (EC 0x3c).");
}

TEST(Exceptions, TellAllRegisters) {
  const auto text = failure(tell(Options(), [] {
    asm volatile("mov x19, #0x1111; mov x28, #0x2222; .inst 0" : : : "x19", "x28");
  }));
  EXPECT_THAT(text, StartsWith("The test ended with undefined instruction (EC 0x00, ISS 0x0).\n"));
  EXPECT_THAT(text, HasSubstr("x19    0000000000001111"));
  EXPECT_THAT(text, HasSubstr("x28    0000000000002222"));
  EXPECT_THAT(text, ContainsRegex("pc +[0-9a-f]{16}  pstate [0-9a-f]{16}  esr"));
}

// What clang makes of -fsanitize=undefined -fsanitize-trap=undefined; the lower byte is the check.
TEST(Exceptions, ATrapOfTheSanitizerIsCalledThat) {
  EXPECT_THAT(failure(tell(Options(), [] { asm volatile("brk #0x5500"); })),
              HasSubstr("\nUndefinedBehaviorSanitizer: addition overflow.\n"));
  EXPECT_THAT(failure(tell(Options(), [] { asm volatile("brk #0x5512"); })),
              HasSubstr("\nUndefinedBehaviorSanitizer: index out of bounds.\n"));
}

TEST(Timeout, OfAProcessorThatWaitsForNothing) {
  EXPECT_EQ(headline(tell(Options(timeout(200ms)),
                          [] {
                            while (true) wfi();
                          })),
            "The test had not ended in time; it was here.");
}

RING0_TEST(El0, IsEl0AndTellsFailures, el(0), expect_failure("from below")) {
  K_ADD_FAILURE() << "from below";
}
RING0_TEST(El0, HasNoSystemRegisters, el(0), expect_vector(kUndefined)) {
  static_cast<void>(RING0_READ_SYSREG(sctlr_el1));
}
RING0_TEST(El0, CannotReadWhatIsTheSupervisors, el(0),
           expect_vector(kDataAbortLower, {}, kSupervisor)) {
  static_cast<void>(*reinterpret_cast<volatile int*>(kSupervisor));
}

TEST(Isolation, ATrapThatIsNoneIsAFailure) {
  EXPECT_THAT(failure(tell(Options(),
                           [] {
                             asm volatile("str %0, [%1]" : : "r"(0x1234UL), "r"(kTrap) : "memory");
                           })),
              HasSubstr("the guest told of an exception at 0x1234, where none can be"));
}

// What the VM's registers are for, seen from inside: the KVM wrappers of one_reg.
RING0_TEST(Seen, RegistersThatTheHostSets, with_vcpu([](kvm::Vcpu& vcpu, std::uint32_t) {
             constexpr std::uint64_t kTpidrEl1 =
                 KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | 3ULL << 14 | 13 << 7 | 4;
             EXPECT_TRUE(vcpu.set_one_reg(kTpidrEl1, std::uint64_t{0x5566}));
           })) {
  K_EXPECT_EQ(RING0_READ_SYSREG(tpidr_el1), 0x5566U);
}

}  // namespace
}  // namespace guestproof::ring0
