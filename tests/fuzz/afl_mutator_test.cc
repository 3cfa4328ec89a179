// The AFL++ custom mutator, called as afl-fuzz calls it.
#include "fuzz/runtime/afl_mutator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "guestproof/testing/scenario/record.h"

namespace guestproof::fuzz {
namespace {

using Bytes = std::vector<std::uint8_t>;
using testing::kMaxRecords;
using testing::kRecordBytes;

class AflMutator : public ::testing::Test {
 protected:
  using State = std::unique_ptr<void, decltype(&afl_custom_deinit)>;
  static constexpr std::size_t kRoom = kMaxRecords * kRecordBytes;

  static State start(unsigned seed) { return {afl_custom_init(nullptr, seed), &afl_custom_deinit}; }
  static Bytes mutant(const State& state, Bytes input, Bytes other = {}, std::size_t room = kRoom) {
    std::uint8_t* out = nullptr;
    const auto size = afl_custom_fuzz(state.get(), input.data(), input.size(), &out,
                                      other.empty() ? nullptr : other.data(), other.size(), room);
    EXPECT_NE(out, nullptr);
    return {out, out + size};
  }

  std::uint8_t nothing = 0;
  Bytes one = Bytes(kRecordBytes, 1);
  Bytes many = Bytes(kRoom, 2);
};

TEST_F(AflMutator, TheSameSeedMakesTheSameMutants) {
  const auto first = start(7), second = start(7), third = start(8);
  bool differs = false;
  for (int i = 0; i < 50; ++i) {
    const auto made = mutant(first, one, many);
    EXPECT_EQ(made, mutant(second, one, many));
    differs |= made != mutant(third, one, many);
  }
  EXPECT_TRUE(differs);
}

TEST_F(AflMutator, MutantsAreWholeRecordsWithinTheRoom) {
  const auto state = start(1);
  for (std::size_t room = 0; room <= 5 * kRecordBytes; room += kRecordBytes / 2)
    for (int i = 0; i < 100; ++i) {
      const auto made = mutant(state, many, many, room);
      EXPECT_LE(made.size(), room);
      EXPECT_EQ(made.size() % kRecordBytes, 0u);
    }
}

TEST_F(AflMutator, TakesPartsOfTheOtherInput) {
  const auto state = start(1);
  const auto has_a_record_of = [](const Bytes& bytes, std::uint8_t value) {
    for (std::size_t at = 0; at < bytes.size(); at += kRecordBytes)
      if (std::ranges::count(std::span(bytes).subspan(at, kRecordBytes), value) > 20) return true;
    return false;
  };
  int crossed = 0;
  for (int i = 0; i < 200; ++i) crossed += has_a_record_of(mutant(state, one, many), 2);
  EXPECT_GT(crossed, 10);
}

// An empty mutant without a buffer ended afl-fuzz.
TEST_F(AflMutator, AnEmptyMutantHasABufferToo) {
  const auto state = start(1);
  std::uint8_t* out = nullptr;
  EXPECT_EQ(afl_custom_fuzz(state.get(), &nothing, 0, &out, nullptr, 0, kRecordBytes - 1), 0u);
  EXPECT_EQ(out, &nothing);
}

TEST(AflTarget, IsTheProgramOfTheCommandLine) {
  using namespace std::string_view_literals;
  EXPECT_EQ(target_of("afl-fuzz\0-i\0in\0--\0/build/fuzz/queue_state_fuzz\0"sv), "queue_state");
  EXPECT_EQ(target_of("afl-fuzz\0vsock_fuzz\0@@"sv), "vsock");
  EXPECT_EQ(target_of("afl-fuzz\0./build_fuzz/block\0"sv), "");
  EXPECT_EQ(target_of(""sv), "");
}

}  // namespace
}  // namespace guestproof::fuzz
