#include "guestproof/testing/scenario/text.h"

#include <gtest/gtest.h>

#include <cstring>

#include "guestproof/testing/scenario/mutate.h"

namespace guestproof::testing {
namespace {

std::string why(std::string_view text) {
  const auto program = parse_text(text);
  if (program) return "compiles";
  return std::to_string(program.error().line) + ": " + program.error().what;
}

TEST(ScenarioText, ReadsAsItIsWritten) {
  const std::string_view text =
      "queue index=4 flags=event_index|indirect\n"
      "desc index=1 address=data+0x10 length=64 flags=next|write next=2\n"
      "desc index=2 address=mid:end-0x4 length=8 flags=0x8000\n"
      "area which=used address=raw value=0x123456789abcdef0\n"
      "race address=header+0x8 nth=2 value=255\n"
      "reset\n"
      "kick\n";
  const auto program = parse_text(text);
  ASSERT_TRUE(program) << program.error().what;
  EXPECT_EQ(program->size(), 7u);
  EXPECT_EQ(to_text(*program), text);
}

TEST(ScenarioText, PutsFieldsWhereTheRecordHasThem) {
  const auto program =
      parse_text("desc queue=1 index=3 address=rom:past+5 length=0x1000 flags=indirect next=7");
  ASSERT_TRUE(program);
  const auto& record = program->front();
  EXPECT_EQ(record.op(), Opcode::kDesc);
  EXPECT_EQ(record.queue, 1);
  EXPECT_EQ(record.index, 3);
  EXPECT_EQ(record.space(), Space::kRom);
  EXPECT_EQ(record.edge(), Edge::kPast);
  EXPECT_EQ(record.address.offset, 5u);
  EXPECT_EQ(record.length, 0x1000u);
  EXPECT_EQ(record.flags, 4);
  EXPECT_EQ(record.next, 7);
}

TEST(ScenarioText, SkipsCommentsAndEmptyLines) {
  EXPECT_EQ(to_text(parse_text("# nothing\n\n  kick   # notify\r\n").value()), "kick\n");
  EXPECT_TRUE(parse_text("").value().empty());
}

TEST(ScenarioText, SaysWhichLineAndWordAreWrong) {
  EXPECT_EQ(why("kick\njump"), "2: 'jump' is not an opcode");
  EXPECT_EQ(why("kick colour=1"), "1: 'colour' is not a field of 'kick'");
  EXPECT_EQ(why("kick queue"), "1: field 'queue' has no value");
  EXPECT_EQ(why("kick queue=256"), "1: queue: '256' does not fit in 1 bytes (at most 0xff)");
  EXPECT_EQ(why("kick queue=1x"), "1: queue: '1x' is not a number");
  EXPECT_EQ(why("kick queue="), "1: queue: '' is not a number");
  EXPECT_EQ(why("kick queue=-1"), "1: queue: '-1' is not a number");
  EXPECT_EQ(why("kick queue=0x10000000000000000"),
            "1: queue: '0x10000000000000000' is not a number");
  EXPECT_EQ(why("write address=sea+1"), "1: address: 'sea' is not an address space");
  EXPECT_EQ(why("write address=low*1"), "1: address: 'low*1' is not an address space");
  EXPECT_EQ(why("write address=low:middle"),
            "1: address: ':middle' is not +N, :end-N, :before-N or :past+N");
  EXPECT_EQ(why("area which=ring"), "1: which: 'ring' is not a value of which");
  EXPECT_EQ(why("desc flags=next|maybe"),
            "1: flags: 'maybe' is neither a flag of flags nor a number");
}

TEST(ScenarioText, RefusesMoreRecordsThanRun) {
  std::string text;
  for (std::size_t i = 0; i <= kMaxRecords; ++i) text += "kick\n";
  EXPECT_EQ(why(text), std::to_string(kMaxRecords + 1) + ": more than " +
                           std::to_string(kMaxRecords) + " records");
}

TEST(ScenarioText, EveryRecordSurvivesTheRoundTrip) {
  Mutator mutator(vocabulary("everything"), 1);
  Program program;
  for (int round = 0; round < 2000; ++round) {
    mutator.mutate(program, kMaxRecords);
    for (auto& record : program) record = canonical(record);
    const auto again = parse_text(to_text(program));
    ASSERT_TRUE(again) << again.error().what << "\n" << to_text(program);
    ASSERT_EQ(bytes_of(*again), bytes_of(program)) << to_text(program);
  }
}

}  // namespace
}  // namespace guestproof::testing
