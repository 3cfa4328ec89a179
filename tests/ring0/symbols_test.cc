#include "guestproof/ring0/symbols.h"

#include <gmock/gmock.h>

#include "guestproof/ring0/backtrace.h"
#include "guestproof/ring0/elf_symbols.h"
#include "scratch.h"

namespace guestproof::ring0 {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

[[gnu::noinline]] std::uint64_t here() {
  return reinterpret_cast<std::uint64_t>(__builtin_return_address(0));
}

TEST(Symbols, NameFunctionFileAndLine) {
  const std::uint64_t address = here() - 1;
  const int line = __LINE__ - 1;
  const auto symbols = symbolise(std::array{address, std::uint64_t{1}});
  ASSERT_EQ(symbols.size(), 2U);
  EXPECT_THAT(symbols[0].front().function, HasSubstr("Symbols_NameFunctionFileAndLine_Test"));
  EXPECT_THAT(symbols[0].front().file, EndsWith("ring0/symbols_test.cc"));
  EXPECT_EQ(symbols[0].front().line, line);
  EXPECT_EQ(symbols[1].front().function, "");
  EXPECT_EQ(symbols[1].front().module, "");
}

TEST(Symbols, KnowFunctionsWithoutAnyTool) {
  const std::string path = ::getenv("PATH") != nullptr ? ::getenv("PATH") : "";
  ::setenv("PATH", "/nowhere", 1);
  const auto symbols = symbolise(std::array{here()});
  ::setenv("PATH", path.c_str(), 1);
  EXPECT_THAT(symbols[0].front().function, HasSubstr("Symbols_KnowFunctionsWithoutAnyTool_Test"));
  EXPECT_EQ(symbols[0].front().line, 0);
  EXPECT_NE(symbols[0].front().offset, 0U);
}

TEST(Symbols, OfFilesThatAreNoProgramsAreNone) {
  const Scratch scratch;
  EXPECT_EQ(function_at(scratch.path("nothing"), 0), "");
  EXPECT_EQ(function_at(scratch.file("empty", ""), 0), "");
  EXPECT_EQ(function_at(scratch.file("text", std::string(4096, 'x')), 0), "");
  auto elf = contents("/proc/self/exe").substr(0, 64);
  EXPECT_EQ(function_at(scratch.file("cut", elf), 0), "") << "its sections are not there";
  std::fill(elf.begin() + 0x28, elf.end(), '\xff');
  EXPECT_EQ(function_at(scratch.file("wild", elf), 0), "");
}

#if defined(__x86_64__)
CpuState registers_here() {
  CpuState state;
  asm("mov %%rsp, %0; mov %%rbp, %1; lea (%%rip), %2"
      : "=r"(state.general[CpuState::kRsp]), "=r"(state.general[CpuState::kRbp]), "=r"(state.pc));
  return state;
}

TEST(Backtrace, FollowsTheStackOfStrangeRegisters) {
  const auto state = registers_here();
  std::array<std::uint64_t, 64> addresses{};
  // registers_here() has returned: what is left of its frame is enough for the address it had.
  const auto count = backtrace(state, std::span(addresses).first(1));
  ASSERT_EQ(count, 1U);
  EXPECT_EQ(addresses[0], state.pc);
}

TEST(Backtrace, OfNoCodeAndNoStackIsTheAddressAlone) {
  CpuState state;
  state.pc = 0x10;
  state.general[CpuState::kRsp] = 0x20;
  std::array<std::uint64_t, 4> addresses{};
  ASSERT_EQ(backtrace(state, addresses), 1U);
  EXPECT_EQ(addresses[0], 0x10U);
  EXPECT_EQ(backtrace(state, {}), 0U);
}

TEST(Backtrace, OfCodeOnNoStackEndsWithIt) {
  CpuState state = registers_here();
  state.general[CpuState::kRsp] = 0x20;
  state.general[CpuState::kRbp] = 0x20;
  std::array<std::uint64_t, 4> addresses{};
  ASSERT_GE(backtrace(state, addresses), 1U);
  EXPECT_EQ(addresses[0], state.pc);
}
#endif

}  // namespace
}  // namespace guestproof::ring0
