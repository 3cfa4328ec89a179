// What a reporter makes of records that a wild guest could have written, too.
#include "guestproof/ring0/report.h"

#include <cstring>

#include "guestproof/ring0/end.h"
#include "ring0/told.h"

namespace guestproof::ring0 {
namespace {

using ::testing::HasSubstr;

Record record(RecordKind kind, std::string_view bytes) {
  const auto all = bytes_of(bytes);
  return {kind, {all.begin(), all.end()}};
}
template <class T>
std::string_view raw(const T& object) {
  return {reinterpret_cast<const char*>(&object), sizeof object};
}

Told report(const Options& options, std::initializer_list<Record> records,
            std::string_view how = "with exit code 0") {
  Told told;
  Reporter reporter(options, {"the test", 1}, told);
  for (const auto& each : records) reporter.take(each);
  reporter.finish(how, how == "with exit code 0");
  return told;
}
Told report(std::initializer_list<Record> records) { return report(Options(), records); }

const EndRecord kDone{.kind = EndKind::kReturned};

TEST(Reporter, SaysNothingOfATestThatReturns) {
  const auto told = report({record(RecordKind::kEnd, raw(kDone))});
  EXPECT_TRUE(told.failures.empty());
  EXPECT_EQ(told.reason, "");
}

TEST(Reporter, NamesTheEndOfAProcessThatEndedFirst) {
  EXPECT_EQ(failure(report(Options(), {}, "by signal 9 (Killed)")),
            "The process that ran the test ended before the test did: by signal 9 (Killed).");
}

TEST(Reporter, AProcessThatDiesBehindTheTestIsAFailure) {
  EXPECT_EQ(failure(report(Options(), {record(RecordKind::kEnd, raw(kDone))},
                           "by signal 11 (Segmentation fault)")),
            "The process that ran the test ended behind the test: by signal 11 (Segmentation "
            "fault).");
}

TEST(Reporter, AStopWithoutAReasonIsAFailure) {
  const EndRecord end{.kind = EndKind::kStopped};
  EXPECT_EQ(failure(report({record(RecordKind::kEnd, raw(end))})),
            "The test was stopped, and no check has failed.");
}

TEST(Reporter, HasEnoughOfFailures) {
  Told told;
  const Options options;
  Reporter reporter(options, {"the test", 1}, told);
  const FailureRecord at{7, 4, 0};
  while (!reporter.has_enough())
    reporter.take(record(RecordKind::kFailure, std::string(raw(at)) + "filetext"));
  EXPECT_EQ(told.failures.size(), Reporter::kMostFailures);
}

TEST(Reporter, KeepsTheOrder) {
  const FailureRecord at{7, 4, 0};
  const auto told =
      report({record(RecordKind::kText, "before "),
              record(RecordKind::kFailure, std::string(raw(at)) + "filetext"),
              record(RecordKind::kText, "behind"), record(RecordKind::kEnd, raw(kDone))});
  EXPECT_EQ(told.output, "before behind");
  EXPECT_EQ(failure(told), "text");
  EXPECT_EQ(told.failures[0].place.file, "file");
  EXPECT_EQ(told.failures[0].place.line, 7);
}

TEST(Reporter, RecordsThatAreCutOffAreFailures) {
  for (std::size_t size = 0; size < sizeof(FailureRecord); ++size)
    EXPECT_THAT(report({record(RecordKind::kFailure, std::string(size, 0))}).failures[0].text,
                HasSubstr("a failure that is cut off"));
  const FailureRecord longer{7, 5, 0};
  EXPECT_THAT(
      report({record(RecordKind::kFailure, std::string(raw(longer)) + "file")}).failures[0].text,
      HasSubstr("a failure that is cut off"));
  EXPECT_THAT(
      report({record(RecordKind::kEnd, std::string(sizeof(EndRecord) - 1, 0))}).failures[0].text,
      HasSubstr("an end that is cut off"));
}

TEST(Reporter, ARecordOfNoKindIsAFailure) {
  EXPECT_EQ(report({record(static_cast<RecordKind>(77), ""), record(RecordKind::kEnd, raw(kDone))})
                .failures[0]
                .text,
            "The ring of records has a record of the unknown kind 77");
}

TEST(Reporter, NumbersThatCannotBeAreTaken) {
  EndRecord end{.kind = static_cast<EndKind>(99), .vector = 0xffffffff, .instruction_length = 999};
  EXPECT_THAT(failure(report({record(RecordKind::kEnd, raw(end)),
                              record(RecordKind::kBacktrace, std::string(13, 'x'))})),
              HasSubstr("The test ended in a way that has no name"));
}

TEST(Reporter, ABacktraceWithoutAnEndIsNothing) {
  EXPECT_TRUE(report({record(RecordKind::kBacktrace, std::string(64, 'x')),
                      record(RecordKind::kEnd, raw(kDone))})
                  .failures.empty());
}

TEST(Reporter, ASkipIsNoFailureAndNeedsNoEnd) {
  const auto told = report(Options(expect_failure("x")), {record(RecordKind::kSkip, "no KVM")});
  EXPECT_EQ(told.reason, "no KVM");
  EXPECT_TRUE(told.failures.empty());
}

TEST(Reporter, WhatAnEmulatingKvmLacksIsASkipThatNamesIt) {
  EndRecord end{.kind = EndKind::kInstruction, .instruction_length = 4, .emulates = true};
#if defined(__x86_64__)
  end.instruction = {0x48, 0x0f, 0xc7, 0x0f};
  EXPECT_EQ(report({record(RecordKind::kEnd, raw(end))}).reason,
            "this KVM emulates guest code, and cannot execute 48 0f c7 0f (cmpxchg16b)");
#endif
  end.emulates = false;
  EXPECT_EQ(headline(report({record(RecordKind::kEnd, raw(end))})),
            "KVM cannot execute the instruction.");
}

TEST(Reporter, AnErrorOfTheHostIsTold) {
  const EndRecord end{.kind = EndKind::kHost};
  EXPECT_EQ(failure(report({record(RecordKind::kEnd, std::string(raw(end)) + "no memory")})),
            "The test could not be run: no memory.");
}

}  // namespace
}  // namespace guestproof::ring0
