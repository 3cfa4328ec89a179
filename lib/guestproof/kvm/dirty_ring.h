// A vCPU's dirty ring: which pages the guest wrote, in the order it did (KVM_CAP_DIRTY_LOG_RING).
//
// KVM publishes an entry by setting its DIRTY flag; the reader takes it and sets RESET; then
// Vm::reset_dirty_rings() lets KVM protect those pages again and reuse the entries. Flags are
// checked before an entry is used, and one look at the ring ends after as many entries as it has,
// whatever is written meanwhile.
//
// Thread-safety: one reader per ring; KVM writes at any time.
#pragma once

#include <bit>
#include <optional>

#include "guestproof/kvm/abi.h"
#include "guestproof/kvm/error.h"
#include "guestproof/memory/guest_memory.h"
#include "guestproof/memory/mapped_memory.h"

namespace guestproof::kvm {

/// A page that was written: memory slot (address space in the upper 16 bits) and page in it.
struct DirtyPage {
  std::uint32_t slot = 0;
  std::uint64_t page = 0;

  friend bool operator==(const DirtyPage&, const DirtyPage&) = default;
};

template <GuestSlice Slice>
class BasicDirtyRing {
 public:
  /// `ring` is the whole ring, of which `next` entries were taken before. Errors: kDirtyRingSize,
  /// unless it holds a power of two of entries.
  [[nodiscard]] static Result<BasicDirtyRing> over(Slice ring, std::size_t next = 0) {
    if (ring.size() % sizeof(kvm_dirty_gfn) != 0 ||
        !std::has_single_bit(ring.size() / sizeof(kvm_dirty_gfn)))
      return fail(PageError::kDirtyRingSize, ring.size(), sizeof(kvm_dirty_gfn));
    return BasicDirtyRing(ring, next);
  }

  /// How many entries were taken: where a reader that takes over begins, as over()'s `next`.
  [[nodiscard]] std::size_t next() const { return next_; }
  [[nodiscard]] std::size_t capacity() const { return ring_.size() / sizeof(kvm_dirty_gfn); }

  /// Takes the oldest page; nothing when there is none. Errors: kDirtyFlags, for an entry that is
  /// neither free nor dirty; nothing is taken then.
  [[nodiscard]] Result<std::optional<DirtyPage>> take() {
    const auto at = (next_ & (capacity() - 1)) * sizeof(kvm_dirty_gfn);
    // What KVM wrote before it set the flag must be seen.
    const auto flags =
        ring_.template load_acquire<std::uint32_t>(at + offsetof(kvm_dirty_gfn, flags));
    // An entry that was taken and not given back yet: the reader has come round.
    if (flags == 0 || flags == KVM_DIRTY_GFN_F_RESET) return std::nullopt;
    if (flags != KVM_DIRTY_GFN_F_DIRTY)
      return fail(PageError::kDirtyFlags, flags, KVM_DIRTY_GFN_F_DIRTY);
    const DirtyPage page{
        ring_.template load<std::uint32_t>(at + offsetof(kvm_dirty_gfn, slot)),
        ring_.template load<std::uint64_t>(at + offsetof(kvm_dirty_gfn, offset)),
    };
    // KVM may reuse the entry from here on, so it must have been read by then.
    ring_.store_release(at + offsetof(kvm_dirty_gfn, flags), std::uint32_t{KVM_DIRTY_GFN_F_RESET});
    ++next_;
    return page;
  }

  /// Gives every page that is there now to `visit(DirtyPage)`; returns how many. Errors: as take(),
  /// after the pages before it were given.
  template <std::invocable<const DirtyPage&> Visit>
  [[nodiscard]] Result<std::size_t> drain(Visit&& visit) {
    for (std::size_t taken = 0; taken < capacity(); ++taken) {
      const auto page = take();
      if (!page) return std::unexpected(page.error());
      if (!*page) return taken;
      visit(**page);
    }
    return capacity();
  }

 private:
  BasicDirtyRing(Slice ring, std::size_t next) : ring_(ring), next_(next) {}

  Slice ring_;
  std::size_t next_;
};

using DirtyRing = BasicDirtyRing<MappedSlice>;

}  // namespace guestproof::kvm
