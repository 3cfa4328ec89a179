// What the user sees of each kind of failure, on every architecture.

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "guestproof/ring0/test.h"
#include "ring0/out_of_reach.h"
#include "ring0/told.h"

namespace guestproof::ring0 {
namespace {

using ::testing::ContainsRegex;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Checks.

TEST(Checks, ThatHoldSayNothing) {
  EXPECT_PASSES(tell(Options(), [] {
    const std::string_view text = "text";
    K_EXPECT_TRUE(1 + 1 == 2);
    K_EXPECT_FALSE(1 + 1 == 3);
    K_EXPECT_EQ(2, 1U + 1);
    K_EXPECT_NE(-1, 0xffffffffU);
    K_EXPECT_LT(-1, 0U);
    K_EXPECT_LE(1, 1);
    K_EXPECT_GT(1U, -1);
    K_EXPECT_GE(2, 2);
    K_EXPECT_STREQ("text", text);
    K_ASSERT_TRUE(true);
    K_ASSERT_FALSE(false);
    K_ASSERT_EQ(text, "text");
    K_ASSERT_NE(1, 2);
    K_ASSERT_LT(1, 2);
    K_ASSERT_LE(1, 2);
    K_ASSERT_GT(2, 1);
    K_ASSERT_GE(2, 1);
    K_ASSERT_STREQ("a", "a");
  }));
}

TEST(Checks, TellTheOperands) {
  const auto told = tell(Options(), [] {
    const int three = 3;
    const std::uint64_t large = 0x1000;
    const char* name = "guest";
    K_EXPECT_EQ(three, 4);
    K_EXPECT_EQ(large, 0x1001U) << "page " << 7;
    K_EXPECT_TRUE(three == 4);
    K_EXPECT_LT(three, 3) << three;
    K_EXPECT_STREQ(name, "host");
    K_EXPECT_NE(name, nullptr);
    K_EXPECT_EQ(three > 2, false);
    K_ADD_FAILURE() << "because";
  });
  std::vector<std::string> texts;
  for (const auto& failure : told.failures) texts.push_back(failure.text);
  EXPECT_THAT(texts, ::testing::ElementsAre(
                         "Expected equality of these values:\n  three\n    Which is: 3\n  4",
                         "Expected equality of these values:\n  large\n    Which is: 4096 (0x1000)"
                         "\n  0x1001U\n    Which is: 4097 (0x1001)\npage 7",
                         "Value of: three == 4\n  Actual: false\nExpected: true",
                         "Expected: (three) < (3), actual: 3 vs 3\n3",
                         "Expected equality of these values:\n  name\n    Which is: \"guest\"\n"
                         "  \"host\"",
                         "Expected equality of these values:\n  three > 2\n    Which is: true\n"
                         "  false",
                         "Failed\nbecause"));
}

TEST(Checks, AreWhereTheyStand) {
  const int line = __LINE__ + 1;
  const auto told = tell(Options(), [] { K_EXPECT_EQ(1, 2); });
  ASSERT_EQ(told.failures.size(), 1U);
  EXPECT_THAT(told.failures[0].place.file, EndsWith("ring0/failures_kvm.cc"));
  EXPECT_EQ(told.failures[0].place.line, line);
}

struct Pair {
  int first;
  int second;
  friend bool operator==(const Pair&, const Pair&) = default;
};
struct Named {
  int number;
  friend bool operator==(const Named&, const Named&) = default;
  friend void print_to(Text& text, const Named& named) { text << "number " << named.number; }
};

TEST(Checks, ShowTypesOfTheUser) {
  const auto told = tell(Options(), [] {
    const Named one{1}, two{2};
    K_EXPECT_EQ(one, two);
    const Pair pair{1, 2};
    K_EXPECT_TRUE((pair == Pair{1, 3}));
    K_EXPECT_EQ(pair, (Pair{1, 3}));
  });
  ASSERT_EQ(told.failures.size(), 3U);
  EXPECT_THAT(told.failures[0].text, HasSubstr("Which is: number 2"));
  EXPECT_THAT(told.failures[2].text,
              HasSubstr("Which is: 8-byte object <01 00 00 00 03 00 00 00>"));
}

TEST(Checks, AssertionsEndTheTestFromAnyDepth) {
  const auto told = tell(Options(), [] {
    const auto deep = [](auto& self, int depth) -> void {
      if (depth > 0) return self(self, depth - 1);
      K_ASSERT_EQ(depth, 1) << "stop";
    };
    deep(deep, 10);
    K_ADD_FAILURE() << "not reached";
  });
  EXPECT_EQ(failure(told),
            "Expected equality of these values:\n  depth\n    Which is: 0\n  1\nstop");
}

TEST(Checks, FailAndSkipEndTheTest) {
  EXPECT_EQ(failure(tell(Options(),
                         [] {
                           K_FAIL() << "at once";
                           K_ADD_FAILURE() << "not reached";
                         })),
            "Failed\nat once");
  const auto told = tell(Options(), [] {
    K_SKIP() << "no " << 5 << " of them";
    K_ADD_FAILURE() << "not reached";
  });
  EXPECT_EQ(told.reason, "no 5 of them");
  EXPECT_TRUE(told.failures.empty());
}

TEST(Checks, DoNotTakeTheElseOfTheirUser) {
  EXPECT_PASSES(tell(Options(), [] {
    if (vcpu() != 0)
      K_EXPECT_EQ(1, 2);
    else
      K_EXPECT_EQ(1, 1);
  }));
}

TEST(Checks, TextThatIsTooLongIsCutOff) {
  const std::string longer(3 * Text::kCapacity, 'x');
  const auto text = failure(tell(Options(), [&] { K_FAIL() << longer.c_str(); }));
  EXPECT_EQ(text.size(), Text::kCapacity);
  EXPECT_THAT(text, EndsWith("xxx [...]"));
}

// Printing.

TEST(Kprintf, Prints) {
  const auto told = tell(Options(), [] { kprintf("%s %5.2f %#x\n", "pi", 3.14159, 255); });
  EXPECT_EQ(told.output, "pi  3.14 0xff\n");
}

TEST(Kprintf, NothingIsLostOfMoreThanTheRingHolds) {
  constexpr int kLines = 5'000;
  const auto told = tell(Options(), [] {
    for (int i = 0; i < kLines; ++i) kprintf("line %d\n", i);
    K_ADD_FAILURE() << "behind all of them";
  });
  std::string wanted;
  for (int i = 0; i < kLines; ++i) wanted += "line " + std::to_string(i) + '\n';
  EXPECT_TRUE(told.output == wanted) << told.output.size();
  EXPECT_EQ(failure(told), "Failed\nbehind all of them");
}

TEST(Kprintf, ALineThatIsTooLongIsCutOff) {
  const std::string longer(3 * Text::kCapacity, 'x');
  const auto told = tell(Options(), [&] { kprintf("%s", longer.c_str()); });
  EXPECT_EQ(told.output.size(), Text::kCapacity);
  EXPECT_THAT(told.output, EndsWith("xxx [...]"));
}

TEST(Kprintf, OfSeveralVcpusAtOnce) {
  const auto told = tell(Options(vcpus(3)), [] {
    for (int i = 0; i < 500; ++i) kprintf("%c\n", static_cast<char>('a' + vcpu()));
  });
  for (const char letter : {'a', 'b', 'c'}) EXPECT_EQ(std::ranges::count(told.output, letter), 500);
}

// Exceptions that nobody expects.

TEST(Exceptions, TellWhatWhereAndWho) {
  const auto text = failure(tell(Options(), [] { *reinterpret_cast<volatile int*>(0x1238) = 1; }));
  EXPECT_THAT(text, ContainsRegex("^The test ended with (page fault|data abort) "));
  EXPECT_THAT(text, HasSubstr("\nA write at 0x1238, where nothing is mapped.\n"));
  EXPECT_THAT(text, HasSubstr("\nRegisters of vCPU 0:\n  "));
  EXPECT_THAT(text, ContainsRegex("\nInstruction:( [0-9a-f]{2})+\n"));
  EXPECT_THAT(text, HasSubstr("\nBacktrace:\n  #0 guestproof::ring0::(anonymous namespace)::"
                              "Exceptions_TellWhatWhereAndWho_Test::TestBody()"));
}

[[gnu::noinline]] void innermost(volatile int* at) {
  *at = 1;
  asm volatile("");
}
[[gnu::noinline]] void between(volatile int* at) {
  innermost(at);
  asm volatile("");
}

TEST(Exceptions, HaveABacktraceOfAllCalls) {
  const auto text = failure(tell(Options(), [] { between(nullptr); }));
  EXPECT_THAT(text, ContainsRegex("#0 [^\n]*innermost\\(int volatile\\*\\)[^\n]*\n"
                                  "  #1 [^\n]*between\\(int volatile\\*\\)[^\n]*\n"
                                  "  #2 [^\n]*TestBody"));
}

TEST(Exceptions, ACallOfNothingIsToldByItsCaller) {
  const auto text = failure(tell(Options(), [] { reinterpret_cast<void (*)()>(0x10)(); }));
  EXPECT_THAT(text, HasSubstr("\nExecution at 0x10, where nothing is mapped.\n"));
  EXPECT_THAT(text, ContainsRegex("#1 [^\n]*TestBody"));
}

TEST(Exceptions, ArePlacedInCodeThatIsAtHand) {
  // The second: the C++ library's header has the access. Where there are no lines it is the test's.
  const auto own = ::testing::AnyOf(EndsWith("ring0/failures_kvm.cc"), ::testing::Eq("the test"));
  const auto library = tell(Options(), [] { write_in_a_library(nullptr); });
  static_cast<void>(failure(library));
  EXPECT_THAT(library.failures[0].place.file, own);
  const auto header = tell(Options(), [] {
    K_EXPECT_EQ(reinterpret_cast<const std::vector<char>*>(std::uintptr_t{0x1000})->size(), 0U);
  });
  EXPECT_THAT(failure(header), HasSubstr("A read at 0x100"));
  EXPECT_THAT(header.failures[0].place.file, own);
}

TEST(Exceptions, ConstantsCannotBeWritten) {
  static const int constant = 5;
  const auto text = failure(tell(Options(), [] {
    static_cast<void>(*const_cast<volatile const int*>(&constant));
    *const_cast<volatile int*>(&constant) = 6;
  }));
  EXPECT_THAT(text, HasSubstr("A write at " + hex(reinterpret_cast<std::uint64_t>(&constant)) +
                              ", which is mapped without that right."));
}

TEST(Exceptions, DataCannotBeExecuted) {
  static std::array<std::uint8_t, 16> data{};
  const auto text = failure(tell(Options(), [] { reinterpret_cast<void (*)()>(data.data())(); }));
  EXPECT_THAT(text,
              ContainsRegex("\nExecution at 0x[0-9a-f]+, which is mapped without that right"));
}

TEST(Exceptions, AnOverflowOfTheStackIsCalledThat) {
  const auto text = failure(tell(Options(), [] {
    const auto deep = [](auto& self, volatile char* before) -> void {
      std::array<volatile char, 512> frame;
      frame[0] = before[0];
      if (vcpu() == 0) self(self, frame.data());
      before[0] = frame[0];
    };
    volatile char first = 0;
    deep(deep, &first);
  }));
  EXPECT_THAT(text, HasSubstr("\nThe stack of the test has overflowed. "));
}

TEST(Exceptions, ASystemCallIsCalledThat) {
  const auto text = failure(tell(Options(), [] { std::abort(); }));
  EXPECT_THAT(text, ContainsRegex("\nThe test made system call [0-9]+; (in ring 0|at EL1) there is "
                                  "no kernel below it\\.\n"));
  EXPECT_THAT(text, HasSubstr("abort"));
}

TEST(Exceptions, ATrapOfTheCompilerIsCalledThat) {
  const auto text = failure(tell(Options(), [] { __builtin_trap(); }));
  EXPECT_THAT(text, ContainsRegex("\nThe instruction is (ud2|brk #1000): __builtin_trap\\(\\), or "
                                  "UndefinedBehaviorSanitizer in trap mode\\.\n"));
}

// Functions of the test that the host calls.

constexpr std::uint64_t kDevice = 0x1000'0000;
void touch_device() { *phys<std::uint32_t>(kDevice) = 5; }
template <class F>
Options with_handler(F handler) {
  return Options(mmio(kDevice, 0x1000).writes(handler));
}

TEST(Functions, ThatThrowAreAFailure) {
  EXPECT_THAT(failure(tell(with_handler([](std::uint64_t, std::size_t, std::uint64_t) {
                             throw std::runtime_error("no such thing");
                           }),
                           touch_device)),
              StartsWith("The test could not go on: no such thing"));
  EXPECT_THAT(
      failure(tell(Options(with_vm([](kvm::Vm&) { throw std::runtime_error("no such machine"); })),
                   [] {})),
      StartsWith("The test could not be run: no such machine"));
  EXPECT_PASSES(tell(Options(), [] {}));
}

TEST(Functions, MayUseTheChecksOfRing0) {
  const auto told = tell(with_handler([](std::uint64_t, std::size_t, std::uint64_t value) {
                           for (int i = 0; i < 700; ++i) K_EXPECT_EQ(value, 6U);
                           K_ASSERT_EQ(value, 7U) << "and ends it";
                         }),
                         [] {
                           touch_device();
                           K_ADD_FAILURE() << "not reached";
                         });
  ASSERT_EQ(told.failures.size(), 701U);
  EXPECT_THAT(told.failures.back().text, EndsWith("and ends it"));
}

TEST(Functions, AreCalledOneAtATime) {
  static std::atomic<int> inside = 0;
  const auto stays = [](std::uint64_t, std::size_t, std::uint64_t) {
    EXPECT_EQ(++inside, 1);
    for (int i = 0; i < 100; ++i) std::this_thread::yield();
    --inside;
  };
  EXPECT_PASSES(tell(Options(vcpus(3), mmio(kDevice, 0x1000).writes(stays)), [] {
    for (int i = 0; i < 20; ++i) touch_device();
  }));
}

TEST(Functions, ThatHangAreEnded) {
  const auto text = failure(
      tell(Options(timeout(std::chrono::milliseconds(100)),
                   mmio(kDevice, 0x1000).writes([](std::uint64_t, std::size_t, std::uint64_t) {
                     while (true) ::pause();
                   })),
           touch_device));
  EXPECT_THAT(text, HasSubstr("it was killed, because it did not end"));
}

TEST(Functions, TellOfOftenTheSameIsFastAndHasAnEnd) {
  const auto told = tell(Options(mmio(kDevice, 0x1000).expects()), [] {
    while (true) touch_device();
  });
  ASSERT_GT(told.failures.size(), 1000U);
  EXPECT_LT(told.failures.size(), 1010U);
  EXPECT_THAT(told.failures.back().text,
              HasSubstr("it was killed, because it has failed so often"));
}

// GoogleTest's own checks, in functions that the host calls.

TEST(HostChecks, AreFailuresOfTheTest) {
  const int line = __LINE__ + 2;
  const auto in_handler = [](std::uint64_t, std::size_t, std::uint64_t value) {
    EXPECT_EQ(value, 6U) << "on the host";
  };
  const auto told = tell(Options(mmio(0x1000'0000, 0x1000).writes(in_handler)),
                         [] { *phys<std::uint32_t>(0x1000'0000) = 5; });
  EXPECT_THAT(failure(told), HasSubstr("on the host"));
  ASSERT_EQ(told.failures.size(), 1U);
  EXPECT_THAT(told.failures[0].place.file, EndsWith("ring0/failures_kvm.cc"));
  EXPECT_EQ(told.failures[0].place.line, line);
}

// They take the heap and more of the C++ library than K_EXPECT_EQ does, but no system call.
TEST(HostChecks, WorkInRing0AsWell) {
  const auto told = tell(Options(), [] {
    EXPECT_EQ(1, 2) << "in ring 0";
    K_EXPECT_EQ(3, 4);
  });
  ASSERT_EQ(told.failures.size(), 2U);
  EXPECT_THAT(told.failures[0].text, HasSubstr("in ring 0"));
}

TEST(HostChecks, BeforeTheGuestRuns) {
  EXPECT_THAT(failure(tell(Options(with_vcpu([](kvm::Vcpu&, std::uint32_t index) {
                             EXPECT_EQ(index, 1U) << "the vCPU is there";
                           })),
                           [] {})),
              HasSubstr("the vCPU is there"));
  EXPECT_THAT(
      failure(tell(Options(with_vm([](kvm::Vm&) { ADD_FAILURE() << "the machine is"; })), [] {})),
      HasSubstr("the machine is"));
}

// Memory.

TEST(Memory, HeapStackAndStaticsAreThisProcesss) {
  const std::vector<int> numbers{1, 2, 3};
  const auto on_heap = std::make_unique<std::string>("a text that has its own memory on the heap");
  EXPECT_PASSES(tell(Options(), [&] {
    K_EXPECT_EQ(numbers.size(), 3U);
    K_EXPECT_EQ(numbers[2], 3);
    K_EXPECT_STREQ(*on_heap, "a text that has its own memory on the heap");
    const auto made = std::make_unique<std::vector<std::uint64_t>>(100'000, 7);
    K_EXPECT_EQ(made->back(), 7U);
    std::string grows;
    for (int i = 0; i < 10'000; ++i) grows += "more";
    K_EXPECT_EQ(grows.size(), 40'000U);
  }));
}

TEST(Memory, ExceptionsOfTheLanguageWork) {
  EXPECT_PASSES(tell(Options(), [] {
    int caught = 0;
    try {
      throw 42;
    } catch (const int number) {
      caught = number;
    }
    K_EXPECT_EQ(caught, 42);
  }));
}

TEST(Memory, FloatingPointWorks) {
  EXPECT_PASSES(tell(Options(), [] {
    volatile double two = 2;
    K_EXPECT_EQ(__builtin_sqrt(two) * __builtin_sqrt(two) > 1.999, true);
  }));
}

TEST(Memory, MadeAfterTheGuestStartedIsFound) {
  // A device's handler runs on the host, and maps it while the guest waits.
  EXPECT_PASSES(tell(Options(mmio(0x1000'0000, 0x1000).reads([](std::uint64_t, std::size_t) {
                       void* const made = ::mmap(nullptr, 4 << 20, PROT_READ | PROT_WRITE,
                                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                       *static_cast<int*>(made) = 77;
                       return reinterpret_cast<std::uint64_t>(made);
                     })),
                     [] {
                       auto* const made =
                           reinterpret_cast<volatile int*>(*phys<std::uint64_t>(0x1000'0000));
                       K_EXPECT_EQ(*made, 77);
                       made[(4 << 20) / sizeof *made - 1] = 1;
                     }));
}

TEST(Memory, RightsThatAreGivenLaterCount) {
  static void* page;
  page = ::mmap(nullptr, 0x1000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_PASSES(tell(Options(mmio(0x1000'0000, 0x1000).reads([](std::uint64_t, std::size_t) {
                       return ::mprotect(page, 0x1000, PROT_READ | PROT_WRITE) == 0 ? 1ULL : 0;
                     })),
                     [] {
                       auto* const word = static_cast<volatile int*>(page);
                       K_EXPECT_EQ(*word, 0);
                       K_ASSERT_EQ(*phys<std::uint8_t>(0x1000'0000), 1);
                       *word = 5;
                       K_EXPECT_EQ(*word, 5);
                     }));
  ::munmap(page, 0x1000);
}

// One test harms neither the next nor the runner.

int shared_number = 1;

TEST(Isolation, WhatATestWritesIsGone) {
  EXPECT_PASSES(tell(Options(), [] { shared_number = 2; }));
  EXPECT_EQ(shared_number, 1);
  EXPECT_PASSES(tell(Options(), [] { K_EXPECT_EQ(shared_number, 1); }));
}

TEST(Isolation, ATestThatDestroysTheRunnerDestroysACopy) {
  const auto told = tell(Options(), [] {
    // All of GoogleTest, and what serves this very guest.
    auto* const runner =
        reinterpret_cast<volatile std::uint8_t*>(::testing::UnitTest::GetInstance());
    for (std::size_t i = 0; i < 4096; ++i) runner[i] = 0xaa;
    K_ADD_FAILURE() << "it is done";
  });
  EXPECT_EQ(failure(told), "Failed\nit is done");
  EXPECT_PASSES(tell(Options(), [] {}));
}

TEST(Isolation, ARingThatIsOverwrittenIsAFailure) {
  const auto told = tell(Options(), [] {
    this_guest->channel->rings()[0].written = 1'000'000'000;
    stop();
  });
  EXPECT_EQ(failure(told),
            "The ring of records is broken: 1000000000 bytes wait to be read in a ring of 65536.");
}

TEST(Isolation, ARingThatIsClearedIsAFailure) {
  const auto told = tell(Options(), [] {
    K_ADD_FAILURE() << "lost";
    std::memset(static_cast<void*>(&this_guest->channel->rings()[0]), 0, sizeof(Ring));
  });
  EXPECT_THAT(failure(told), StartsWith("The ring of records is broken: record 1 of a ring"));
}

TEST(Isolation, AStopWithoutAFailureIsOne) {
  EXPECT_EQ(failure(tell(Options(), [] { stop(); })),
            "The test was stopped, and no check has failed.");
  EXPECT_EQ(failure(tell(Options(expect_vector(3)), [] { stop(); })),
            "The test was stopped, and no check has failed.");
}

TEST(Isolation, WhatWasExpectedIsMissedThoughTheHeapIsGone) {
  const auto told = tell(Options(mmio(kDevice, 0x1000).expects(1)), [] {
    auto* const heap = static_cast<std::byte*>(::sbrk(0)) - 50'000;
    std::memset(heap, 0x41, 50'000);
  });
  EXPECT_FALSE(told.failures.empty());
}

TEST(Isolation, ASkipIsNoneOfWhatWasExpected) {
  const auto told = tell(Options(mmio(kDevice, 0x1000).expects(1)), [] { K_SKIP() << "not here"; });
  EXPECT_EQ(told.reason, "not here");
  EXPECT_TRUE(told.failures.empty());
}

TEST(Isolation, OfManyVcpusOneMaySpin) {
  const auto told = tell(Options(vcpus(16), timeout(std::chrono::milliseconds(1500))), [] {
    while (vcpu() == 15) {
    }
  });
  EXPECT_THAT(failure(told), StartsWith("The test had not ended in time; it was here."));
}

TEST(Isolation, ATimeOutIsOneThoughTheProgramBlocksSignals) {
  ::sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const auto told = tell(Options(timeout(std::chrono::milliseconds(200))), [] {
    for (volatile bool more = true; more;) {
    }
  });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_THAT(failure(told), StartsWith("The test had not ended in time; it was here."));
}

TEST(Isolation, AServerThatIsKilledIsAFailure) {
  const auto told = tell(Options(mmio(0x1000'0000, 0x1000).reads([](std::uint64_t, std::size_t) {
                           std::abort();
                           return 0ULL;
                         })),
                         [] {
                           kprintf("before\n");
                           static_cast<void>(*phys<std::uint32_t>(0x1000'0000));
                         });
  EXPECT_EQ(told.output, "before\n");
  EXPECT_EQ(failure(told),
            "The process that ran the test ended before the test did: by signal 6 (Aborted).");
}

TEST(Isolation, ACallThatIsNoneIsAFailure) {
  const auto text = failure(tell(Options(), [] { call(static_cast<Call>(77)); }));
  EXPECT_THAT(text, ContainsRegex("\\(0x4d\\), which nobody expects"));
}

}  // namespace
}  // namespace guestproof::ring0
