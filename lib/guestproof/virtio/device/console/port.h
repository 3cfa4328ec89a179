// The host's end of a console port: where the guest's bytes go, and where bytes for the guest come
// from.
//
// Thread-safety: a port is called by one device at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "guestproof/base/error.h"

namespace guestproof::virtio::console {

class ConsolePort {
 public:
  ConsolePort() = default;
  ConsolePort(const ConsolePort&) = delete;
  ConsolePort& operator=(const ConsolePort&) = delete;
  virtual ~ConsolePort() = default;

  /// Takes the front of the guest's bytes, which are not empty; how many. 0: none now, the guest
  /// has to wait; output_fd() becomes writable when some are taken again. An error: the rest of the
  /// buffer that they came from is dropped.
  [[nodiscard]] virtual Result<std::size_t> write(std::span<const std::byte> in) = 0;
  /// Fills the front of `out`, which is not empty, with bytes for the guest; how many. 0: there are
  /// none now; input_fd() becomes readable when there are again. An error is for the VMM to hear
  /// of; there are no bytes then.
  [[nodiscard]] virtual Result<std::size_t> read(std::span<std::byte> out) = 0;
  /// A character of a guest that is in trouble (§5.3.5.1): to be shown at once, before and without
  /// all queues, or to be dropped.
  virtual void emergency(std::byte character) { static_cast<void>(write({&character, 1})); }
  /// The guest has opened or closed its end (VIRTIO_CONSOLE_F_MULTIPORT only).
  virtual void guest_opened(bool /*open*/) {}

  // What tells the device when to try again; −1 for nothing, also when there never will be anything
  // again. The two are not the same descriptor.
  [[nodiscard]] virtual int input_fd() const { return -1; }
  [[nodiscard]] virtual int output_fd() const { return -1; }
};

/// The most bytes of a port's name: a message with it fits into every buffer that drivers give.
inline constexpr std::size_t kMaxNameBytes = 120;

/// A port as the VMM has it.
struct PortOffer {
  ConsolePort* port = nullptr;  // outlives the device
  // What follows is for VIRTIO_CONSOLE_F_MULTIPORT.
  std::string name = {};  // UTF-8, at most kMaxNameBytes; empty: none
  bool console = false;   // to be used as a console
  bool plugged = true;    // exists from the beginning
  bool host_open = true;  // somebody is at the host's end
};

}  // namespace guestproof::virtio::console
