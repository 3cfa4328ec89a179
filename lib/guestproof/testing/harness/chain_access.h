// One use of a chain's reader or writer: by the device's side through virtio/queue/cursor.h, by the
// model on its plain list of pieces.
//
// Thread-safety: values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "guestproof/testing/harness/harness.h"

namespace guestproof::testing {

/// What an `access` record says. Bits of its kind: 1 write, 2 split off, 4 one object (reading) or
/// one value (writing). Leave the first `from` bytes out, then read or write `length`
/// bytes; the part that was left out follows when it was split off.
struct ChainAccess {
  explicit ChainAccess(const Record& record)
      : writes((record.kind & 1) != 0),
        splits((record.kind & 2) != 0),
        whole((record.kind & 4) != 0),
        from(record.next % kLimit),
        length(whole && !writes ? sizeof(le64) : record.length % kLimit),
        value(static_cast<std::uint8_t>(record.value)) {}

  static constexpr std::uint32_t kLimit = 2048;

  /// The kind of the record, modulo 8.
  [[nodiscard]] unsigned form() const {
    return (writes ? 1U : 0U) | (splits ? 2U : 0U) | (whole ? 4U : 0U);
  }

  bool writes;  // else reads
  bool splits;  // else skips
  bool whole;   // reads one object; writes one value everywhere
  std::uint32_t from;
  std::uint32_t length;
  std::uint8_t value;
};

struct Accessed {
  std::vector<std::uint8_t> bytes;  // that were read, in order
  std::optional<Error> error;
};
struct ModelAccessed {
  std::vector<std::uint8_t> bytes;
  ModelError error;
};

[[nodiscard]] Accessed access_device(const WatchedChain& chain, const ChainAccess& access);
/// Throws ViolationFound when they differ.
void compare_access(const Accessed& device, const ModelAccessed& model);
[[nodiscard]] ModelAccessed access_model(const WatchedMemory& memory, const ModelChain& chain,
                                         const ChainAccess& access);

}  // namespace guestproof::testing
