// Seeds of the fuzz targets, written as text and run before they are stored: each is there to reach
// one depth counter, and corpus/<target>/seeds/<name> holds exactly its encoded bytes. After a
// change of seeds or encoding, GUESTPROOF_WRITE_SEEDS=1 writes the files.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "guestproof/testing/harness/runner.h"
#include "guestproof/testing/scenario/mutate.h"
#include "guestproof/testing/scenario/text.h"

namespace guestproof::testing {

struct Seed {
  std::string_view name;
  std::string_view reaches;  // a depth counter
  std::string_view text;
};
inline void PrintTo(const Seed& seed, std::ostream* out) { *out << seed.name; }

/// Names the instances of a parameterised test after their seeds.
inline std::string seed_name(const ::testing::TestParamInfo<Seed>& info) {
  return std::string(info.param.name);
}

inline std::filesystem::path seed_folder(std::string_view target) {
  return std::filesystem::path(GUESTPROOF_CORPUS) / target / "seeds";
}

/// REQUIRES: the text compiles; a test of its own checks that.
inline Program program_of(const Seed& seed) {
  const auto program = parse_text(seed.text);
  if (program) return *program;
  ADD_FAILURE() << seed.name << ", line " << program.error().line << ": " << program.error().what;
  return {};
}

/// 0, and a failure, for a counter that the target does not have.
inline std::uint64_t count_of(const Depth& depth, std::string_view counter) {
  const auto at = std::ranges::find(depth.names(), counter);
  if (at != depth.names().end())
    return depth.value(static_cast<Depth::Index>(at - depth.names().begin()));
  ADD_FAILURE() << "there is no depth counter " << counter;
  return 0;
}

/// A new file takes the place of the old one whole.
inline void write_seed(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::filesystem::create_directories(path.parent_path());
  const auto unfinished = path.parent_path() / ("." + path.filename().string());
  std::ofstream file(unfinished, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  file.close();
  ASSERT_FALSE(file.fail()) << unfinished;
  std::filesystem::rename(unfinished, path);
}

inline std::vector<std::byte> read_seed(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path << ": run with GUESTPROOF_WRITE_SEEDS=1";
  const std::vector<char> chars{std::istreambuf_iterator<char>(file), {}};
  const auto bytes = std::as_bytes(std::span(chars));
  return {bytes.begin(), bytes.end()};
}

/// The seed runs without a violation, gets where it is meant to get, and is stored as it is here.
inline void check_seed(Runner& harness, const Seed& seed) {
  const auto program = program_of(seed);
  const auto before = count_of(harness.depth(), seed.reaches);
  const auto violation = harness.run(program);
  EXPECT_FALSE(violation) << violation->oracle << ": " << violation->sentence;
  EXPECT_GT(count_of(harness.depth(), seed.reaches), before) << "did not reach " << seed.reaches;

  const auto path = seed_folder(harness.name()) / seed.name;
  const auto bytes = bytes_of(program);
  if (std::getenv("GUESTPROOF_WRITE_SEEDS") != nullptr) write_seed(path, bytes);
  EXPECT_EQ(read_seed(path), bytes) << path << ": run with GUESTPROOF_WRITE_SEEDS=1";
}

/// All seeds of a target together: they reach every counter and use every opcode of its
/// vocabulary, and there is no stored seed besides them.
inline void check_seeds(Runner& harness, std::span<const Seed> seeds) {
  std::set<std::string> names;
  std::set<Opcode> opcodes;
  for (const auto& seed : seeds) {
    EXPECT_TRUE(names.emplace(seed.name).second) << "two seeds are called " << seed.name;
    const auto program = program_of(seed);
    for (const auto& record : program) opcodes.insert(record.op());
    EXPECT_FALSE(harness.run(program)) << seed.name;
  }
  for (const auto& counter : harness.depth().names())
    EXPECT_NE(count_of(harness.depth(), counter), 0u) << counter << " is reached by no seed";
  for (const auto opcode : vocabulary(harness.name()))
    EXPECT_TRUE(opcodes.contains(opcode))
        << opcode_table()[static_cast<std::size_t>(opcode)].name << " is used by no seed";
  std::error_code none;  // check_seed() misses each file on its own
  for (const auto& entry : std::filesystem::directory_iterator(seed_folder(harness.name()), none))
    EXPECT_TRUE(names.contains(entry.path().filename().string()))
        << entry.path() << " is the seed of no test";
}

}  // namespace guestproof::testing
