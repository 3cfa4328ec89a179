// How often a program has allocated memory: for tests of what must not allocate any.
//
// For one source of a program: it replaces the global operator new, and a replacement must not be
// inline.
#pragma once

#include <cstdlib>
#include <new>

namespace guestproof {

inline std::size_t allocations = 0;

}  // namespace guestproof

[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++guestproof::allocations;
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
