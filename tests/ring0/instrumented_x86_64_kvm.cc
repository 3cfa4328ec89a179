// What tests in ring 0 are in programs that sanitizers and coverage have instrumented
// (instrumented/): what is found is named and placed, and what runs is counted.

#include <filesystem>
#include <functional>
#include <map>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

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

std::string source(std::string_view name) {
  return GUESTPROOF_SOURCE "/tests/ring0/instrumented/" + std::string(name);
}
std::string program(std::string_view name) {
  return GUESTPROOF_INSTRUMENTED "/" + std::string(name);
}

#define SKIP_WITHOUT(name)                     \
  if (!std::filesystem::exists(program(name))) \
  GTEST_SKIP() << "there is no " << program(name) << ", for lack of a compiler"

std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> all;
  while (!text.empty()) {
    const auto end = text.find('\n');
    all.emplace_back(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return all;
}

/// Marks `CASE: WHAT` of a source, by case.
struct Mark {
  std::string place;  // how it ends
  std::string what;
};
std::map<std::string, Mark> marks_of(const std::string& name) {
  const std::regex form(".*// (\\w+): (.+)");
  const auto all = lines(contents(source(name)));
  std::map<std::string, Mark> marks;
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::smatch found;
    if (std::regex_match(all[i], found, form))
      marks[found[1]] = {'/' + name + ':' + std::to_string(i + 1), found[2]};
  }
  return marks;
}

class Instrumented : public ::testing::Test {
 protected:
  /// Each case fails once, where a mark of it says and as it does, or passes without one. `chosen`:
  /// of all these alone.
  void expect_marks(std::string_view name, const std::string& source_name,
                    const std::function<std::string(const std::string&)>& sentence,
                    const std::string& chosen = "*") {
    const auto marks = marks_of(source_name);
    const auto path = scratch_.path("report.xml");
    const auto ended =
        start(program(name), {"--gtest_output=xml:" + path, "--gtest_filter=" + chosen});
    EXPECT_EQ(ended.code, 1);
    // What a runtime says of itself, in a process whose test is over.
    EXPECT_THAT(ended.output, Not(HasSubstr("==ERROR: ")));
    std::size_t seen = 0;
    for (const auto& each : cases_of(contents(path))) {
      SCOPED_TRACE(each.name);
      EXPECT_THAT(each.skips, IsEmpty());
      const auto mark = marks.find(each.name.substr(each.name.find('.') + 1));
      if (mark == marks.end()) {
        EXPECT_THAT(each.failures, IsEmpty());
        continue;
      }
      ++seen;
      const auto& [place, what] = mark->second;
      EXPECT_THAT(each.failures,
                  ElementsAre(AllOf(
                      ContainsRegex("^[^\n]*" + place + "\n"), HasSubstr('\n' + sentence(what)),
                      ContainsRegex("\n  #[0-9]+ [^\n]+ at [^\n]*" + place + "(\n|$)"),
                      Not(HasSubstr("ring0/test.h")))));
    }
    if (chosen == "*")
      EXPECT_EQ(seen, marks.size()) << ended.output;
    else
      EXPECT_GE(seen, 2U) << ended.output;
  }

  Scratch scratch_;
};

// Undefined behaviour.

TEST_F(Instrumented, TrapsOfClangAreNamedAndPlaced) {
  SKIP_WITHOUT("clang/traps");
  expect_marks("clang/traps", "undefined.cc", [](const std::string& what) {
    return "UndefinedBehaviorSanitizer: " + what + ".\n";
  });
}

TEST_F(Instrumented, TrapsOfGccArePlaced) {
  SKIP_WITHOUT("gcc/traps");
  expect_marks(
      "gcc/traps", "undefined.cc",
      [](const std::string&) {
        return "The instruction is ud2: __builtin_trap(), or UndefinedBehaviorSanitizer in trap "
               "mode.";
      },
      "*.Addition:*.Null:*.Unreachable:*.NothingIs");
}

TEST_F(Instrumented, WhatTheRuntimeFindsIsPlaced) {
  SKIP_WITHOUT("clang/undefined");
  expect_marks(
      "clang/undefined", "undefined.cc",
      [](const std::string&) {
        return "UndefinedBehaviorSanitizer has found an error (__ubsan_handle_";
      },
      "*.Addition:*.Index:*.NothingIs");
}

// Memory.

TEST_F(Instrumented, WhatClangsAddressSanitizerFindsIsPlaced) {
  SKIP_WITHOUT("clang/address");
  expect_marks("clang/address", "address.cc", [](const std::string& what) {
    return "AddressSanitizer has found an error (" + (what == "mem" ? "" : what + ")");
  });
}

TEST_F(Instrumented, WhatGccsAddressSanitizerFindsIsPlaced) {
  SKIP_WITHOUT("gcc/address");
  expect_marks(
      "gcc/address", "address.cc",
      [](const std::string& what) {
        return "AddressSanitizer has found an error (" + (what == "mem" ? what : what + ")");
      },
      "*.HeapOverflow:*.OfALibraryFunction:*.NothingIs*");
}

// Coverage.

class Coverage : public Instrumented {
 protected:
  /// In the scratch folder.
  void run(const std::string& name, const std::string& variable = "GUESTPROOF_NONE=") {
    const auto ended = start(program(name), {}, {variable}, scratch_.path(""));
    ASSERT_EQ(ended.code, 0) << ended.output;
  }
  std::string output_of(const std::string& tool, std::vector<std::string> arguments,
                        const std::string& folder = ".") {
    const auto ended = start(tool, std::move(arguments), {}, folder);
    EXPECT_EQ(ended.code, 0) << ended.output;
    return ended.output;
  }
  std::string llvm_report(const std::string& profile) {
    const auto merged = scratch_.path("merged");
    output_of("llvm-profdata-19", {"merge", scratch_.path(profile), "-o", merged});
    return output_of("llvm-cov-19", {"show", program("clang/coverage"), "-show-mcdc",
                                     "-instr-profile=" + merged, source("coverage.cc")});
  }
};

using Counts = std::map<std::string, std::string>;  // by the number of a line

/// Those of the marks `N times`.
Counts wanted_counts() {
  const std::regex form(".*// (\\d+) times");
  const auto all = lines(contents(source("coverage.cc")));
  Counts counts;
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::smatch found;
    if (std::regex_match(all[i], found, form)) counts[std::to_string(i + 1)] = found[1];
  }
  return counts;
}

/// What a report has of these lines. `form` matches the number of a line and its count, in groups
/// of these indices.
Counts counts_of(const std::string& report, const Counts& wanted, const std::regex& form,
                 std::size_t line_group, std::size_t count_group) {
  Counts counts;
  for (const auto& line : lines(report)) {
    std::smatch found;
    if (!std::regex_search(line, found, form) || !wanted.contains(found[line_group])) continue;
    const auto count = found[count_group].str();
    counts.emplace(found[line_group], count == "#####" ? "0" : count);
  }
  return counts;
}
Counts counts_of_llvm(const std::string& report) {
  return counts_of(report, wanted_counts(), std::regex("^ *(\\d+)\\| *(\\d+)\\|"), 1, 2);
}
Counts counts_of_gcov(const std::string& report) {
  return counts_of(report, wanted_counts(), std::regex("^ *(\\d+|#####)\\*?: *(\\d+):"), 2, 1);
}

#define SKIP_WITHOUT_TOOL(name) \
  if (start(name, {"--version"}).code != 0) GTEST_SKIP() << "there is no " << name

TEST_F(Coverage, OfClangCountsWhatRunsInRing0) {
  SKIP_WITHOUT("clang/coverage");
  SKIP_WITHOUT_TOOL("llvm-cov-19");
  run("clang/coverage");
  const auto report = llvm_report("default.profraw");
  EXPECT_EQ(counts_of_llvm(report), wanted_counts()) << report;
  // Two of the three combinations of conditions were in ring 0.
  EXPECT_THAT(report, HasSubstr("MC/DC Coverage for Decision: 100.00%"));
}

TEST_F(Coverage, OfClangCountsInTheProfileItself) {
  SKIP_WITHOUT("clang/coverage");
  SKIP_WITHOUT_TOOL("llvm-cov-19");
  run("clang/coverage", "LLVM_PROFILE_FILE=" + scratch_.path("continuous%c.profraw"));
  const auto report = llvm_report("continuous.profraw");
  EXPECT_EQ(counts_of_llvm(report), wanted_counts()) << report;
}

TEST_F(Coverage, OfGccCountsWhatRunsInRing0) {
  SKIP_WITHOUT("gcc/coverage");
  SKIP_WITHOUT_TOOL("gcov");
  run("gcc/coverage", "GCOV_PREFIX=" + scratch_.path("gcov"));
  const auto objects = program("gcc/CMakeFiles/coverage.dir/");
  const auto folder = scratch_.path("gcov") + objects;
  std::filesystem::copy(objects + "coverage.cc.gcno", folder);
  // Sources may be named from where they were compiled.
  const auto all = output_of("gcov", {"--stdout", folder + "coverage.cc.gcda"}, program("gcc"));
  const std::string_view mark = "0:Source:";
  const auto begin = all.find("/coverage.cc\n");
  ASSERT_NE(begin, all.npos) << all;
  const auto report = all.substr(begin, all.find(mark, begin) - begin);
  EXPECT_EQ(counts_of_gcov(report), wanted_counts()) << report;
}

}  // namespace
}  // namespace guestproof::ring0
