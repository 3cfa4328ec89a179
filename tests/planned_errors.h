// What a system call answers next, in a test program that replaces it with a function of its own.
#pragma once

#include <cerrno>
#include <vector>

namespace guestproof {

struct PlannedErrors {
  /// Of the next calls: an errno, or 0 for the kernel's own answer, which all others get as well.
  std::vector<int> next;

  /// Whether this call fails; errno says why.
  [[nodiscard]] bool fail() {
    if (next.empty()) return false;
    const int error = next.front();
    next.erase(next.begin());
    if (error != 0) errno = error;
    return error != 0;
  }
};

}  // namespace guestproof
