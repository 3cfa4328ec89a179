// What a balloon does with the pages that a guest gives away, and with what it says about its
// memory.
//
// Thread-safety: a back end is called by one device at a time.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "guestproof/base/error.h"
#include "guestproof/memory/guest_address.h"
#include "guestproof/virtio/device/balloon/wire.h"

namespace guestproof::virtio::balloon {

/// Guest memory without a hole, all of it writable, which may span regions that touch. A guest can
/// name any of it: memory that it uses, its rings, the same range over and over.
struct PageRange {
  GuestAddress address;
  std::uint64_t length = 0;

  friend bool operator==(const PageRange&, const PageRange&) = default;
};

/// By tag (VIRTIO_BALLOON_S_…); what the driver did not supply is nothing.
using Statistics = std::array<std::optional<std::uint64_t>, kStatisticTags>;

class BalloonBackend {
 public:
  BalloonBackend() = default;
  BalloonBackend(const BalloonBackend&) = delete;
  BalloonBackend& operator=(const BalloonBackend&) = delete;
  virtual ~BalloonBackend() = default;

  /// The guest gives up whole pages of 4096 bytes; their content may be lost.
  [[nodiscard]] virtual Result<void> inflate(const PageRange& pages) = 0;
  /// The guest is going to use pages again.
  [[nodiscard]] virtual Result<void> deflate(const PageRange& pages) = 0;
  /// The guest does not use this memory at the moment, and will use it again without a word; the
  /// content may be lost. Of any length, and on any boundary.
  [[nodiscard]] virtual Result<void> report(const PageRange& range) = 0;
  /// As report(), but the content may be lost only as long as the guest has not written to it since
  /// the hinting that is going on began; for a migration, which need not copy it.
  [[nodiscard]] virtual Result<void> hint(const PageRange&) { return {}; }
  /// The driver's statistics: one call for each buffer of them.
  virtual void statistics(const Statistics&) {}
};

}  // namespace guestproof::virtio::balloon
