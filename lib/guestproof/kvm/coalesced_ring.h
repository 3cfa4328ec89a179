// The ring of coalesced writes: MMIO and port writes that KVM queued instead of exiting
// (Documentation/virt/kvm/api.rst, KVM_REGISTER_COALESCED_MMIO).
//
// One page of the run mapping, the same for all vCPUs of a VM: a `first` index that the reader
// moves, a `last` that KVM moves, and entries. Both indices and every length are checked before an
// entry is looked at.
//
// Thread-safety: one reader at a time for a whole VM; KVM writes at any time.
#pragma once

#include <optional>

#include "guestproof/kvm/error.h"
#include "guestproof/kvm/exit.h"
#include "guestproof/memory/guest_memory.h"
#include "guestproof/memory/mapped_memory.h"

namespace guestproof::kvm {

/// A write that KVM queued.
struct CoalescedWrite {
  std::uint64_t address = 0;
  std::array<std::byte, 8> bytes{};
  std::uint32_t length = 0;
  bool pio = false;  // the address is a port

  [[nodiscard]] std::span<const std::byte> data() const { return std::span(bytes).first(length); }
  friend bool operator==(const CoalescedWrite&, const CoalescedWrite&) = default;
};

template <GuestSlice Slice>
class BasicCoalescedRing {
 public:
  /// `page` is the whole page. Errors: kRingLength, when not even one entry fits.
  [[nodiscard]] static Result<BasicCoalescedRing> over(Slice page) {
    if (page.size() < kEntries + sizeof(kvm_coalesced_mmio))
      return fail(PageError::kRingLength, page.size(), kEntries + sizeof(kvm_coalesced_mmio));
    return BasicCoalescedRing(page);
  }

  /// How many entries there are room for (KVM_COALESCED_MMIO_MAX).
  [[nodiscard]] std::uint32_t capacity() const { return capacity_; }

  /// Takes the oldest write; nothing when there is none. Errors: kRingIndex, kMmioLength; nothing
  /// is taken then.
  [[nodiscard]] Result<std::optional<CoalescedWrite>> take() const {
    const auto first = page_.template load<std::uint32_t>(offsetof(kvm_coalesced_mmio_ring, first));
    // What KVM wrote before it moved `last` must be seen.
    const auto last =
        page_.template load_acquire<std::uint32_t>(offsetof(kvm_coalesced_mmio_ring, last));
    if (first >= capacity_) return fail(PageError::kRingIndex, first, capacity_);
    if (last >= capacity_) return fail(PageError::kRingIndex, last, capacity_);
    if (first == last) return std::nullopt;
    kvm_coalesced_mmio entry;
    page_.read(kEntries + first * sizeof entry, std::as_writable_bytes(std::span(&entry, 1)));
    if (entry.len == 0 || entry.len > sizeof entry.data)
      return fail(PageError::kMmioLength, entry.len, sizeof entry.data);
    CoalescedWrite write{.address = entry.phys_addr, .length = entry.len, .pio = entry.pio != 0};
    std::memcpy(write.bytes.data(), entry.data, entry.len);
    page_.store_release(offsetof(kvm_coalesced_mmio_ring, first), (first + 1) % capacity_);
    return write;
  }

 private:
  static constexpr std::size_t kEntries = offsetof(kvm_coalesced_mmio_ring, coalesced_mmio);

  explicit BasicCoalescedRing(Slice page)
      : page_(page),
        capacity_(
            static_cast<std::uint32_t>((page.size() - kEntries) / sizeof(kvm_coalesced_mmio))) {}

  Slice page_;
  std::uint32_t capacity_;
};

using CoalescedRing = BasicCoalescedRing<MappedSlice>;

}  // namespace guestproof::kvm
