// The scenario mutator as an AFL++ custom mutator library (AFL_CUSTOM_MUTATOR_LIBRARY). It finds
// the target's name, and so its vocabulary, in afl-fuzz's own command line: the program under test
// is called <target>_fuzz.
#include "fuzz/runtime/afl_mutator.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <vector>

#include "guestproof/testing/scenario/mutate.h"

namespace {

using namespace guestproof::testing;

struct State {
  std::string target;
  std::uint32_t seed = 0;
  std::vector<std::byte> out;
};

std::string own_command_line() {
  std::ifstream file("/proc/self/cmdline");
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::string guestproof::fuzz::target_of(std::string_view command_line) {
  static constexpr std::string_view kSuffix = "_fuzz";
  while (!command_line.empty()) {
    auto word = command_line.substr(0, command_line.find('\0'));
    command_line.remove_prefix(std::min(word.size() + 1, command_line.size()));
    if (!word.ends_with(kSuffix)) continue;
    word.remove_suffix(kSuffix.size());
    return std::string(word.substr(word.rfind('/') + 1));
  }
  return {};
}

extern "C" void* afl_custom_init(void*, unsigned seed) {
  return new State{guestproof::fuzz::target_of(own_command_line()), seed, {}};
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
