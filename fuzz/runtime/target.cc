#include "fuzz/runtime/target.h"

#include <cstdio>
#include <cstdlib>

#include "fuzz/runtime/depth_file.h"
#include "guestproof/testing/scenario/text.h"

// Defaults that $ASAN_OPTIONS overrides: a small quarantine keeps executions within the caches, and
// harnesses free little.
extern "C" const char* __asan_default_options() {
  return "quarantine_size_mb=8:malloc_context_size=8";
}

namespace guestproof::fuzz {

testing::Runner& runner() {
  static const auto instance = [] {
    auto made = make_runner();
    bind_depth_file(made->depth());
    return made;
  }();
  return *instance;
}

void run_input(std::span<const std::byte> input) {
  const auto program = testing::program_of(input);
  const auto violation = runner().run(program);
  if (!violation) return;
  std::fprintf(stderr, "guestproof: ORACLE %.*s: %s\n%s",
               static_cast<int>(violation->oracle.size()), violation->oracle.data(),
               violation->sentence.c_str(), testing::to_text(program).c_str());
  std::abort();
}

}  // namespace guestproof::fuzz
