// Typed errors: what was wrong, with the value and the limit.
//
// An Error is an enumerator of some domain (queue, memory, block, ...) plus the offending value and
// the limit it broke. It owns nothing and allocates nothing; message() turns it into a sentence
// when somebody wants to read it. Not here: exceptions (none crosses this library's interface) and
// strings on hot paths.
//
// Thread-safety: Error is a value; everything it points to is constant.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace guestproof {

/// One enumerator of a domain: a stable name for reports and counters, and a sentence with
/// placeholders
/// `{value}`, `{limit}` (decimal), `{value:x}`, `{limit:x}` (hexadecimal) and `{errno}` (the value
/// as an errno text).
struct ErrorEntry {
  std::uint16_t code;
  std::string_view name;
  std::string_view sentence;

  template <class E>
  constexpr ErrorEntry(E enumerator, std::string_view entry_name, std::string_view text)
      : code(static_cast<std::uint16_t>(enumerator)), name(entry_name), sentence(text) {}
};

/// A family of errors. `entries[i].code == i` holds for every domain (see error_entries_are_dense).
struct ErrorDomain {
  std::string_view name;
  std::span<const ErrorEntry> entries;
};

/// True when the table lists enumerators 0, 1, 2, ... in order, without a gap. Meant for a
/// static_assert beside the table.
template <std::size_t N>
consteval bool error_entries_are_dense(const std::array<ErrorEntry, N>& entries) {
  for (std::size_t i = 0; i < N; ++i)
    if (entries[i].code != i) return false;
  return true;
}

/// An enumeration is an error domain when `const ErrorDomain& error_domain(E)` is found by
/// argument-dependent look-up.
template <class E>
concept ErrorEnum = std::is_enum_v<E> && requires(E e) {
  { error_domain(e) } -> std::same_as<const ErrorDomain&>;
};

class [[nodiscard]] Error {
 public:
  template <ErrorEnum E>
  constexpr Error(E code, std::uint64_t value = 0, std::uint64_t limit = 0)
      : domain_(&error_domain(code)),
        value_(value),
        limit_(limit),
        code_(static_cast<std::uint16_t>(code)) {}

  [[nodiscard]] constexpr std::uint64_t value() const { return value_; }
  [[nodiscard]] constexpr std::uint64_t limit() const { return limit_; }
  [[nodiscard]] constexpr std::uint16_t code() const { return code_; }
  [[nodiscard]] constexpr const ErrorDomain& domain() const { return *domain_; }

  /// The enumerator, when the error belongs to domain E.
  template <ErrorEnum E>
  [[nodiscard]] constexpr std::optional<E> as() const {
    if (domain_ != &error_domain(E{})) return std::nullopt;
    return static_cast<E>(code_);
  }

  /// Same domain and enumerator; value and limit do not count.
  template <ErrorEnum E>
  friend constexpr bool operator==(const Error& error, E code) {
    return error.as<E>() == code;
  }
  friend constexpr bool operator==(const Error&, const Error&) = default;

  /// `domain.enumerator`, e.g. "queue.avail_index".
  [[nodiscard]] std::string name() const;
  /// A sentence that says what was wrong, with the value and the limit.
  [[nodiscard]] std::string message() const;

 private:
  const ErrorDomain* domain_;
  std::uint64_t value_;
  std::uint64_t limit_;
  std::uint16_t code_;
};

template <class T>
using Result = std::expected<T, Error>;

/// `return fail(QueueError::kHeadIndex, head, size);`
template <ErrorEnum E>
[[nodiscard]] constexpr std::unexpected<Error> fail(E code, std::uint64_t value = 0,
                                                    std::uint64_t limit = 0) {
  return std::unexpected(Error(code, value, limit));
}

/// A failed system call: the value is errno, the enumerator says which call.
enum class SystemError : std::uint16_t {
  kOpen,
  kStat,
  kRead,
  kWrite,
  kSync,
  kAllocate,
  kMap,
  kTruncate,
  kMemfd,
  kEventFd,
  kRing,
  kSubmit,
  kDiscard,
  kWatch,
};
const ErrorDomain& error_domain(SystemError);

}  // namespace guestproof
