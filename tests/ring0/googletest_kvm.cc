// Tests in ring 0 are GoogleTest's, and so are its flags and its report of them: this program
// starts itself with them, and reads what it says of samples, which are disabled so that nothing
// else runs them.

#include <errno.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "guestproof/ring0/test.h"
#include "ring0/googletest_program.h"
#include "ring0/told.h"
#include "scratch.h"

namespace guestproof::ring0 {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAreArray;

// The samples.

int written_by_samples = 0;

RING0_TEST(DISABLED_Sample, Passes) { K_EXPECT_EQ(1 + 1, 2); }

constexpr int kFails = __LINE__ + 1;
RING0_TEST(DISABLED_Sample, Fails) {
  K_EXPECT_EQ(vcpu(), 1) << "<first> & \"second\"";
  K_ADD_FAILURE() << "again";
}

RING0_TEST(DISABLED_Sample, Skips) { K_SKIP() << "it cannot be done here"; }

RING0_TEST(DISABLED_Sample, Faults) { *reinterpret_cast<volatile int*>(0x1238) = 1; }

RING0_TEST(DISABLED_Sample, Writes) {
  K_EXPECT_EQ(written_by_samples, 0);
  written_by_samples = 1;
}

TEST(DISABLED_AtExit, SaysSo) {
  std::atexit([] { std::printf("the program ends\n"); });
  EXPECT_PASSES(tell(Options(), [] {}));
}

TEST(DISABLED_Sample, OnTheHost) { EXPECT_EQ(written_by_samples, 0); }

class DISABLED_Fixture : public ::testing::Test {
 protected:
  void SetUp() override {
    number_ = 7;
    std::printf("set up with %d\n", number_);
  }
  void TearDown() override { std::printf("torn down with %d\n", number_); }

  int number_ = 0;
};

RING0_TEST_F(DISABLED_Fixture, Stops) {
  kprintf("run with %d\n", number_);
  number_ = 8;
  K_FAIL() << "stopped";
}

class DISABLED_NotSetUp : public ::testing::Test {
 protected:
  void SetUp() override { FAIL() << "not set up"; }
};
RING0_TEST_F(DISABLED_NotSetUp, IsNotRun) { K_ADD_FAILURE() << "it is run"; }

class DISABLED_SkippedByFixture : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_SKIP() << "not on this host"; }
};
RING0_TEST_F(DISABLED_SkippedByFixture, IsNotRun) { K_ADD_FAILURE() << "it is run"; }

class DISABLED_Parameter : public ::testing::TestWithParam<int> {};
constexpr int kOfParameter = __LINE__ + 1;
TEST_P(DISABLED_Parameter, IsNotTwo) {
  SCOPED_TRACE("traced by the caller");
  run(Options(mmio(0x1000'0000, 0x1000).reads(GetParam())), [] {
    const int parameter = *phys<int>(0x1000'0000);
    K_EXPECT_EQ(parameter, GetParam());
    K_EXPECT_NE(parameter, 2);
  });
}
INSTANTIATE_TEST_SUITE_P(Small, DISABLED_Parameter, ::testing::Values(1, 2, 3));

// How they are run.

/// This program.
Ended start_this(std::vector<std::string> flags, std::vector<std::string> variables = {}) {
  flags.insert(flags.begin(), "--gtest_also_run_disabled_tests");
  return start("/proc/self/exe", std::move(flags), std::move(variables));
}

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

class Flags : public ::testing::Test {
 protected:
  /// Starts this program, and reads the report that it writes.
  std::vector<Case> report(std::vector<std::string> flags,
                           std::vector<std::string> variables = {}) {
    const auto path = scratch_.path("report.xml");
    std::filesystem::remove(path);
    flags.push_back("--gtest_output=xml:" + path);
    ended_ = start_this(std::move(flags), std::move(variables));
    return cases_of(contents(path));
  }
  /// The only one.
  Case report_of(const std::string& filter) {
    const auto all = report({"--gtest_filter=" + filter});
    EXPECT_EQ(all.size(), 1U) << ended_.output;
    return all.empty() ? Case() : all.front();
  }

  Scratch scratch_;
  Ended ended_;
};

std::vector<std::string> names(const std::vector<Case>& cases) {
  std::vector<std::string> all;
  for (const auto& each : cases) all.push_back(each.name);
  return all;
}

std::string at(int line) { return std::string(__FILE__) + ':' + std::to_string(line) + '\n'; }

// What they say.

TEST_F(Flags, AFilterChooses) {
  EXPECT_THAT(
      names(report({"--gtest_filter=DISABLED_Sample.*:-*.F*:*.Skips"})),
      ElementsAre("DISABLED_Sample.Passes", "DISABLED_Sample.Writes", "DISABLED_Sample.OnTheHost"));
  EXPECT_EQ(ended_.code, 0);
}

TEST_F(Flags, WhatIsDisabledIsNotRunUnasked) {
  const auto ended =
      start_this({"--gtest_also_run_disabled_tests=0", "--gtest_filter=DISABLED_Sample.*"});
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.output,
              AllOf(HasSubstr("YOU HAVE 6 DISABLED TESTS"), Not(HasSubstr("[ RUN      ]"))));
}

TEST_F(Flags, ShardsRunEveryCaseOnce) {
  const std::string filter = "--gtest_filter=DISABLED_Sample.*:*DISABLED_Parameter*";
  const auto all = names(report({filter}));
  ASSERT_EQ(all.size(), 9U);
  std::vector<std::string> together;
  for (const char* index : {"0", "1", "2", "3"}) {
    const auto shard = names(
        report({filter}, {"GTEST_TOTAL_SHARDS=4", std::string("GTEST_SHARD_INDEX=") + index}));
    EXPECT_THAT(shard.size(), AllOf(::testing::Ge(2U), ::testing::Le(3U)));
    together.insert(together.end(), shard.begin(), shard.end());
  }
  EXPECT_THAT(together, UnorderedElementsAreArray(all));
}

TEST_F(Flags, RepetitionsBeginAnew) {
  const auto ended = start_this({"--gtest_repeat=3", "--gtest_filter=DISABLED_Sample.*s"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_EQ(count(ended.output, "[       OK ] DISABLED_Sample.Passes "), 3U) << ended.output;
  EXPECT_EQ(count(ended.output, "[       OK ] DISABLED_Sample.Writes "), 3U);
  EXPECT_EQ(count(ended.output, "[  SKIPPED ] DISABLED_Sample.Skips "), 3U);
  EXPECT_EQ(count(ended.output, "[  FAILED  ] DISABLED_Sample.Fails "), 3U);
  EXPECT_EQ(count(ended.output, "[  FAILED  ] DISABLED_Sample.Faults "), 3U);
}

TEST_F(Flags, TheFirstFailureCanBeTheLast) {
  const auto ended = start_this({"--gtest_fail_fast", "--gtest_filter=*.Fails:*.Writes"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.output, HasSubstr("[  SKIPPED ] DISABLED_Sample.Writes "));
}

// What the report has.

TEST_F(Flags, APassIsReported) {
  const auto passed = report_of("DISABLED_Sample.Passes");
  EXPECT_EQ(ended_.code, 0);
  EXPECT_EQ(passed.result, "completed");
  EXPECT_THAT(passed.failures, IsEmpty());
  EXPECT_THAT(passed.skips, IsEmpty());
}

TEST_F(Flags, FailuresAreReportedWithTheirPlaces) {
  const auto failed = report_of("DISABLED_Sample.Fails");
  EXPECT_EQ(ended_.code, 1);
  EXPECT_EQ(failed.file, __FILE__);
  EXPECT_EQ(failed.line, std::to_string(kFails));
  EXPECT_EQ(failed.result, "completed");
  EXPECT_THAT(failed.skips, IsEmpty());
  EXPECT_THAT(failed.failures,
              ElementsAre(at(kFails + 1) +
                              "Expected equality of these values:\n  vcpu()\n    Which is: 0\n  1\n"
                              "<first> & \"second\"",
                          at(kFails + 2) + "Failed\nagain"));
}

TEST_F(Flags, ASkipIsReported) {
  const auto skipped = report_of("DISABLED_Sample.Skips");
  EXPECT_EQ(ended_.code, 0);
  EXPECT_EQ(skipped.result, "skipped");
  EXPECT_THAT(skipped.skips, ElementsAre(HasSubstr("it cannot be done here")));
  EXPECT_THAT(skipped.failures, IsEmpty());
}

TEST_F(Flags, AnEndThatNobodyExpectedIsReported) {
  const auto failed = report_of("DISABLED_Sample.Faults");
  EXPECT_EQ(ended_.code, 1);
  EXPECT_THAT(failed.failures,
              ElementsAre(AllOf(::testing::StartsWith(__FILE__),
                                HasSubstr("\nA write at 0x1238, where nothing is mapped.\n"),
                                HasSubstr("\nRegisters of vCPU 0:\n"))));
}

TEST_F(Flags, ParametersAreReported) {
  const auto all = report({"--gtest_filter=*DISABLED_Parameter*"});
  ASSERT_EQ(all.size(), 3U) << ended_.output;
  EXPECT_EQ(all[1].name, "Small/DISABLED_Parameter.IsNotTwo/1");
  EXPECT_THAT(all[1].failures,
              ElementsAre(AllOf(::testing::StartsWith(at(kOfParameter + 5)),
                                HasSubstr("Expected: (parameter) != (2), actual: 2 vs 2"),
                                HasSubstr("traced by the caller"))));
  EXPECT_THAT(all[0].failures, IsEmpty());
  EXPECT_THAT(all[2].failures, IsEmpty());
}

// Fixtures.

TEST_F(Flags, AFixtureIsSetUpAndTornDownOutside) {
  const auto ended = start_this({"--gtest_filter=DISABLED_Fixture.*"});
  EXPECT_THAT(ended.output, ContainsRegex("\nset up with 7\nrun with 7\n[^\n]*: Failure\nFailed\n"
                                          "stopped\n(.*\n)?torn down with 7\n"));
  EXPECT_EQ(count(ended.output, "set up"), 1U);
  EXPECT_EQ(count(ended.output, "torn down"), 1U);
}

TEST_F(Flags, ATestThatIsNotSetUpIsNotRun) {
  EXPECT_THAT(report_of("DISABLED_NotSetUp.*").failures, ElementsAre(HasSubstr("not set up")));
  const auto skipped = report_of("DISABLED_SkippedByFixture.*");
  EXPECT_EQ(skipped.result, "skipped");
  EXPECT_THAT(skipped.failures, IsEmpty());
}

class Fixture : public ::testing::Test {
 protected:
  void SetUp() override {
    EXPECT_EQ(this_guest, nullptr);
    names_ = {"first", "second"};
  }
  void TearDown() override {
    EXPECT_EQ(this_guest, nullptr);
    EXPECT_EQ(written_, 0);
    EXPECT_THAT(names_, ElementsAre("first", "second"));
  }

  std::vector<std::string> names_;
  int written_ = 0;
};

RING0_TEST_F(Fixture, IsVisibleInRing0) {
  K_ASSERT_EQ(names_.size(), 2U);
  K_EXPECT_STREQ(names_[1], "second");
}

RING0_TEST_F(Fixture, IsAsItWasAfterwards) {
  K_EXPECT_EQ(written_, 0);
  written_ = 5;
  names_[0] = "a text that does not fit into the object, but has memory of its own";
  names_.pop_back();
}

TEST_F(Fixture, HasTestsOfTheHostToo) { EXPECT_EQ(names_.size(), 2U); }

// What stays behind.

TEST_F(Flags, TheProgramEndsOnce) {
  const auto ended = start_this({"--gtest_filter=DISABLED_AtExit.*"});
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(count(ended.output, "the program ends\n"), 1U);
}

std::size_t open_files() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST(Runner, ATestLeavesNeitherFilesNorProcessesBehind) {
  EXPECT_PASSES(tell(Options(), [] {}));
  const auto before = open_files();
  EXPECT_PASSES(tell(Options(vcpus(2)), [] {}));
  static_cast<void>(failure(tell(Options(), [] { __builtin_trap(); })));
  EXPECT_EQ(open_files(), before);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

}  // namespace
}  // namespace guestproof::ring0
