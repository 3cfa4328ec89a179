#include "guestproof/testing/harness/vsock_harness.h"

#include <gtest/gtest.h>

#include "seeds.h"

namespace guestproof::testing {
namespace {

class VsockHarnessTest : public ::testing::Test {
 protected:
  /// How often the counter moved while the scenario ran.
  std::uint64_t run(std::string_view text, std::string_view counter) {
    const auto program = parse_text(text);
    EXPECT_TRUE(program) << program.error().what;
    const auto before = count_of(harness.depth(), counter);
    const auto violation = harness.run(*program);
    EXPECT_FALSE(violation) << violation->sentence;
    return count_of(harness.depth(), counter) - before;
  }
  VsockHarness harness;
};

TEST_F(VsockHarnessTest, AnEmptyProgramSendsAPacket) { EXPECT_EQ(run("", "op:rw"), 1u); }

TEST_F(VsockHarnessTest, KindIsOpAndType) {
  EXPECT_EQ(run("request kind=0", "op:rw"), 1u);
  EXPECT_EQ(run("request kind=7", "op:credit_request"), 1u);
  EXPECT_EQ(run("request kind=10", "op:request"), 1u) << "modulo 9";
  EXPECT_EQ(run("request kind=5", "error:vsock.op"), 1u);
  EXPECT_EQ(run("request kind=8", "error:vsock.op"), 1u);
  EXPECT_EQ(run("request kind=0x10", "type:seqpacket"), 1u);
  EXPECT_EQ(run("request kind=0x20", "error:vsock.type"), 1u);
}

TEST_F(VsockHarnessTest, EveryLengthIsValidUnlessRaw) {
  EXPECT_EQ(run("request length=1024", "data:any"), 1u);
  EXPECT_EQ(run("request length=0xffffffff", "op:rw"), 1u);
  EXPECT_EQ(run("request length=0xffffffff flags=raw", "error:vsock.tx_data_limit"), 1u);
  EXPECT_EQ(run("request length=4 index=4 flags=raw", "data:any"), 1u);
  EXPECT_EQ(run("request length=4 index=3 flags=raw", "error:vsock.tx_data_length"), 1u);
}

TEST_F(VsockHarnessTest, AReceiveBufferIsTakenWhenThereIsSomethingForIt) {
  EXPECT_EQ(run("request queue=1\nkick queue=1\nrequest", "rx:rw"), 0u);
  EXPECT_EQ(run("request queue=1\nrequest\nkick\nkick queue=1", "rx:rw"), 1u);
}

TEST_F(VsockHarnessTest, WhatTheHostSendsArrives) {
  EXPECT_EQ(run("backend value=0x100004\nrequest queue=1", "rx:rw"), 1u);
  EXPECT_EQ(run("backend value=0x100004\nrequest queue=1 length=3", "rx:cut_to_fit"), 1u);
}

TEST_F(VsockHarnessTest, OneRunDoesNotReachIntoTheNext) {
  EXPECT_EQ(run("request kind=1", "op:request"), 1u);
  EXPECT_EQ(run("request queue=1", "rx:response"), 0u);
  EXPECT_EQ(run("backend kind=2 value=77\nrequest", "op:rw"), 1u);
  EXPECT_EQ(run("request flags=raw", "op:rw"), 1u);
}

}  // namespace
}  // namespace guestproof::testing
