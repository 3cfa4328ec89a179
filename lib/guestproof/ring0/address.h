// Addresses of this process, which a guest has in its registers, as pointers.
//
// Thread-safety: a function of its argument.
#pragma once

#include <cstdint>

namespace guestproof::ring0 {

/// Whether anything is there is the caller's to know. (What clang-tidy warns of, that the optimizer
/// knows nothing of such a pointer, is what is wanted.)
template <class T>
[[nodiscard]] T* pointer_to(std::uint64_t address) {
  return reinterpret_cast<T*>(address);  // NOLINT(performance-no-int-to-ptr)
}

}  // namespace guestproof::ring0
