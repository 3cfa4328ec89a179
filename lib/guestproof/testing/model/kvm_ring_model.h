// A second opinion on the rings that KVM shares: coalesced writes and dirty pages. Written from
// Documentation/virt/kvm/api.rst (KVM_REGISTER_COALESCED_MMIO, KVM_CAP_DIRTY_LOG_RING) with offsets
// as plain numbers; it shares no code with the library.
//
// Thread-safety: none.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "guestproof/testing/model/model_memory.h"

namespace guestproof::testing {

struct ModelCoalescedWrite {
  std::uint64_t address = 0;
  std::uint64_t length = 0;
  bool pio = false;
  std::array<std::uint8_t, 8> bytes{};  // 0 from `length` on
};

/// REQUIRES: the page lies at address 0 of the memory.
class CoalescedRingModel {
 public:
  CoalescedRingModel(const WatchedMemory& memory, std::uint64_t size)
      : memory_(memory), entries_((size - 8) / 24) {}

  [[nodiscard]] static ModelError refusal(std::uint64_t size);
  [[nodiscard]] std::uint64_t entries() const { return entries_; }

  struct Taken {
    ModelError error;
    std::optional<ModelCoalescedWrite> write;
  };
  /// The oldest write; nothing when there is none.
  [[nodiscard]] Taken take() const;

 private:
  ModelMemory memory_;
  std::uint64_t entries_;
};

struct ModelDirtyPage {
  std::uint64_t slot = 0;
  std::uint64_t page = 0;
};

/// REQUIRES: the ring lies at address 0 of the memory.
class DirtyRingModel {
 public:
  DirtyRingModel(const WatchedMemory& memory, std::uint64_t size)
      : memory_(memory), entries_(size / 16) {}

  [[nodiscard]] static ModelError refusal(std::uint64_t size);
  /// The entry that is looked at next.
  [[nodiscard]] std::uint64_t position() const { return position_; }

  struct Taken {
    ModelError error;
    std::optional<ModelDirtyPage> page;
  };
  /// The oldest page; nothing when there is none.
  [[nodiscard]] Taken take();

  struct Drained {
    ModelError error;
    std::vector<ModelDirtyPage> pages;
  };
  /// All pages, at most as many as the ring has entries.
  [[nodiscard]] Drained drain();

 private:
  ModelMemory memory_;
  std::uint64_t entries_;
  std::uint64_t position_ = 0;
};

}  // namespace guestproof::testing
