// What exceptions are called, and what compilers mean by the ones they make.
//
// Thread-safety: functions without state.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "guestproof/ring0/end.h"

namespace guestproof::ring0 {

/// "page fault (vector 14, error code 0x2)"; without a value nothing is said of one.
[[nodiscard]] std::string exception_name(std::uint32_t vector, std::optional<std::uint64_t> value);
/// What is known of this one besides: a sanitizer's finding, a system call, where a fault was; a
/// sentence, or empty.
[[nodiscard]] std::string explain(const EndRecord& end);
/// "cmpxchg16b", for the instructions that KVM's emulator is known not to have; or empty.
[[nodiscard]] std::string instruction_name(std::span<const std::uint8_t> bytes);

}  // namespace guestproof::ring0
