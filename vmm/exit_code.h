// How the process says what became of the machine. The numbers are part of the interface.
#pragma once

namespace guestproof::vmm {

enum class ExitCode : int {
  kPowerOff = 0,  // the guest has powered the machine off
  kFailure = 1,   // the host: KVM, or a system call that does not fail
  kUsage = 2,     // the command line or the configuration file is wrong
  kSetup = 3,     // a file, an interface or the memory that was asked for cannot be had
  kStopped = 4,   // Ctrl-A x, or a signal, and the guest could or did not power off
  kReset = 10,    // the guest has asked for a reset
  kTripleFault = 11,
  kPanic = 12,      // the guest's kernel has said that it panicked
  kEmulation = 13,  // KVM cannot go on with the guest's instruction or state
};

}  // namespace guestproof::vmm
