#include "guestproof/ring0/cpu_state.h"

#include "guestproof/ring0/text.h"

namespace guestproof::ring0 {

std::string to_string(const CpuState& state) {
  constexpr std::size_t kToALine = 4, kNameLength = 7;
  std::string all;
  std::size_t count = 0;
  for (const auto& [name, value] : registers_of(state)) {
    if (count != 0 && count % kToALine == 0) all += '\n';
    ++count;
    Text number;
    number << Text::Hex{value, 16};
    all += "  " + name + std::string(kNameLength - name.size(), ' ') + std::string(number.view());
  }
  return all + '\n';
}

}  // namespace guestproof::ring0
