// The name of the function at an offset of a program or library, from its own symbol table: for
// where no other tool is at hand.
//
// Thread-safety: any number of threads.
#pragma once

#include <cstdint>
#include <string>

namespace guestproof::ring0 {

/// As the source has it (demangled); empty when the file has no such function, or no table.
[[nodiscard]] std::string function_at(const std::string& path, std::uint64_t offset);

}  // namespace guestproof::ring0
