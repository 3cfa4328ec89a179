// What the machine's owner may want to read: lines on standard error.
//
// Thread-safety: any thread. Nobody waits for a reader that is behind: a line that it does not take
// now is lost, or, of the words that a process ends with, within a second.
#pragma once

#include <cstdint>
#include <string_view>

namespace guestproof::vmm {

enum class Urgency : std::uint8_t { kOrdinary, kLastWords };

void log(std::string_view line, Urgency urgency = Urgency::kOrdinary);

}  // namespace guestproof::vmm
