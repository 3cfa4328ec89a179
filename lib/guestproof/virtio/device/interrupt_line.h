// A level-triggered interrupt, as the machine has it.
#pragma once

namespace guestproof::virtio {

class InterruptLine {
 public:
  InterruptLine() = default;
  InterruptLine(const InterruptLine&) = delete;
  InterruptLine& operator=(const InterruptLine&) = delete;
  virtual ~InterruptLine() = default;

  /// Asserted at every notification, so that an edge-triggered line sees each of them; deasserted
  /// when the driver has acknowledged all.
  virtual void set(bool asserted) = 0;
};

}  // namespace guestproof::virtio
