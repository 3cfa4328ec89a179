// Addresses of this process, which a guest has in its registers, as pointers, and objects in a
// guest's memory.
//
// Thread-safety: functions of their arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace guestproof::ring0 {

/// Whether anything is there is the caller's to know. (What clang-tidy warns of, that the optimizer
/// knows nothing of such a pointer, is what is wanted.)
template <class T>
[[nodiscard]] T* pointer_to(std::uint64_t address) {
  return reinterpret_cast<T*>(address);  // NOLINT(performance-no-int-to-ptr)
}

/// The object's bytes into memory that a guest will have, `at` bytes from its begin.
template <class T>
  requires std::is_trivially_copyable_v<T>
void put(std::span<std::byte> memory, std::uint64_t at, const T& value) {
  std::memcpy(memory.subspan(at, sizeof value).data(), &value, sizeof value);
}

}  // namespace guestproof::ring0
