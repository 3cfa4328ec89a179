// A kernel that is nothing but the way into a test: what a virtual machine monitor that boots
// kernels has to boot in order to run a test in ring 0 (visitor.h). It keeps what it found in the
// processor, for tests of that.
//
//   x86_64: an ELF64 file, entered in 64-bit mode, or (PVH) in 32-bit mode without paging
//
// Thread-safety: values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "guestproof/ring0/address.h"
#include "guestproof/ring0/guest.h"
#include "guestproof/ring0/supervisor.h"

namespace guestproof::ring0 {

#if defined(__x86_64__)

/// Guest-physical addresses that the kernel takes, which it has in the test's address space, too.
inline constexpr std::uint64_t kKernelBase = 0x100000;
inline constexpr std::uint64_t kKernelSize = 5 * kPageSize;

/// The registers as they were at the kernel's first instruction. After an entry in 32-bit mode,
/// general registers have 32 bits.
struct EntryState {
  std::uint64_t rax = 0, rbx = 0, rcx = 0, rdx = 0;
  std::uint64_t rsi = 0, rdi = 0, rbp = 0, rsp = 0;
  std::array<std::uint64_t, 8> r8_to_r15{};
  std::uint64_t rflags = 0;
  std::uint64_t cr0 = 0, cr3 = 0, cr4 = 0, efer = 0;
  std::uint64_t cs = 0, ds = 0, es = 0, fs = 0, gs = 0, ss = 0, tr = 0;
  DescriptorTable gdtr;
  std::array<std::uint8_t, 6> padding{};
  DescriptorTable idtr;
  std::array<std::uint8_t, 6> padding2{};
  std::uint64_t mxcsr = 0;
  std::uint64_t fcw = 0;
};
static_assert(sizeof(EntryState) == 0x110);

/// In ring 0.
[[nodiscard]] inline const EntryState& at_entry() {
  return *pointer_to<const EntryState>(kKernelBase + 0x1100);
}

enum class KernelEntry : std::uint8_t { k64Bit, kPvh };

/// The file. It goes to `arrival` by itself, when the machine is as supervisor() is.
[[nodiscard]] std::vector<std::byte> kernel_image(const Arrival& arrival, KernelEntry entry);

#endif

}  // namespace guestproof::ring0
