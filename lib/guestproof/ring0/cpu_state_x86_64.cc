#if defined(__x86_64__)

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
    add(all, CpuState::kNames[i], state.general[i]);
    if (i % 4 == 3) all += '\n';
  }
  add(all, "rip", state.pc);
  add(all, "rflags", state.rflags);
  add(all, "cs", state.cs);
  add(all, "ss", state.ss);
  all += '\n';
  add(all, "cr0", state.cr0);
  add(all, "cr2", state.cr2);
  add(all, "cr3", state.cr3);
  add(all, "cr4", state.cr4);
  all += '\n';
  add(all, "efer", state.efer);
  return all + '\n';
}

}  // namespace guestproof::ring0

#endif
