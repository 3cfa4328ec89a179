#if defined(__aarch64__)

#include <array>

#include "guestproof/ring0/cpu_state.h"
#include "guestproof/ring0/text.h"

namespace guestproof::ring0 {
namespace {

void add(std::string& to, std::string_view name, std::uint64_t value) {
  Text text;
  text << name;
  for (auto length = name.size(); length < 7; ++length) text << ' ';
  text << Text::Hex{value, 16};
  to += "  " + std::string(text.view());
}

}  // namespace

std::string to_string(const CpuState& state) {
  std::string all;
  for (std::size_t i = 0; i < state.general.size(); ++i) {
    add(all, "x" + std::to_string(i), state.general[i]);
    if (i % 4 == 3) all += '\n';
  }
  add(all, "sp", state.stack);
  all += '\n';
  add(all, "pc", state.pc);
  add(all, "pstate", state.pstate);
  add(all, "esr", state.esr);
  add(all, "far", state.far);
  all += '\n';
  add(all, "sctlr", state.sctlr);
  add(all, "ttbr0", state.ttbr0);
  add(all, "ttbr1", state.ttbr1);
  add(all, "tcr", state.tcr);
  return all + '\n';
}

}  // namespace guestproof::ring0

#endif
