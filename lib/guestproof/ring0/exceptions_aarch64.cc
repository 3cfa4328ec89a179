#if defined(__aarch64__)

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "guestproof/ring0/exceptions.h"
#include "guestproof/ring0/sanitizer_checks.h"
#include "guestproof/ring0/text.h"

namespace guestproof::ring0 {
namespace {

// Arm ARM D19.2.40, the classes of ESR_EL1.EC.
constexpr std::uint32_t kSystemCall = 0x15, kBreakpoint = 0x3c;
constexpr std::array kClasses{
    std::pair{0x00U, std::string_view("undefined instruction")},
    std::pair{0x01U, std::string_view("trapped WFI or WFE")},
    std::pair{0x07U, std::string_view("trapped floating point")},
    std::pair{0x0dU, std::string_view("branch target exception")},
    std::pair{0x0eU, std::string_view("illegal execution state")},
    std::pair{kSystemCall, std::string_view("SVC")},
    std::pair{0x16U, std::string_view("HVC")},
    std::pair{0x17U, std::string_view("SMC")},
    std::pair{0x18U, std::string_view("trapped MSR, MRS or system instruction")},
    std::pair{0x20U, std::string_view("instruction abort from EL0")},
    std::pair{0x21U, std::string_view("instruction abort")},
    std::pair{0x22U, std::string_view("PC alignment fault")},
    std::pair{0x24U, std::string_view("data abort from EL0")},
    std::pair{0x25U, std::string_view("data abort")},
    std::pair{0x26U, std::string_view("SP alignment fault")},
    std::pair{0x2cU, std::string_view("trapped floating-point exception")},
    std::pair{0x2fU, std::string_view("SError")},
    std::pair{kBreakpoint, std::string_view("BRK instruction")},
};
constexpr std::uint64_t kWriteBit = 1 << 6;
/// -fsanitize-trap of clang: brk with 'U' in the upper byte.
constexpr std::uint64_t kSanitizer = 0x5500;
/// What GCC and clang make of __builtin_trap().
constexpr std::uint64_t kTrapOfGcc = 1000, kTrapOfClang = 1;

}  // namespace

std::string exception_name(std::uint32_t vector, std::optional<std::uint64_t> value) {
  const auto known = std::ranges::find(kClasses, vector, &decltype(kClasses)::value_type::first);
  Text text;
  text << (known == kClasses.end() ? "exception" : known->second) << " (EC 0x"
       << Text::Hex{vector, 2};
  if (value) text << ", ISS 0x" << Text::Hex{*value};
  text << ')';
  return std::string(text.view());
}

std::string explain(const EndRecord& end) {
  Text text;
  if (end.vector == kSystemCall) {
    text << "The test made system call " << end.state.general[8]
         << "; at EL1 there is no kernel below it.";
  } else if (end.vector == kBreakpoint && (end.value & 0xff00) == kSanitizer) {
    text << "UndefinedBehaviorSanitizer: " << sanitizer_check(end.value & 0xff) << '.';
  } else if (end.vector == kBreakpoint &&
             ((end.value & 0xffff) == kTrapOfGcc || (end.value & 0xffff) == kTrapOfClang)) {
    text << "The instruction is brk #" << (end.value & 0xffff)
         << ": __builtin_trap(), or UndefinedBehaviorSanitizer in trap mode.";
  } else if (end.fault) {
    if (end.overflow) text << "The stack of the test has overflowed. ";
    const bool execution = end.vector == 0x20 || end.vector == 0x21;
    text << (execution                      ? "Execution"
             : (end.value & kWriteBit) != 0 ? "A write"
                                            : "A read")
         << " at 0x" << Text::Hex{end.address}
         << (end.forbidden ? ", which is mapped without that right."
                           : ", where nothing is mapped.");
  }
  return std::string(text.view());
}

std::string instruction_name(std::span<const std::uint8_t>) { return {}; }

}  // namespace guestproof::ring0

#endif
