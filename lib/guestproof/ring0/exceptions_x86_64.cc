#if defined(__x86_64__)

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "guestproof/ring0/exceptions.h"
#include "guestproof/ring0/sanitizer_checks.h"
#include "guestproof/ring0/text.h"

namespace guestproof::ring0 {
namespace {

// Intel SDM vol. 3, table 6-1.
constexpr std::array<std::string_view, 22> kVectors{"divide error",
                                                    "debug exception",
                                                    "NMI",
                                                    "breakpoint",
                                                    "overflow",
                                                    "BOUND range exceeded",
                                                    "invalid opcode",
                                                    "device not available",
                                                    "double fault",
                                                    "",
                                                    "invalid TSS",
                                                    "segment not present",
                                                    "stack-segment fault",
                                                    "general protection",
                                                    "page fault",
                                                    "",
                                                    "x87 floating-point error",
                                                    "alignment check",
                                                    "machine check",
                                                    "SIMD floating-point exception",
                                                    "virtualization exception",
                                                    "control protection exception"};
constexpr std::uint32_t kInvalidOpcodeVector = 6, kPageFaultVector = 14;

bool starts_with(std::span<const std::uint8_t> bytes, std::initializer_list<std::uint8_t> prefix) {
  return bytes.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), bytes.begin());
}

std::span<const std::uint8_t> instruction_of(const EndRecord& end) {
  return std::span(end.instruction)
      .first(std::min<std::size_t>(end.instruction_length, end.instruction.size()));
}

/// The displacement of clang's `ud1 N(%eax), %eax`, which has none for 0.
std::optional<std::uint8_t> trapped_check(std::span<const std::uint8_t> bytes) {
  if (starts_with(bytes, {0x67, 0x0f, 0xb9, 0x00})) return 0;
  if (starts_with(bytes, {0x67, 0x0f, 0xb9, 0x40}) && bytes.size() > 4) return bytes[4];
  return std::nullopt;
}

std::string explain_opcode(const EndRecord& end) {
  const auto bytes = instruction_of(end);
  Text text;
  if (starts_with(bytes, {0x0f, 0x05})) {
    text << "The test made system call " << end.state.general[CpuState::kRax]
         << "; in ring 0 there is no kernel below it.";
  } else if (const auto check = trapped_check(bytes)) {
    text << "UndefinedBehaviorSanitizer: " << sanitizer_check(*check) << '.';
  } else if (starts_with(bytes, {0x0f, 0x0b})) {
    text << "The instruction is ud2: __builtin_trap(), or UndefinedBehaviorSanitizer in trap mode.";
  }
  return std::string(text.view());
}

std::string explain_fault(const EndRecord& end) {
  const auto code = end.value;
  Text text;
  if (end.overflow) text << "The stack of the test has overflowed. ";
  text << ((code & 16) != 0  ? "Execution"
           : (code & 2) != 0 ? "A write"
                             : "A read")
       << " at "
       << "0x" << Text::Hex{end.address}
       << (end.forbidden ? ", which is mapped without that right" : ", where nothing is mapped")
       << ((code & 4) != 0 ? ", from ring 3." : ".");
  return std::string(text.view());
}

}  // namespace

std::string exception_name(std::uint32_t vector, std::optional<std::uint64_t> value) {
  Text text;
  const auto name = vector < kVectors.size() ? kVectors[vector] : std::string_view();
  text << (name.empty() ? "interrupt" : name) << " (vector " << vector;
  const bool has_code = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
  if (value && (*value != 0 || has_code)) text << ", error code 0x" << Text::Hex{*value};
  text << ')';
  return std::string(text.view());
}

std::string explain(const EndRecord& end) {
  if (end.vector == kInvalidOpcodeVector) return explain_opcode(end);
  if (end.vector == kPageFaultVector && end.fault) return explain_fault(end);
  return {};
}

std::string instruction_name(std::span<const std::uint8_t> bytes) {
  std::size_t at = 0;
  bool wide = false;
  while (at < bytes.size() && (bytes[at] == 0x66 || bytes[at] == 0xf2 || bytes[at] == 0xf3 ||
                               bytes[at] == 0xf0 || bytes[at] == 0x65 || bytes[at] == 0x64))
    ++at;
  if (at < bytes.size() && (bytes[at] & 0xf0) == 0x40) wide = (bytes[at++] & 8) != 0;
  const auto rest = bytes.subspan(at);
  if (rest.empty()) return {};
  if (rest[0] == 0xcc) return "int3";
  if (rest[0] == 0xcf) return wide ? "iretq" : "iret";
  if (rest[0] == 0xc4 || rest[0] == 0xc5) return "an AVX instruction";
  if (rest[0] == 0x62) return "an AVX-512 instruction";
  if (rest.size() < 3 || rest[0] != 0x0f) return {};
  const auto digit = rest[2] >> 3 & 7;
  if (rest[1] == 0xc7 && digit == 1) return wide ? "cmpxchg16b" : "cmpxchg8b";
  if (rest[1] == 0xc7 && digit >= 3 && digit <= 5)
    return std::array<std::string, 3>{"xrstors", "xsavec", "xsaves"}[digit - 3];
  if (rest[1] == 0xae && digit == 4) return "xsave";
  if (rest[1] == 0xae && digit == 5) return "xrstor";
  if (rest[1] == 0x01 && rest[2] == 0xd0) return "xgetbv";
  if (rest[1] == 0x01 && rest[2] == 0xd1) return "xsetbv";
  if (rest[1] >= 0x50 && rest[1] <= 0x7e) return "an SSE instruction";
  return {};
}

}  // namespace guestproof::ring0

#endif
