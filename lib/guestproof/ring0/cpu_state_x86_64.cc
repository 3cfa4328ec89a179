#if defined(__x86_64__)

#include "guestproof/ring0/cpu_state.h"

namespace guestproof::ring0 {

std::vector<NamedRegister> registers_of(const CpuState& state) {
  std::vector<NamedRegister> all;
  all.reserve(state.general.size() + 9);
  for (std::size_t i = 0; i < state.general.size(); ++i)
    all.push_back({std::string(CpuState::kNames[i]), state.general[i]});
  all.insert(all.end(), {{"rip", state.pc},
                         {"rflags", state.rflags},
                         {"cs", state.cs},
                         {"ss", state.ss},
                         {"cr0", state.cr0},
                         {"cr2", state.cr2},
                         {"cr3", state.cr3},
                         {"cr4", state.cr4},
                         {"efer", state.efer}});
  return all;
}

}  // namespace guestproof::ring0

#endif
