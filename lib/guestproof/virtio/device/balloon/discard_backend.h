// The balloon's back end over mapped guest memory: what the guest gives up or reports as free is
// given back to the host's kernel, and reads as zeros until it is written again.
//
// Only whole pages of the host are discarded: with pages of more than 4096 bytes a request must
// name all the 4096-byte pages of one, as Linux does. Read-only regions are left alone. What is
// discarded is marked dirty. Not for a guest that has devices which keep its memory pinned (VFIO):
// they would go on with the pages that were discarded.
//
// Thread-safety: none, see BalloonBackend.
#pragma once

#include "guestproof/memory/mapped_memory.h"
#include "guestproof/virtio/device/balloon/backend.h"

namespace guestproof::virtio::balloon {

class DiscardBackend : public BalloonBackend {
 public:
  /// `memory` outlives the back end.
  explicit DiscardBackend(const MappedMemory& memory) : memory_(memory) {}

  /// Errors: SystemError::kDiscard.
  [[nodiscard]] Result<void> inflate(const PageRange& pages) override { return discard(pages); }
  /// The pages come back when they are touched.
  [[nodiscard]] Result<void> deflate(const PageRange&) override { return {}; }
  /// Errors: as inflate().
  [[nodiscard]] Result<void> report(const PageRange& range) override { return discard(range); }

 private:
  [[nodiscard]] Result<void> discard(const PageRange& range);

  const MappedMemory& memory_;
};

}  // namespace guestproof::virtio::balloon
