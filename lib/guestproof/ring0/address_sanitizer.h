// What AddressSanitizer needs to follow a test into ring 0, in a program that is built with it: it
// is told which stack a thread is on, and what its runtime asks the kernel for is done for it.
//
// Thread-safety: by each vCPU's thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace guestproof::ring0 {

/// What a guest asks a kernel for that is not there.
struct SystemCall {
  std::uint64_t number = 0;
  std::array<std::uint64_t, 6> arguments{};
};

/// Makes the system call, when it is one that AddressSanitizer's runtime makes for memory of its
/// allocator, for its locks or to throw an exception; its value, which may be -errno. Nothing when
/// it is another, or the program is without AddressSanitizer.
[[nodiscard]] std::optional<std::uint64_t> serve_address_sanitizer(const SystemCall& call);

/// Says on which stack this thread's code runs.
class StackSwitch {
 public:
  explicit StackSwitch(std::span<const std::byte> guest) : guest_(guest) {}
  void enter_guest();
  void leave_guest();

 private:
  std::span<const std::byte> guest_;
  std::span<const std::byte> host_{};
  void* frames_of_guest_ = nullptr;  // those that are on the heap
  void* frames_of_host_ = nullptr;
};

}  // namespace guestproof::ring0
