// The text form of scenario programs: one record a line, `opcode field=value ...`; `#` starts a
// comment. What a program does not use is not shown, a field that is 0 may be left out, and text
// compiles back to the same canonical records:
//
//   # a chain that is a loop
//   desc index=0 address=data+0x10 length=64 flags=next next=1
//   desc index=1 address=data:end-4 length=8 flags=next|write next=0
//   publish index=0
//   kick
//
// Numbers are decimal or 0x hexadecimal; flags are names and numbers joined by `|`; an address is a
// space with
// `+offset` (inside), `:end-offset`, `:before-offset` or `:past+offset`.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "guestproof/testing/scenario/record.h"

namespace guestproof::testing {

[[nodiscard]] std::string to_text(const Record& record);
[[nodiscard]] std::string to_text(std::span<const Record> program);

/// Where and why text does not compile.
struct TextError {
  std::size_t line = 0;  // from 1
  std::string what;
};

/// Errors: unknown opcode, field, name or space; a number that does not fit; more than kMaxRecords
/// records.
[[nodiscard]] std::expected<Program, TextError> parse_text(std::string_view text);

}  // namespace guestproof::testing
