// The only place that dereferences guest memory: loads and stores that the compiler neither
// repeats, splits nor elides.
//
// Thread-safety: meant for memory that other parties write at the same time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace guestproof::volatile_access {

using Vector16 [[gnu::vector_size(16), gnu::aligned(1), gnu::may_alias]] = std::uint64_t;
using Word8 [[gnu::aligned(1), gnu::may_alias]] = std::uint64_t;
using Word4 [[gnu::aligned(1), gnu::may_alias]] = std::uint32_t;
using Word2 [[gnu::aligned(1), gnu::may_alias]] = std::uint16_t;
using Word1 [[gnu::may_alias]] = std::uint8_t;

template <std::size_t Size>
struct WordOfSize;
template <>
struct WordOfSize<16> {
  using Type = Vector16;
};
template <>
struct WordOfSize<8> {
  using Type = Word8;
};
template <>
struct WordOfSize<4> {
  using Type = Word4;
};
template <>
struct WordOfSize<2> {
  using Type = Word2;
};
template <>
struct WordOfSize<1> {
  using Type = Word1;
};

/// One load of 1, 2, 4, 8 or 16 bytes at any alignment.
template <class T>
  requires std::is_trivially_copyable_v<T>
[[nodiscard]] inline T load(const std::byte* from) {
  using Word = typename WordOfSize<sizeof(T)>::Type;
  const Word word = *reinterpret_cast<const volatile Word*>(from);
  T value;
  std::memcpy(static_cast<void*>(&value), &word, sizeof value);
  return value;
}

template <class T>
  requires std::is_trivially_copyable_v<T>
inline void store(std::byte* to, const T& value) {
  using Word = typename WordOfSize<sizeof(T)>::Type;
  Word word;
  std::memcpy(&word, static_cast<const void*>(&value), sizeof value);
  *reinterpret_cast<volatile Word*>(to) = word;
}

/// REQUIRES: `from` is aligned to sizeof(T); T is an unsigned integer.
template <class T>
[[nodiscard]] inline T load_acquire(const std::byte* from) {
  return __atomic_load_n(reinterpret_cast<const T*>(from), __ATOMIC_ACQUIRE);
}

template <class T>
inline void store_release(std::byte* to, T value) {
  __atomic_store_n(reinterpret_cast<T*>(to), value, __ATOMIC_RELEASE);
}

/// A copy that reads each source byte once. memcpy reads once too, but the compiler may forward a
/// later use of the destination to a second read of the source unless it forgets what it knows
/// about memory: the barrier makes it.
inline void copy_out(std::byte* to, const std::byte* from, std::size_t length) {
  if (length != 0) std::memcpy(to, from, length);
  asm volatile("" ::: "memory");
}

inline void copy_in(std::byte* to, const std::byte* from, std::size_t length) {
  asm volatile("" ::: "memory");
  if (length != 0) std::memcpy(to, from, length);
}

inline void fill(std::byte* to, std::size_t length, std::byte value) {
  if (length != 0) std::memset(to, std::to_integer<int>(value), length);
}

}  // namespace guestproof::volatile_access
