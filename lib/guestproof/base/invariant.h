// The library's own invariants. Nothing that a guest or a file can write may reach a failing one: a
// failure is a bug of this library or a broken REQUIRES of its caller, so it prints the condition
// and aborts.
#pragma once

namespace guestproof {

[[noreturn]] void invariant_failed(const char* condition, const char* file, int line);

}  // namespace guestproof

#define GUESTPROOF_INVARIANT(condition)              \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? void()                                      \
       : ::guestproof::invariant_failed(#condition, __FILE__, __LINE__))

/// For hot paths: checked in debug, sanitizer and fuzz builds, an assumption that costs nothing in
/// release builds.
#ifdef NDEBUG
#define GUESTPROOF_HOT_INVARIANT(condition) void()
#else
#define GUESTPROOF_HOT_INVARIANT(condition) GUESTPROOF_INVARIANT(condition)
#endif
