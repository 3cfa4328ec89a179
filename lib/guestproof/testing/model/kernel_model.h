// A second opinion on kernel images: what the specifications say of ELF, bzImage and the arm64
// Image, read byte by byte and loaded byte by byte. It shares no code with the loaders; offsets and
// limits are plain numbers, the latter being the library's policy.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "guestproof/testing/model/model_memory.h"

namespace guestproof::testing {

/// Something that an image says, under the name that an oracle's sentence gives it.
struct ModelFact {
  std::string_view name;
  std::uint64_t value = 0;

  friend bool operator==(const ModelFact&, const ModelFact&) = default;
};
using ModelFacts = std::vector<ModelFact>;

/// Physical addresses have 52 bits.
inline constexpr std::uint64_t kAllAddresses = std::uint64_t{1} << 52;

/// Whether [base, base + size) ends past `limit`, or wraps.
[[nodiscard]] bool passes(std::uint64_t base, std::uint64_t size, std::uint64_t limit);

/// All of it is memory that can be written.
[[nodiscard]] ModelError model_check_ram(const ModelMemory& memory, std::uint64_t base,
                                         std::uint64_t size);

class ElfModel {
 public:
  using View = std::span<const std::uint8_t>;

  /// What is wrong; facts() are those of the image when nothing is.
  [[nodiscard]] ModelError parse(View file);
  /// `protocol`: 0 the 64-bit entry, 1 PVH, 2 arm64. REQUIRES: parsed.
  [[nodiscard]] ModelError load(const ModelMemory& memory, unsigned protocol);
  [[nodiscard]] const ModelFacts& facts() const { return facts_; }

 private:
  struct Segment {
    std::uint64_t address = 0, size = 0, offset = 0, bytes = 0;
  };
  [[nodiscard]] ModelError segment(View header);
  [[nodiscard]] ModelError notes(View header);
  [[nodiscard]] ModelError pvh_entry(View descriptor);
  [[nodiscard]] ModelError entries(std::uint64_t entry, std::uint64_t headers);
  [[nodiscard]] bool in_file(std::uint64_t address) const;

  std::vector<std::uint8_t> file_;
  std::vector<Segment> segments_;
  std::optional<std::uint64_t> pvh_;
  std::map<unsigned, std::uint64_t> entries_;  // by protocol
  std::uint64_t start_ = 0, end_ = 0;
  ModelFacts facts_;
};

class BzImageModel {
 public:
  using View = std::span<const std::uint8_t>;

  [[nodiscard]] ModelError parse(View file);
  /// REQUIRES: parsed.
  [[nodiscard]] ModelError load(const ModelMemory& memory, std::uint64_t address);
  /// REQUIRES: parsed.
  [[nodiscard]] ModelError payload();
  [[nodiscard]] const ModelFacts& facts() const { return facts_; }

 private:
  [[nodiscard]] ModelError header() const;
  [[nodiscard]] ModelError kernel();
  [[nodiscard]] std::uint64_t default_address() const;
  [[nodiscard]] std::uint64_t field(std::size_t offset, std::size_t width) const {
    return number_in(file_, offset, width);
  }

  std::vector<std::uint8_t> file_;
  std::size_t kernel_at_ = 0, kernel_bytes_ = 0;
  ModelFacts facts_;
};

class Arm64ImageModel {
 public:
  using View = std::span<const std::uint8_t>;

  [[nodiscard]] ModelError parse(View file);
  /// REQUIRES: parsed.
  [[nodiscard]] ModelError load(const ModelMemory& memory, std::uint64_t base);
  [[nodiscard]] const ModelFacts& facts() const { return facts_; }

 private:
  std::vector<std::uint8_t> file_;
  ModelFacts facts_;
};

}  // namespace guestproof::testing
