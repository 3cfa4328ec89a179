// Changing scenario programs the way a fuzzing engine wants it: records inserted, removed,
// repeated, moved and edited field by field with the values at which code changes its mind. Shared
// by the libFuzzer targets, the AFL++ mutator library and the properties.
//
// Thread-safety: none; the random numbers come from the caller's seed alone.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string_view>

#include "guestproof/testing/scenario/record.h"

namespace guestproof::testing {

/// The opcodes that a target acts upon, the more often listed the more likely. All of them for an
/// unknown name.
[[nodiscard]] std::span<const Opcode> vocabulary(std::string_view target);

class Mutator {
 public:
  Mutator(std::span<const Opcode> opcodes, std::uint32_t seed) : opcodes_(opcodes), random_(seed) {}

  /// One to four changes; at most max_records records are left. REQUIRES: max_records ≥ 1.
  void mutate(Program& program, std::size_t max_records);
  /// Part of one program, then part of another, or one spliced into the other.
  [[nodiscard]] Program cross(const Program& a, const Program& b, std::size_t max_records);
  /// A record of the vocabulary with plausible fields.
  [[nodiscard]] Record random_record();

 private:
  /// REQUIRES: bound ≥ 1, as the size of a field or of what is not empty is.
  [[nodiscard]] std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(random_() % bound);  // NOLINT(clang-analyzer-core.DivideZero)
  }
  [[nodiscard]] std::uint64_t number(std::size_t bytes);
  void change(Program& program, std::size_t max_records);
  void edit(Record& record);
  void edit_field(Record& record, const Field& field);
  void insert(Program& program, const Record& record, std::size_t max_records);
  void insert_idiom(Program& program, std::size_t max_records);

  std::span<const Opcode> opcodes_;
  std::minstd_rand random_;
};

}  // namespace guestproof::testing
