// What code is at an address of this process: function, file and line by addr2line of binutils, or
// the function alone where there is none.
//
// Thread-safety: any number of threads.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace guestproof::ring0 {

/// What is not known is empty, or 0.
struct Symbol {
  std::string function{};
  std::string file{};
  int line = 0;
  std::string module{};      // the program or library that has it
  std::uint64_t offset = 0;  // in it
};

/// For each address its function, preceded by those that were inlined there, the innermost first.
[[nodiscard]] std::vector<std::vector<Symbol>> symbolise(std::span<const std::uint64_t> addresses);

}  // namespace guestproof::ring0
