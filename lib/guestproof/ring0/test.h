// Tests that run in ring 0 (on aarch64 at EL1) of a virtual machine, as ordinary cases of
// GoogleTest:
//
//   using namespace guestproof::ring0;
//
//   RING0_TEST(PortIo, ReadsWhatTheHostOffers, port(0x1).reads(0xfe)) {
//     K_EXPECT_EQ(inb(0x1), 0xfe);
//   }
//
// The machine finds this process's memory at its addresses, page by page as it touches it, so that
// the body is code like any other, with privileged instructions (guest.h). Options say what else is
// in the machine and how the test is to end (options.h); K_EXPECT_EQ and its kin check (check.h).
// Any failure is one of GoogleTest's, at the file and line where it was; an end that the test does
// not expect tells the registers, the instruction and a backtrace. Where there is no KVM, or it
// lacks what the test needs, the test is skipped.
//
// Each test runs in a copy of the process, as a death test does: what it writes is gone when it
// ends (but for memory that the process shares with others), and the next test is not harmed. What
// it covers counts, for clang and for gcov. AddressSanitizer and UndefinedBehaviorSanitizer find
// errors in it (the latter best when it traps: -fsanitize-trap=undefined, or GCC's
// -fsanitize-undefined-trap-on-error); ThreadSanitizer and MemorySanitizer cannot follow what a
// guest does.
//
// Thread-safety: as GoogleTest's.
#pragma once

#if defined(__SANITIZE_THREAD__)
#define GUESTPROOF_RING0_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GUESTPROOF_RING0_TSAN 1
#endif
#if __has_feature(memory_sanitizer)
#error \
    "guestproof::ring0 cannot be built with MemorySanitizer: it does not see what a guest writes."
#endif
#endif
#ifdef GUESTPROOF_RING0_TSAN
#error \
    "guestproof::ring0 cannot be built with ThreadSanitizer: a guest's thread is none that it knows."
#endif

#include <gtest/gtest.h>

#include <cstdio>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>

#include "guestproof/ring0/check.h"
#include "guestproof/ring0/guest.h"
#include "guestproof/ring0/options.h"
#include "guestproof/ring0/process.h"

namespace guestproof::ring0 {

/// Tells GoogleTest.
class GoogleTestListener : public Listener {
 public:
  void printed(std::string_view text) override {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }
  void failed(const Place& place, const std::string& text) override {
    tell(::testing::TestPartResult::kNonFatalFailure, place, text);
  }
  void skipped(const Place& place, const std::string& reason) override {
    tell(::testing::TestPartResult::kSkip, place, reason);
  }

 private:
  static void tell(::testing::TestPartResult::Type type, const Place& place,
                   const std::string& text) {
    GTEST_MESSAGE_AT_(place.file.c_str(), place.line, text.c_str(), type);
  }
};

/// In the copy of the process that runs a test: GoogleTest's checks in functions that the host
/// calls (of port(), with_vcpu(), ...) are told to the process of the tests.
class GoogleTestForwarder : public ::testing::EmptyTestEventListener {
 public:
  static void start(const Channel& channel) {
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new GoogleTestForwarder(channel));
  }

 private:
  explicit GoogleTestForwarder(const Channel& channel) : channel_(channel) {}
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed()) return;
    const std::string_view file = result.file_name() == nullptr ? "" : result.file_name();
    const std::string_view text = result.message();
    const FailureRecord record{static_cast<std::uint32_t>(result.line_number()),
                               static_cast<std::uint32_t>(file.size()), 0};
    Text cut;
    cut << text;
    const std::array parts{bytes_of(record), bytes_of(file), bytes_of(cut.view())};
    channel_.put(this_guest == nullptr ? 0 : this_guest->vcpu, RecordKind::kFailure, parts);
  }

  const Channel& channel_;
};

/// Calls `body()` in ring 0, in a test that is GoogleTest's own: a parameterised one, say.
template <class F>
void run(const Options& options, F&& body,
         std::source_location place = std::source_location::current()) {
  GoogleTestListener listener;
  const Body called{[](void* argument) { (*static_cast<std::remove_reference_t<F>*>(argument))(); },
                    const_cast<void*>(static_cast<const void*>(&body))};
  serve_and_report(
      options,
      [&](const Channel& channel) {
        GoogleTestForwarder::start(channel);
        serve(options, called, channel);
      },
      Place{place.file_name(), static_cast<int>(place.line())}, listener);
}

#if defined(__GNUC__) && !defined(__clang__)
/// Not called: in code that GCC counts the coverage of, the call of exec() is one that brings with
/// it what makes the copies' counts count (profile.h).
[[gnu::used]] inline int bring_gcov() { return __builtin_execv("", nullptr); }
#endif

}  // namespace guestproof::ring0

// The body is never inlined, so that it is a frame of backtraces, and its traps are not merged with
// those of what calls it. UndefinedBehaviorSanitizer would ask the kernel whether memory is there
// before it looks at an object's type.
#define GUESTPROOF_RING0_TEST(member, suite, name, fixture, ...)                            \
  class suite##_##name##_Ring0 : public fixture {                                           \
   public:                                                                                  \
    void TestBody() override {                                                              \
      using namespace ::guestproof::ring0;                                                  \
      ::guestproof::ring0::run(Options(__VA_ARGS__),                                        \
                               [&]() __attribute__((no_sanitize("vptr"))) { in_ring0(); }); \
    }                                                                                       \
    [[gnu::noinline]] __attribute__((no_sanitize("vptr"))) member void in_ring0();          \
    static ::testing::TestInfo* const kTest;                                                \
  };                                                                                        \
  ::testing::TestInfo* const suite##_##name##_Ring0::kTest =                                \
      ::testing::RegisterTest(#suite, #name, nullptr, nullptr, __FILE__, __LINE__,          \
                              []() -> fixture* { return new suite##_##name##_Ring0; });     \
  void suite##_##name##_Ring0::in_ring0()

/// RING0_TEST(Suite, Name, options...) { body }
#define RING0_TEST(suite, name, ...) \
  GUESTPROOF_RING0_TEST(static, suite, name, ::testing::Test __VA_OPT__(, ) __VA_ARGS__)
/// With a fixture, whose SetUp() and TearDown() run outside of the machine, and whose members the
/// body has as SetUp() left them.
#define RING0_TEST_F(fixture, name, ...) \
  GUESTPROOF_RING0_TEST(, fixture, name, fixture __VA_OPT__(, ) __VA_ARGS__)
