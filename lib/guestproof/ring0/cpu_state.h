// What a vCPU's registers were when its guest ended: for reports, and for the backtrace.
//
// Thread-safety: values.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace guestproof::ring0 {

#if defined(__x86_64__)

struct CpuState {
  static constexpr std::array<std::string_view, 16> kNames{"rax", "rbx", "rcx", "rdx", "rsi", "rdi",
                                                           "rbp", "rsp", "r8",  "r9",  "r10", "r11",
                                                           "r12", "r13", "r14", "r15"};
  enum : std::uint8_t { kRax, kRbx, kRcx, kRdx, kRsi, kRdi, kRbp, kRsp, kR8 };

  std::array<std::uint64_t, 16> general{};
  std::uint64_t pc = 0;  // RIP
  std::uint64_t rflags = 0;
  std::uint64_t cs = 0, ss = 0;
  std::uint64_t cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0;
  std::uint64_t efer = 0;

  [[nodiscard]] std::uint64_t sp() const { return general[kRsp]; }
};

#elif defined(__aarch64__)

struct CpuState {
  std::array<std::uint64_t, 31> general{};  // X0 to X30
  std::uint64_t pc = 0;
  std::uint64_t stack = 0;  // SP_EL0
  std::uint64_t pstate = 0;
  std::uint64_t esr = 0, far = 0;
  std::uint64_t sctlr = 0, ttbr0 = 0, ttbr1 = 0, tcr = 0;

  [[nodiscard]] std::uint64_t sp() const { return stack; }
};

#endif

struct NamedRegister {
  std::string name;
  std::uint64_t value = 0;
};
/// All of them, in the order in which they are shown.
[[nodiscard]] std::vector<NamedRegister> registers_of(const CpuState& state);
/// All of them, four to a line.
[[nodiscard]] std::string to_string(const CpuState& state);

}  // namespace guestproof::ring0
