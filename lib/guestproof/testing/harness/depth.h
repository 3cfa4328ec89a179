// Depth counters: how often a target reached what it is there to reach. Every counter is known from
// the start, so that what was never reached shows as 0.
//
// Thread-safety: none. The counts may lie in memory that outlives the process (bind()).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "guestproof/base/error.h"

namespace guestproof::testing {

class Depth {
 public:
  using Index = std::size_t;

  /// Registers a counter, e.g. "request:in", and gives its index.
  Index add(std::string name);
  /// Registers `error:<domain>.<name>` for every enumerator of a domain but those that the target
  /// can never see.
  template <ErrorEnum E>
  void add_errors(std::initializer_list<E> unreachable = {}) {
    std::vector<std::uint16_t> codes;
    for (const auto e : unreachable) codes.push_back(static_cast<std::uint16_t>(e));
    add_domain(error_domain(E{}), codes);
  }

  void count(Index index) { ++counts_[index]; }
  /// Counts an error of a registered domain; others are not counted. REQUIRES: not one that was
  /// registered as unreachable.
  void count(const Error& error);

  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] std::uint64_t value(Index index) const { return counts_[index]; }
  /// Moves the counts to where `cells` are, going on from what they hold. REQUIRES: one cell per
  /// counter, of a stride in u64.
  void bind(std::uint64_t* first, std::size_t stride);

 private:
  struct Domain {
    const ErrorDomain* domain;
    std::vector<std::optional<Index>> counters;  // by error code
  };
  void add_domain(const ErrorDomain& domain, std::span<const std::uint16_t> unreachable);

  /// A counter's place: in own_ until bind().
  class Cells {
   public:
    std::uint64_t& operator[](Index index) {
      return base_ == nullptr ? own_[index] : base_[index * stride_];
    }
    const std::uint64_t& operator[](Index index) const {
      return base_ == nullptr ? own_[index] : base_[index * stride_];
    }
    void grow() { own_.push_back(0); }
    void bind(std::uint64_t* base, std::size_t stride) {
      base_ = base;
      stride_ = stride;
    }

   private:
    std::vector<std::uint64_t> own_;
    std::uint64_t* base_ = nullptr;
    std::size_t stride_ = 1;
  };

  std::vector<std::string> names_;
  std::vector<Domain> domains_;
  Cells counts_;
};

}  // namespace guestproof::testing
