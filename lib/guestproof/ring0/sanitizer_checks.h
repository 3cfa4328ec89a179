// What clang's UndefinedBehaviorSanitizer means by the numbers in the instructions that
// -fsanitize-trap makes (enum SanitizerHandler of clang 19).
//
// Thread-safety: constant.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace guestproof::ring0 {

inline constexpr std::array<std::string_view, 25> kSanitizerChecks{
    "addition overflow",
    "unreachable code reached",
    "CFI check failed",
    "division overflow or division by zero",
    "CFI type cache miss",
    "float cast overflow",
    "function called through a pointer of another type",
    "implicit conversion changed the value",
    "invalid argument of a builtin",
    "invalid Objective-C cast",
    "invalid value loaded",
    "end of a function without a return",
    "multiplication overflow",
    "negation overflow",
    "null passed for a nonnull argument (nullability)",
    "null returned (nullability)",
    "null passed for a nonnull argument",
    "null returned by a nonnull function",
    "index out of bounds",
    "pointer overflow",
    "shift out of bounds",
    "subtraction overflow",
    "null, misaligned or too small object accessed",
    "alignment assumption broken",
    "variable-length array without a positive size",
};

[[nodiscard]] constexpr std::string_view sanitizer_check(std::uint64_t number) {
  return number < kSanitizerChecks.size() ? kSanitizerChecks[number] : "a check failed";
}

}  // namespace guestproof::ring0
