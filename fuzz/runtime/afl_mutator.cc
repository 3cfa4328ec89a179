// The scenario mutator as an AFL++ custom mutator library (AFL_CUSTOM_MUTATOR_LIBRARY). It finds
// the target's name, and so its vocabulary, in afl-fuzz's own command line: the program under test
// is called <target>_fuzz.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "guestproof/testing/scenario/mutate.h"

namespace {

using namespace guestproof::testing;

struct State {
  std::string target;
  std::uint32_t seed = 0;
  std::vector<std::byte> out;
};

std::string target_of_this_process() {
  std::ifstream file("/proc/self/cmdline");
  const std::string line{std::istreambuf_iterator<char>(file), {}};
  static constexpr std::string_view kSuffix = "_fuzz";
  for (std::size_t begin = 0; begin < line.size();) {
    const std::string word = line.c_str() + begin;
    begin += word.size() + 1;
    if (!word.ends_with(kSuffix)) continue;
    const auto name = word.substr(word.rfind('/') + 1);
    return name.substr(0, name.size() - kSuffix.size());
  }
  return {};
}

}  // namespace

extern "C" void* afl_custom_init(void*, unsigned seed) {
  return new State{target_of_this_process(), seed, {}};
}

extern "C" void afl_custom_deinit(void* state) { delete static_cast<State*>(state); }

extern "C" std::size_t afl_custom_fuzz(void* opaque, std::uint8_t* buf, std::size_t size,
                                       std::uint8_t** out, std::uint8_t* other,
                                       std::size_t other_size, std::size_t max_size) {
  auto& state = *static_cast<State*>(opaque);
  // Never null, not even for an empty mutant: afl-fuzz ends itself when it is.
  *out = buf;
  const auto max_records = std::min(kMaxRecords, max_size / kRecordBytes);
  if (max_records == 0) return 0;
  Mutator mutator(vocabulary(state.target), ++state.seed);
  auto program = program_of(std::as_bytes(std::span(buf, size)));
  if (other != nullptr && state.seed % 4 == 0)
    program = mutator.cross(program, program_of(std::as_bytes(std::span(other, other_size))),
                            max_records);
  mutator.mutate(program, max_records);
  state.out = bytes_of(program);
  if (!state.out.empty()) *out = reinterpret_cast<std::uint8_t*>(state.out.data());
  return state.out.size();
}
