// An interrupt line, as the machine has it: an input of an interrupt controller, or an irqfd.
//
// Thread-safety: the implementer's; devices call it while they are accessed.
#pragma once

namespace guestproof {

class InterruptLine {
 public:
  InterruptLine() = default;
  InterruptLine(const InterruptLine&) = delete;
  InterruptLine& operator=(const InterruptLine&) = delete;
  virtual ~InterruptLine() = default;

  /// May repeat the level that the line has: a virtio device asserts it at every notification, so
  /// that an edge-triggered input sees each of them, and deasserts it when the driver has
  /// acknowledged all. Must not use the device in this call.
  virtual void set(bool asserted) = 0;
};

}  // namespace guestproof
