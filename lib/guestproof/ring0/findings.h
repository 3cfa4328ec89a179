// Errors that a sanitizer's runtime has found in ring 0, where it cannot report them: its first
// system call ends the test. What it has found is told by who called it.
//
// Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "guestproof/ring0/symbols.h"

namespace guestproof::ring0 {

struct SanitizerFinding {
  std::string text;
  std::size_t frame = 0;  // the runtime's outermost; the code with the error is behind it
};

/// Of a backtrace, the innermost frame first.
[[nodiscard]] std::optional<SanitizerFinding> finding_in(
    std::span<const std::vector<Symbol>> frames);

}  // namespace guestproof::ring0
