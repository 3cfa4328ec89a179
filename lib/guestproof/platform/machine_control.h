// What a guest can ask of the machine as a whole, and what it says of itself.
//
// Thread-safety: the implementer's; it is called in a vCPU's access.
#pragma once

#include <cstdint>

namespace guestproof::platform {

enum class MachineRequest : std::uint8_t {
  kReset,
  kPowerOff,
  kPanic,  // the guest's kernel has panicked; a reset may follow
};

class MachineControl {
 public:
  /// To be noted, and done when the access is over: the device goes on as if nothing were. A guest
  /// may ask again before that. Must not use the device in this call.
  virtual void request(MachineRequest what) = 0;

 protected:
  ~MachineControl() = default;
};

}  // namespace guestproof::platform
