#if defined(__aarch64__)

#include "guestproof/ring0/cpu_state.h"

namespace guestproof::ring0 {

std::vector<NamedRegister> registers_of(const CpuState& state) {
  std::vector<NamedRegister> all;
  all.reserve(state.general.size() + 9);
  for (std::size_t i = 0; i < state.general.size(); ++i)
    all.push_back({"x" + std::to_string(i), state.general[i]});
  all.insert(all.end(), {{"sp", state.stack},
                         {"pc", state.pc},
                         {"pstate", state.pstate},
                         {"esr", state.esr},
                         {"far", state.far},
                         {"sctlr", state.sctlr},
                         {"ttbr0", state.ttbr0},
                         {"ttbr1", state.ttbr1},
                         {"tcr", state.tcr}});
  return all;
}

}  // namespace guestproof::ring0

#endif
