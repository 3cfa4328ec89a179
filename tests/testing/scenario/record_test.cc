#include "guestproof/testing/scenario/record.h"

#include <gtest/gtest.h>

#include <cstring>

namespace guestproof::testing {
namespace {

std::vector<std::byte> bytes(std::size_t count, std::uint8_t value) {
  return std::vector<std::byte>(count, std::byte(value));
}

TEST(ScenarioRecord, EveryThirtyTwoBytesAreOne) {
  EXPECT_TRUE(program_of({}).empty());
  EXPECT_TRUE(program_of(bytes(31, 1)).empty());
  EXPECT_EQ(program_of(bytes(32, 1)).size(), 1u);
  EXPECT_EQ(program_of(bytes(95, 1)).size(), 2u);
}

TEST(ScenarioRecord, ProgramsEndAtTheLimit) {
  EXPECT_EQ(program_of(bytes(32 * (kMaxRecords + 5), 1)).size(), kMaxRecords);
}

TEST(ScenarioRecord, BytesAndProgramsAreTheSameThing) {
  auto raw = bytes(64, 0);
  for (std::size_t i = 0; i < raw.size(); ++i) raw[i] = std::byte(i);
  EXPECT_EQ(bytes_of(program_of(raw)), raw);
}

TEST(ScenarioRecord, OpcodesAndSelectorsCountModulo) {
  Record record;
  record.opcode = static_cast<std::uint8_t>(kOpcodes + 1);
  record.address.space = kSpaces + 2;
  record.address.edge = kEdges + 3;
  EXPECT_EQ(record.op(), Opcode::kKick);
  EXPECT_EQ(record.space(), Space::kAvailableRing);
  EXPECT_EQ(record.edge(), Edge::kPast);
}

TEST(ScenarioRecord, CanonicalKeepsOnlyWhatTheOpcodeUses) {
  Record record;
  std::memset(static_cast<void*>(&record), 0xff, sizeof record);
  record.opcode = static_cast<std::uint8_t>(Opcode::kPublish);
  const auto clean = canonical(record);
  EXPECT_EQ(clean.queue, 0xff);
  EXPECT_EQ(clean.index, 0xffff);
  EXPECT_EQ(clean.length, 0u);
  EXPECT_EQ(clean.value, 0u);
  EXPECT_EQ(clean.next, 0);
}

TEST(ScenarioRecord, CanonicalIsStable) {
  for (unsigned seed = 0; seed < 256; ++seed) {
    Record record;
    std::memset(static_cast<void*>(&record), static_cast<int>(seed), sizeof record);
    const auto once = canonical(record);
    const auto twice = canonical(once);
    EXPECT_EQ(std::memcmp(&once, &twice, sizeof once), 0) << seed;
  }
}

TEST(ScenarioRecord, EveryOpcodeHasANameOfItsOwn) {
  ASSERT_EQ(opcode_table().size(), kOpcodes);
  for (std::size_t i = 0; i < kOpcodes; ++i)
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(opcode_table()[i].name, opcode_table()[j].name);
}

}  // namespace
}  // namespace guestproof::testing
