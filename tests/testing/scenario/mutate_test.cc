#include "guestproof/testing/scenario/mutate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "guestproof/testing/scenario/text.h"

namespace guestproof::testing {
namespace {

TEST(ScenarioMutator, TheSameSeedMakesTheSameProgram) {
  const auto make = [](std::uint32_t seed) {
    Program program;
    Mutator mutator(vocabulary("queue"), seed);
    for (int i = 0; i < 50; ++i) mutator.mutate(program, kMaxRecords);
    return bytes_of(program);
  };
  EXPECT_EQ(make(7), make(7));
  EXPECT_NE(make(7), make(8));
}

TEST(ScenarioMutator, NeverPassesTheLimit) {
  Program program;
  Mutator mutator(vocabulary("queue"), 1);
  for (int i = 0; i < 1000; ++i) {
    mutator.mutate(program, 5);
    ASSERT_LE(program.size(), 5u);
  }
}

TEST(ScenarioMutator, ReachesTheWholeVocabulary) {
  for (const auto* target :
       {"queue", "queue_state", "block", "vsock", "kvm_exit", "kvm_coalesced_ring",
        "kvm_dirty_ring", "kvm_fam", "kvm_state", "elf", "cmdline", "boot_params", "unheard-of"}) {
    const auto words = vocabulary(target);
    Mutator mutator(words, 1);
    std::set<Opcode> seen;
    for (int i = 0; i < 5000; ++i) seen.insert(mutator.random_record().op());
    EXPECT_EQ(seen, std::set<Opcode>(words.begin(), words.end())) << target;
  }
}

TEST(ScenarioMutator, CrossingKeepsRecordsWhole) {
  const auto a = parse_text("kick queue=1\nkick queue=2\nkick queue=3\n").value();
  const auto b = parse_text("publish index=1\npublish index=2\n").value();
  Mutator mutator(vocabulary("queue"), 1);
  std::set<std::string> parents;
  for (const auto& record : a) parents.insert(to_text(record));
  for (const auto& record : b) parents.insert(to_text(record));
  for (int i = 0; i < 100; ++i)
    for (const auto& record : mutator.cross(a, b, 4))
      ASSERT_TRUE(parents.contains(to_text(record)));
}

}  // namespace
}  // namespace guestproof::testing
