// What the user sees of failures that only x86_64 has.

#include "guestproof/ring0/test.h"
#include "ring0/told.h"

namespace guestproof::ring0 {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

TEST(Exceptions, AreCalledByTheirNames) {
  const auto of = [](auto body) { return headline(tell(Options(), body)); };
  EXPECT_EQ(of([] { asm volatile("int3"); }), "The test ended with breakpoint (vector 3).");
  EXPECT_EQ(of([] { asm volatile("int $0x21"); }), "The test ended with interrupt (vector 33).");
  EXPECT_EQ(of([] {
              asm volatile("mov %0, %%ss" : : "r"(0x48));
            }),
            "The test ended with general protection (vector 13, error code 0x48).");
}

TEST(Exceptions, TellAllRegisters) {
  const auto text = failure(tell(Options(), [] {
    asm volatile("mov $0x1111, %%rax; mov $0x2222, %%rbx; mov $0x3333, %%r15; mov %%cr2, %%rcx; ud2"
                 :
                 :
                 : "rax", "rbx", "rcx", "r15");
  }));
  EXPECT_THAT(text, HasSubstr("rax    0000000000001111  rbx    0000000000002222"));
  EXPECT_THAT(text, HasSubstr("r15    0000000000003333"));
  EXPECT_THAT(text, ContainsRegex("cr0 +[0-9a-f]{16}  cr2 +[0-9a-f]{16}  cr3"));
  EXPECT_THAT(text, HasSubstr("\nInstruction: 0f 0b "));
  EXPECT_THAT(text, HasSubstr("\nThe instruction is ud2: __builtin_trap(), or "));
}

// What clang makes of -fsanitize=undefined -fsanitize-trap=undefined; the number is the check.
TEST(Exceptions, ATrapOfTheSanitizerIsCalledThat) {
  const auto of = [](auto body) { return failure(tell(Options(), body)); };
  EXPECT_THAT(of([] { asm volatile(".byte 0x67, 0x0f, 0xb9, 0x00"); }),
              HasSubstr("\nUndefinedBehaviorSanitizer: addition overflow.\n"));
  EXPECT_THAT(of([] { asm volatile(".byte 0x67, 0x0f, 0xb9, 0x40, 18"); }),
              HasSubstr("\nUndefinedBehaviorSanitizer: index out of bounds.\n"));
  EXPECT_THAT(of([] { asm volatile(".byte 0x67, 0x0f, 0xb9, 0x40, 99"); }),
              HasSubstr("\nUndefinedBehaviorSanitizer: a check failed.\n"));
}

TEST(Exceptions, AreToldWhereTheStackIsLost) {
  const auto text = failure(tell(Options(), [] {
    asm volatile("mov $0x1000, %%rsp; mov $0, %%rbp; ud2" : : : "memory");
  }));
  EXPECT_THAT(text, HasSubstr("rsp    0000000000001000"));
  EXPECT_THAT(text, HasSubstr("Backtrace:\n  #0 "));
}

TEST(Exceptions, AFaultWhileOneIsDeliveredIsADoubleFault) {
  const auto told = tell(Options(), [] {
    // The stack of ordinary vectors, in the TSS, leads to nothing.
    auto* const stack = reinterpret_cast<volatile std::uint64_t*>(sgdt().base + 0x80 + 0x24);
    *stack = 0x8000'0000;
    asm volatile("ud2");
  });
  EXPECT_EQ(headline(told), "The test ended with double fault (vector 8, error code 0x0).");
}

TEST(Isolation, ATrapThatIsNoneIsAFailure) {
  EXPECT_EQ(failure(tell(Options(), [] { outl(kTrap, 0xfffffff0); })),
            "The test could not go on: the guest told of an exception at 0xfffffff0, where none "
            "can be (below 0x210000).");
}

TEST(Isolation, PageTablesThatAreTheGuestsOwnAreItsOwn) {
  // A root of its own that has one entry, which leads nowhere.
  const auto text = failure(tell(Options(ram(0x100000, 0x1000)), [] {
    for (std::size_t i = 0; i < 512; ++i) phys<std::uint64_t>(0x100000)[i] = 0;
    write_cr3(0x100000);
  }));
  EXPECT_THAT(text, HasSubstr("triple fault"));
}

}  // namespace
}  // namespace guestproof::ring0
