// The byte form of saved state: tagged, sized, versioned sections.
//
// All numbers are little-endian:
//
//   offset size field                      offset size field
//   0      4    magic "GPKS"               8      4    kind (1 vCPU, 2 machine)
//   4      2    version (1)                12     4    length, of everything
//   6      2    architecture (ELF e_machine)
//
// Sections follow, in the order of their tags, each tag once: tag (4 bytes), length of the payload
// (4 bytes), the payload, zeros up to a multiple of 8. A structure may be followed by zeros in its
// section, because kernels extend structures at their end; anything else there is state that this
// library would lose, and is refused. So are tags that it does not know.
//
// Encoder and Decoder have the same members, so that a state lists its fields once (state.cc).
//
// Thread-safety: values; one owner.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "guestproof/base/endian.h"
#include "guestproof/kvm/error.h"

namespace guestproof::kvm {

enum class StateError : std::uint16_t {
  kBytes,
  kMagic,
  kVersion,
  kArchitecture,
  kKind,
  kLength,
  kSectionHeader,
  kSectionLength,
  kSectionOrder,
  kPadding,
  kMissing,
  kUnknown,
  kShort,
  kTail,
  kUneven,
  kRegisterSize,
  kChipId,
};
const ErrorDomain& error_domain(StateError);

enum class StateKind : std::uint32_t { kVcpu = 1, kVm = 2 };

inline constexpr std::size_t kStateHeaderBytes = 16;
inline constexpr std::size_t kSectionHeaderBytes = 8;
/// More is no state of one vCPU or one machine: XSAVE with AMX has 11 KiB, nested state 8 KiB.
inline constexpr std::size_t kMaxStateBytes = std::size_t{1} << 20;

/// A register by its id, as KVM_GET_ONE_REG has it.
struct Register {
  std::uint64_t id = 0;
  std::vector<std::byte> value;

  friend bool operator==(const Register&, const Register&) = default;
};
/// The widest register that KVM knows: 2048 bits of SVE.
inline constexpr std::size_t kMaxRegisterBytes = 256;

class Encoder {
 public:
  explicit Encoder(StateKind kind);

  /// A structure, byte by byte.
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void object(std::uint32_t tag, const T& object) {
    section(tag, std::as_bytes(std::span(&object, 1)));
  }
  /// No section, when there is none.
  template <class T>
  void object(std::uint32_t tag, const std::optional<T>& maybe) {
    if (maybe) object(tag, *maybe);
  }
  /// A FlexArray or NestedState: whatever has bytes() and from_bytes().
  template <class T>
  void blob(std::uint32_t tag, const T& value) {
    section(tag, value.bytes());
  }
  template <class T>
  void blob(std::uint32_t tag, const std::optional<T>& maybe) {
    if (maybe) blob(tag, *maybe);
  }
  /// Entries without a count.
  template <class T>
  void list(std::uint32_t tag, const std::vector<T>& entries) {
    section(tag, std::as_bytes(std::span(entries)));
  }
  void registers(std::uint32_t tag, const std::vector<Register>& registers);

  [[nodiscard]] std::vector<std::byte> finish() &&;

 private:
  void section(std::uint32_t tag, std::span<const std::byte> payload);

  std::vector<std::byte> bytes_;
};

/// Takes sections; the first thing that is wrong is what finish() says, and nothing is taken after
/// it.
class Decoder {
 public:
  Decoder(std::span<const std::byte> bytes, StateKind kind);

  template <class T>
    requires std::is_trivially_copyable_v<T>
  void object(std::uint32_t tag, T& object) {
    if (const auto payload = required(tag)) take(tag, *payload, object);
  }
  template <class T>
  void object(std::uint32_t tag, std::optional<T>& maybe) {
    if (const auto payload = next(tag)) take(tag, *payload, maybe.emplace());
  }
  template <class T>
  void blob(std::uint32_t tag, T& value) {
    if (const auto payload = required(tag)) take_blob(*payload, value);
  }
  template <class T>
  void blob(std::uint32_t tag, std::optional<T>& maybe) {
    if (const auto payload = next(tag)) take_blob(*payload, maybe);
  }
  template <class T>
  void list(std::uint32_t tag, std::vector<T>& entries) {
    const auto payload = required(tag);
    if (!payload) return;
    if (payload->size() % sizeof(T) != 0) return refuse(StateError::kUneven, tag, sizeof(T));
    entries.resize(payload->size() / sizeof(T));
    if (!entries.empty()) std::memcpy(entries.data(), payload->data(), payload->size());
  }
  void registers(std::uint32_t tag, std::vector<Register>& registers);

  /// Errors: StateError; what a blob's from_bytes() says.
  [[nodiscard]] Result<void> finish() &&;

 private:
  struct Section {
    std::uint32_t tag;
    std::span<const std::byte> payload;
  };
  void refuse(StateError code, std::uint64_t value, std::uint64_t limit) {
    if (!error_) error_ = Error(code, value, limit);
  }
  [[nodiscard]] bool check_header(StateKind kind);
  [[nodiscard]] bool check_end(std::span<const std::byte> bytes);
  /// The section of that tag, when it comes next. What comes before it is unknown.
  [[nodiscard]] std::optional<std::span<const std::byte>> next(std::uint32_t tag);
  [[nodiscard]] std::optional<std::span<const std::byte>> required(std::uint32_t tag);
  [[nodiscard]] std::optional<Section> read_section();

  template <class T>
  void take(std::uint32_t tag, std::span<const std::byte> payload, T& object) {
    if (payload.size() < sizeof(T)) return refuse(StateError::kShort, payload.size(), sizeof(T));
    const auto tail = payload.subspan(sizeof(T));
    if (std::ranges::any_of(tail, [](std::byte b) { return b != std::byte{0}; }))
      return refuse(StateError::kTail, tag, sizeof(T));
    std::memcpy(&object, payload.data(), sizeof(T));
  }
  template <class Holder>
  void take_blob(std::span<const std::byte> payload, Holder& holder) {
    auto value = from_bytes(payload, holder);
    if (!value) {
      if (!error_) error_ = value.error();
      return;
    }
    holder = std::move(*value);
  }
  template <class T>
  static Result<T> from_bytes(std::span<const std::byte> payload, const T&) {
    return T::from_bytes(payload);
  }
  template <class T>
  static Result<T> from_bytes(std::span<const std::byte> payload, const std::optional<T>&) {
    return T::from_bytes(payload);
  }

  std::span<const std::byte> rest_;
  std::optional<Section> ahead_;  // read, not taken yet
  std::uint32_t last_tag_ = 0;
  std::optional<Error> error_;
};

}  // namespace guestproof::kvm
