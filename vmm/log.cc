#include "vmm/log.h"

#include <poll.h>
#include <unistd.h>

#include <string>

namespace guestproof::vmm {

void log(std::string_view line, Urgency urgency) {
  const std::string text = std::string("guestproof-vmm: ").append(line).append("\n");
  ::pollfd reader{STDERR_FILENO, POLLOUT, 0};
  constexpr int kSecond = 1000;
  if (::poll(&reader, 1, urgency == Urgency::kLastWords ? kSecond : 0) <= 0) return;
  // There is nobody to tell that nothing can be told.
  if (::write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

}  // namespace guestproof::vmm
