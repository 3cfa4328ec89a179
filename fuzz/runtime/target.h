// A fuzz target is one file: it says which harness runs its scenarios.
//
//   GUESTPROOF_FUZZ_TARGET(guestproof::testing::QueueHarness, "queue")
//
// The same file makes four binaries: libFuzzer with AddressSanitizer, libFuzzer with
// UndefinedBehaviorSanitizer, AFL++, and a plain one that replays files (see
// scripts/cmake/GuestproofFuzz.cmake).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "guestproof/testing/harness/runner.h"

namespace guestproof::fuzz {

/// Defined once per target by the macro.
[[nodiscard]] std::unique_ptr<testing::Runner> make_runner();

/// The target's runner; made at the first call, with its depth counters bound to
/// $GUESTPROOF_DEPTH_FILE.
[[nodiscard]] testing::Runner& runner();

/// Runs one input. When an oracle has something to say: prints it and the scenario as text, and
/// aborts.
void run_input(std::span<const std::byte> input);

}  // namespace guestproof::fuzz

#define GUESTPROOF_FUZZ_TARGET(HarnessType, ...)                                 \
  std::unique_ptr<guestproof::testing::Runner> guestproof::fuzz::make_runner() { \
    return std::make_unique<HarnessType>(__VA_ARGS__);                           \
  }
