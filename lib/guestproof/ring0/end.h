// How a test's guest ended: what the host that served it says to the process of the tests.
//
// Thread-safety: values.
#pragma once

#include <array>
#include <cstdint>

#include "guestproof/ring0/cpu_state.h"

namespace guestproof::ring0 {

enum class EndKind : std::uint32_t {
  kReturned,  // all vCPUs did
  kStopped,   // a K_ASSERT, K_FAIL or K_SKIP
  kVector,    // an exception or interrupt; value: its error code (x86_64), or ESR_EL1
  kHalt,      // hlt
  kTripleFault,
  kTimeout,
  kRead,         // of a port or address that nobody answers; value: the width
  kWrite,        // value: the width; data: what was written
  kInstruction,  // that this KVM cannot execute
  kExit,         // any other of KVM's; vector: its reason
  kHost,         // the host's side failed; a text of it follows
};

struct EndRecord {
  EndKind kind{};
  std::uint32_t vcpu = 0;
  std::uint32_t vector = 0;
  std::uint32_t instruction_length = 0;
  std::uint64_t address = 0;  // of a fault (CR2, FAR_EL1), a port, an access
  std::uint64_t value = 0;
  std::uint64_t data = 0;
  bool started = false;    // of kHost: the guest had begun
  bool port = false;       // of kRead and kWrite: address is a port
  bool emulates = false;   // of kInstruction: this KVM emulates guest code
  bool fault = false;      // of kVector: address is where, for lack of a page or a right
  bool forbidden = false;  // there is a page, without the right
  bool overflow = false;   // of kVector: of the test's stack
  std::array<std::uint8_t, 16> instruction{};  // the bytes at the state's pc
  CpuState state{};
};

}  // namespace guestproof::ring0
