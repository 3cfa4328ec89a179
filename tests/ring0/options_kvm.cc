// The options that every architecture has, as tests use them.

#include <atomic>
#include <thread>

#include "guestproof/ring0/test.h"
#include "ring0/told.h"

namespace guestproof::ring0 {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::uint64_t kDevice = 0x1000'0000;
constexpr std::uint64_t kRam = 0x2000'0000;

RING0_TEST(Nothing, Passes) {}

RING0_TEST(Mmio, ReadsInOrderAndTheLastForEver, mmio(kDevice, 0x1000).reads(1, 2, 3)) {
  auto* const device = phys<std::uint32_t>(kDevice);
  for (const auto value : {1U, 2U, 3U, 3U, 3U}) K_EXPECT_EQ(*device, value);
}

RING0_TEST(Mmio, ReadsOfEveryWidth, mmio(kDevice, 0x2000).reads([](auto offset, auto width) {
  return offset << 4 | width;
})) {
  K_EXPECT_EQ(*phys<std::uint8_t>(kDevice + 1), 0x11);
  K_EXPECT_EQ(*phys<std::uint16_t>(kDevice + 2), 0x22);
  K_EXPECT_EQ(*phys<std::uint32_t>(kDevice + 0x1ffc), 0x1ffc4);
  K_EXPECT_EQ(*phys<std::uint64_t>(kDevice + 8), 0x88);
}

RING0_TEST(Mmio, ExpectsWritesInOrder, mmio(kDevice, 0x1000).expects(0x11, 0x2222, 0xffffffffff)) {
  *phys<std::uint8_t>(kDevice + 0x10) = 0x11;
  *phys<std::uint16_t>(kDevice) = 0x2222;
  *phys<std::uint64_t>(kDevice + 8) = 0xffffffffff;
}

TEST(Mmio, HandlersRunOnTheHost) {
  // This process's counterpart of the copy's: a pipe, say. Here what the guest reads back.
  std::uint64_t seen = 0;
  EXPECT_PASSES(
      tell(Options(mmio(kDevice, 0x1000)
                       .writes([&](std::uint64_t offset, std::size_t width, std::uint64_t value) {
                         seen = offset << 32 | width << 16 | value;
                       })
                       .reads([&](std::uint64_t, std::size_t) { return seen; })),
           [] {
             *phys<std::uint16_t>(kDevice + 6) = 0x1234;
             K_EXPECT_EQ(*phys<std::uint64_t>(kDevice), 0x6'0002'1234U);
           }));
  EXPECT_EQ(seen, 0U) << "the copy's writes are its own";
}

TEST(Mmio, TellsWhatWasNotExpected) {
  const auto told = tell(Options(mmio(kDevice, 0x1000).expects(1, 2)), [] {
    *phys<std::uint32_t>(kDevice) = 1;
    *phys<std::uint32_t>(kDevice) = 3;
    *phys<std::uint32_t>(kDevice + 4) = 4;
  });
  ASSERT_EQ(told.failures.size(), 2U);
  EXPECT_EQ(told.failures[0].text, "0x3 was written to address 0x10000000, where 0x2 was expected");
  EXPECT_EQ(told.failures[1].text,
            "0x4 was written to address 0x10000004, after all of the 2 expected writes");
}

TEST(Mmio, TellsWhatWasExpectedAndDidNotCome) {
  EXPECT_EQ(failure(tell(Options(mmio(kDevice, 0x1000).expects(1, 2)),
                         [] { *phys<std::uint32_t>(kDevice) = 1; })),
            "address 0x10000000 was written 1 time, and 0x2 was expected next");
}

TEST(Mmio, TellsOfAValueThatDoesNotFit) {
  EXPECT_EQ(failure(tell(Options(mmio(kDevice, 0x1000).reads(0x100)),
                         [] { static_cast<void>(*phys<std::uint8_t>(kDevice)); })),
            "a read of 1 byte of address 0x10000000 was to give 0x100, which does not fit");
}

TEST(Mmio, WhatNobodyAnswersEndsTheTest) {
  const auto options = Options(mmio(kDevice, 0x1000));
  EXPECT_EQ(headline(tell(options, [] { static_cast<void>(*phys<std::uint32_t>(kDevice + 8)); })),
            "The test read 4 bytes of address 0x10000008, which nobody answers.");
  EXPECT_EQ(headline(tell(options, [] { *phys<std::uint16_t>(kDevice + 8) = 5; })),
            "The test wrote 2 bytes to address 0x10000008 (0x5), which nobody expects.");
}

TEST(Window, HasNothingElse) {
  const auto told =
      tell(Options(ram(kRam, 0x1000)), [] { *phys<std::uint32_t>(kRam + 0x1000) = 1; });
  EXPECT_THAT(failure(told),
              HasSubstr("A write at " + hex(kWindow + 0x2000'1000) + ", where nothing is mapped."));
}

RING0_TEST(Ram, IsThereAndZero, ram(kRam, 0x4000), ram(0, 0x1000)) {
  auto* const words = phys<std::uint64_t>(kRam);
  for (std::size_t i = 0; i < 0x4000 / sizeof *words; ++i) K_ASSERT_EQ(words[i], 0U) << i;
  words[0x3ff8 / 8] = 0x1122'3344'5566'7788;
  K_EXPECT_EQ(*phys<std::uint8_t>(kRam + 0x3ff8), 0x88);
  *phys<std::uint8_t>(0) = 1;
  K_EXPECT_EQ(*phys<std::uint32_t>(0), 1U);
}

RING0_TEST(Vcpus, RunAtOnce, vcpus(3)) {
  static std::atomic<std::uint32_t> seen = 0;
  seen |= 1U << vcpu();
  while (seen != 0b111) {
  }
}

TEST(Vcpus, EachHasItsOwnThreadLocals) {
  static thread_local std::uint32_t mine = 7;
  EXPECT_PASSES(tell(Options(vcpus(2)), [] {
    static std::atomic<std::uint32_t> arrived = 0;
    mine += vcpu();
    ++arrived;
    while (arrived != 2) {
    }
    K_EXPECT_EQ(mine, 7 + vcpu());
  }));
}

TEST(Vcpus, OnesFailureStopsAll) {
  const auto told = tell(Options(vcpus(2)), [] {
    if (vcpu() == 1) K_FAIL() << "enough";
    while (true) {
    }
  });
  EXPECT_EQ(failure(told), "Failed\nenough");
}

TEST(Timeout, TellsWhereAllStood) {
  const auto told = tell(Options(vcpus(2), timeout(200ms)), [] {
    for (volatile bool more = true; more;) {
    }
  });
  ASSERT_EQ(told.failures.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& text = told.failures[i].text;
    EXPECT_THAT(text, StartsWith("The test had not ended in time; it was here."));
    EXPECT_THAT(text, HasSubstr("Registers of vCPU " + std::to_string(i)));
    EXPECT_THAT(text, HasSubstr("Timeout_TellsWhereAllStood_Test::TestBody"));
  }
}

TEST(ExpectFailure, PassesWhenTheTestFailsSo) {
  EXPECT_PASSES(tell(Options(expect_failure("Which is: 5|or this")), [] {
    const int number = 5;
    K_EXPECT_EQ(number, 6);
  }));
}

TEST(ExpectFailure, FailsWhenTheTestDoesNot) {
  EXPECT_EQ(failure(tell(Options(expect_failure("this")), [] {})),
            "The test was to fail with 'this', and did not fail.");
}

TEST(ExpectFailure, OtherFailuresAreFailures) {
  EXPECT_EQ(failure(tell(Options(expect_failure("this")), [] { K_ADD_FAILURE() << "that"; })),
            "Failed\nthat");
}

TEST(ExpectFailure, RefusesWhatIsNoRegularExpression) {
  const auto told = tell(Options(expect_failure("(")), [] { K_FAIL(); });
  ASSERT_EQ(told.failures.size(), 2U);
  EXPECT_THAT(told.failures[0].text, StartsWith("'(' is no extended regular expression: "));
}

TEST(Needs, SkipsWhereItIsNot) {
  const auto told = tell(Options(needs(static_cast<kvm::Capability>(99999))), [] { K_FAIL(); });
  EXPECT_EQ(told.reason, "this KVM has no capability 99999");
  EXPECT_EQ(told.failures.size(), 0U);
  EXPECT_PASSES(tell(Options(needs(kvm::Capability::kNrMemslots)), [] {}));
}

TEST(Options, ThatContradictEachOther) {
  const auto error = [](const Options& options) { return failure(tell(options, [] {})); };
  EXPECT_EQ(error(Options(vcpus(0))),
            "The options contradict each other: 0 vCPUs; possible are 1 to 32");
  EXPECT_THAT(error(Options(ram(kRam, 0x2000), mmio(kRam + 0x1000, 0x1000))),
              EndsWith("the range at 0x20001000 meets the one at 0x20000000"));
  EXPECT_THAT(error(Options(expect_vector(1), expect_vector(2))),
              EndsWith("2 ends are expected of one test"));
}

}  // namespace
}  // namespace guestproof::ring0
