// The terminal that the guest's serial line is: raw while the machine runs, also after it was
// stopped and goes on (SIGCONT), and as it was before on every way out: the end of the object,
// exit(3), and every signal that ends the process but SIGKILL and an overflow of the stack.
//
// Thread-safety: one object at a time.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "vmm/complaint.h"

namespace guestproof::vmm {

class RawTerminal {
 public:
  /// Standard input is a terminal: makes it raw. Else does nothing. Complaints: kFailure.
  [[nodiscard]] static Outcome<RawTerminal> enter();
  RawTerminal(RawTerminal&& other) noexcept;
  RawTerminal& operator=(RawTerminal&&) = delete;
  ~RawTerminal();

  [[nodiscard]] bool active() const { return active_; }

 private:
  explicit RawTerminal(bool active) : active_(active) {}
  bool active_;
};

/// What a person types at a raw terminal, where no key is the VMM's own: Ctrl-A is, and the next
/// key says what for. `x`: leave. Ctrl-A: one for the guest. All else is for the guest, Ctrl-A and
/// key.
class EscapeFilter {
 public:
  /// The bytes for the guest, appended to `out`; true when it is time to leave.
  [[nodiscard]] bool filter(std::span<const std::byte> typed, std::vector<std::byte>& out);

 private:
  bool escaped_ = false;
};

}  // namespace guestproof::vmm
