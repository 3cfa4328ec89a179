// What every model works with: guest memory as plain bytes and numbers, and errors by their names.
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "guestproof/testing/watched_memory.h"

namespace guestproof::testing {

/// The little-endian number in all of these bytes. REQUIRES: there are 8 at most.
[[nodiscard]] std::uint64_t number_in(std::span<const std::uint8_t> bytes);
/// In `width` of them from `at` on.
[[nodiscard]] std::uint64_t number_in(std::span<const std::uint8_t> bytes, std::size_t at,
                                      std::size_t width);
/// Writes the lowest `width` bytes of a number, the others of a wider width are 0.
void put_number(std::span<std::uint8_t> bytes, std::size_t at, std::size_t width,
                std::uint64_t number);
void append_number(std::vector<std::uint8_t>& bytes, std::size_t width, std::uint64_t number);

/// Bytes of guest memory for models: whole reads and writes, no errors but "not all of it is
/// there".
class ModelMemory {
 public:
  explicit ModelMemory(const WatchedMemory& memory) : memory_(&memory) {}

  /// Reads up to out.size() bytes; how many could be read before the first that is not in memory.
  std::size_t read(std::uint64_t address, std::span<std::uint8_t> out) const;
  /// Writes up to in.size() bytes; how many could be written.
  std::size_t write(std::uint64_t address, std::span<const std::uint8_t> in) const;
  /// A little-endian number of 1 to 8 bytes. REQUIRES: in memory.
  [[nodiscard]] std::uint64_t number(std::uint64_t address, std::size_t bytes) const;
  void put_number(std::uint64_t address, std::size_t bytes, std::uint64_t number) const;
  /// How many of `bytes` bytes lie in (writable) memory before the first that does not.
  [[nodiscard]] std::uint64_t reachable(std::uint64_t address, std::uint64_t bytes,
                                        bool writable) const;

 private:
  const WatchedMemory* memory_;
};

/// What a model refuses: the name of the library's error, its value and its limit.
struct ModelError {
  std::string_view name;  // empty: nothing is wrong
  std::uint64_t value = 0;
  std::uint64_t limit = 0;

  [[nodiscard]] bool none() const { return name.empty(); }
};

}  // namespace guestproof::testing
