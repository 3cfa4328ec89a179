// What afl-fuzz calls in a custom mutator library, as its custom_mutator documentation has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

extern "C" {
/// The mutator's state; all it does follows from `seed`. `afl` is not looked at.
void* afl_custom_init(void* afl, unsigned seed);
void afl_custom_deinit(void* state);
/// A mutant of `buf`, now and then crossed with `other`, of at most `max_size` bytes. `*out` is
/// valid until the next call, and never null.
std::size_t afl_custom_fuzz(void* state, std::uint8_t* buf, std::size_t size, std::uint8_t** out,
                            std::uint8_t* other, std::size_t other_size, std::size_t max_size);
}

namespace guestproof::fuzz {

/// The target that afl-fuzz was started for: its command line, words ended by NUL, names a program
/// <target>_fuzz. Empty when it names none.
[[nodiscard]] std::string target_of(std::string_view command_line);

}  // namespace guestproof::fuzz
