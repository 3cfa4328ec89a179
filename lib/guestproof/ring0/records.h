// What a test in ring 0 has to say: records in a ring of bytes, one for each vCPU, which the guest
// (and, between its runs, the host that serves it) writes and the process of the tests reads.
//
// The guest can write anything over it. The reader reads every number once, checks it, and copies
// what it hands out; a ring that makes no sense is a typed error, and the end of that ring.
//
// Thread-safety: one writer and one reader, in different processes or not.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "guestproof/ring0/error.h"

namespace guestproof::ring0 {

enum class RecordKind : std::uint32_t {
  kText,       // what kprintf() prints
  kFailure,    // FailureRecord, then the file's name and the text
  kSkip,       // the reason
  kEnd,        // EndRecord: how the guest ended (end.h)
  kBacktrace,  // addresses of code, the innermost first, of 8 bytes each
};

struct RecordHeader {
  std::uint32_t size = 0;  // bytes of what follows
  RecordKind kind{};
  std::uint32_t sequence = 0;  // of the ring's records, from 0 on: none is lost in silence
};

struct FailureRecord {
  std::uint32_t line = 0;
  std::uint32_t file_length = 0;
  std::uint64_t pc = 0;  // where, when there is no file
};

struct Ring {
  static constexpr std::uint64_t kBytes = 1 << 16;
  static constexpr std::uint32_t kLargestRecord = 1 << 13;

  std::atomic<std::uint64_t> written;  // bytes, since the beginning
  std::atomic<std::uint64_t> read;
  std::array<std::byte, kBytes> bytes;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

/// A part of a record.
[[nodiscard]] inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}
template <class T>
  requires(std::is_trivially_copyable_v<T> && !std::is_convertible_v<const T&, std::string_view>)
[[nodiscard]] std::span<const std::byte> bytes_of(const T& object) {
  return std::as_bytes(std::span(&object, 1));
}

/// Appends a record that consists of these parts, the ring's `sequence`th. False: there is no room
/// until the reader has read. REQUIRES: the parts have kLargestRecord bytes at most.
[[nodiscard]] bool write_record(Ring& ring, std::uint32_t sequence, RecordKind kind,
                                std::span<const std::span<const std::byte>> parts);

struct Record {
  RecordKind kind{};
  std::vector<std::byte> bytes;
};

class RingReader {
 public:
  explicit RingReader(Ring& ring) : ring_(&ring) {}
  /// The next record; none when all were read. Errors: kRingIndex, kRecordSize,
  /// kRecordLost; from then on there is none.
  [[nodiscard]] Result<std::optional<Record>> next();

 private:
  [[nodiscard]] std::unexpected<Error> broken(Ring0Error error, std::uint64_t value,
                                              std::uint64_t limit);
  void copy_out(std::span<std::byte> to);

  Ring* ring_;
  std::uint64_t read_ = 0;
  std::uint32_t sequence_ = 0;  // of the next
};

}  // namespace guestproof::ring0
