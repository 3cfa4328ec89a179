// What a held chain's reader or writer did is compared with the model in everything.
#include "guestproof/testing/harness/chain_access.h"

#include <gtest/gtest.h>

namespace guestproof::testing {
namespace {

using virtio::ChainError;

std::string violation(const Accessed& device, const ModelAccessed& model) {
  try {
    compare_access(device, model);
  } catch (const ViolationFound& found) {
    EXPECT_EQ(found.violation.oracle, kModelAgreement);
    return found.violation.sentence;
  }
  return "";
}

TEST(ChainAccess, IsWhatTheRecordSays) {
  Record record;
  record.kind = 1 + 2;
  record.length = ChainAccess::kLimit + 5;
  record.next = 7;
  record.value = 0x109;
  const ChainAccess access(record);
  EXPECT_TRUE(access.writes && access.splits && !access.whole);
  EXPECT_EQ(access.form(), 3u);
  EXPECT_EQ(access.length, 5u);
  EXPECT_EQ(access.from, 7u);
  EXPECT_EQ(access.value, 9);

  record.kind = 4;
  EXPECT_EQ(ChainAccess(record).length, sizeof(le64));
}

TEST(ChainAccess, AgreesInBytes) {
  EXPECT_EQ(violation({{1, 2, 3}, {}}, {{1, 2, 3}, {}}), "");
  EXPECT_EQ(violation({{1, 2, 4}, {}}, {{1, 2, 3}, {}}),
            "the device read other bytes of a chain than the model");
  EXPECT_EQ(violation({{1, 2}, {}}, {{1, 2, 3}, {}}),
            "the device read other bytes of a chain than the model");
}

TEST(ChainAccess, AgreesInErrorsWithValueAndLimit) {
  const Error past_end(ChainError::kReadPastEnd, 9, 8);
  EXPECT_EQ(violation({{}, past_end}, {{}, {"chain.read_past_end", 9, 8}}), "");
  EXPECT_EQ(
      violation({{}, past_end}, {{}, {"chain.read_past_end", 9, 7}}),
      "accessing a chain: for the device it fails with chain.read_past_end, value 0x9 and limit "
      "0x8, for the model it fails with chain.read_past_end, value 0x9 and limit 0x7");
  EXPECT_EQ(
      violation({{}, past_end}, {{}, {}}),
      "accessing a chain: for the device it fails with chain.read_past_end, value 0x9 and limit "
      "0x8, for the model it is fine");
  EXPECT_EQ(violation({{}, {}}, {{}, {"chain.read_past_end", 9, 8}}),
            "accessing a chain: for the device it is fine, for the model it fails with "
            "chain.read_past_end, value 0x9 and limit 0x8");
}

TEST(ChainAccess, AgreesInTheNamesOfMemoryErrors) {
  const Error unmapped(MemoryError::kUnmapped, 0xc000, 5);
  EXPECT_EQ(violation({{}, unmapped}, {{}, {"memory.unmapped"}}), "");
  EXPECT_NE(violation({{}, unmapped}, {{}, {"memory.read_only"}}), "");
}

}  // namespace
}  // namespace guestproof::testing
