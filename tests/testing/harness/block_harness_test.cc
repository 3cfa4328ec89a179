#include "guestproof/testing/harness/block_harness.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "guestproof/testing/scenario/text.h"
#include "seeds.h"

namespace guestproof::testing {
namespace {

using Meddle = std::function<void(DiskBackend&)>;

/// A block device that does one thing more than it should each time it is kicked.
class MeddlingHarness : public BlockHarness {
 public:
  explicit MeddlingHarness(Meddle meddle) : meddle_(std::move(meddle)) {}
  using BlockHarness::storage;

 private:
  Turn serve(Lane& lane, std::uint32_t looks) override {
    const auto turn = BlockHarness::serve(lane, looks);
    meddle_(storage());
    return turn;
  }
  Meddle meddle_;
};

std::string verdict(Meddle meddle) {
  MeddlingHarness harness(std::move(meddle));
  const auto violation = harness.run(parse_text("request kind=1 value=3").value());
  return violation ? violation->sentence : "none";
}

TEST(BlockHarness, AnEmptyProgramReadsASector) {
  BlockHarness harness;
  EXPECT_FALSE(harness.run({}));
  EXPECT_EQ(count_of(harness.depth(), "request:in:data"), 1u);
}

TEST(BlockHarness, ARecordOfZeroesReadsASector) {
  BlockHarness harness;
  EXPECT_FALSE(harness.run(Program(2)));
  EXPECT_EQ(count_of(harness.depth(), "request:in:data"), 2u);
}

TEST(BlockHarness, SeesNothingWrongWithAGoodDevice) {
  EXPECT_EQ(verdict([](DiskBackend&) {}), "none");
}

TEST(BlockHarness, SeesASectorThatShouldNotHaveChanged) {
  EXPECT_EQ(verdict([](DiskBackend& storage) {
              const std::byte wrong{0};
              storage.disk.write(9 * 512, std::span(&wrong, 1));
            }),
            "sector 9 of the disk is not what the model says");
}

TEST(BlockHarness, SeesAFlushTooMany) {
  EXPECT_EQ(verdict([](DiskBackend& storage) { static_cast<void>(storage.flush()); }),
            "the device flushed 1 times, the model 0 times");
}

TEST(BlockHarness, EveryRunBeginsWithTheDefaultDevice) {
  BlockHarness harness;
  EXPECT_FALSE(harness.run(
      parse_text("backend kind=7 value=0x20\nbackend kind=3\nbackend kind=8\nrequest kind=1")
          .value()));
  EXPECT_EQ(count_of(harness.depth(), "error:block.read_only"), 1u);
  EXPECT_FALSE(harness.run(parse_text("request kind=1 value=31").value()));
  EXPECT_EQ(count_of(harness.depth(), "request:out:ok"), 1u);
}

TEST(BlockHarness, EveryConfigurationServesEveryRequest) {
  BlockHarness harness;
  for (std::uint32_t kind = 0; kind < 16; ++kind)
    for (const std::uint64_t value :
         {0ull, 1ull, 31ull, 32ull, 511ull, 512ull, 16384ull, 0x16220ull, ~0ull}) {
      Program program(10);
      program[0].opcode = static_cast<std::uint8_t>(Opcode::kBackend);
      program[0].kind = static_cast<std::uint8_t>(kind);
      program[0].value = value;
      for (std::size_t i = 1; i < program.size(); ++i) {
        program[i].kind = static_cast<std::uint8_t>(i - 1);
        program[i].value = value;
        program[i].flags = kRequestKick;
      }
      const auto violation = harness.run(program);
      EXPECT_FALSE(violation) << to_text(program) << violation->sentence;
    }
}

TEST(BlockHarness, WhatFailsDoesNotDependOnTheSizeOfTransfers) {
  const auto disk_after = [](const std::string& limit) {
    MeddlingHarness harness([](DiskBackend&) {});
    const auto text = "backend kind=2 value=1000\nbackend kind=4 value=" + limit +
                      "\nrequest kind=1 value=1 length=2048 cut=12\n";
    EXPECT_FALSE(harness.run(parse_text(text).value()));
    return harness.storage().disk;
  };
  const auto whole = disk_after("0");
  for (const auto* limit : {"1", "100", "511", "512", "1023"})
    EXPECT_EQ(disk_after(limit).first_difference(whole), std::nullopt) << limit;
}

}  // namespace
}  // namespace guestproof::testing
