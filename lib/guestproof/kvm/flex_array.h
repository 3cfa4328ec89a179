// KVM's variable-length structures (a header with a count, then that many entries), owned, with the
// count kept right.
//
// The count can never be larger than the storage: the kernel's answer is checked before an entry is
// looked at, and a limit per kind says how long an array may get (kCpuIdLimit, ...), so that a
// number from a file cannot ask for gigabytes. Equality is over the header and the entries in use.
//
// Thread-safety: values.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "guestproof/base/invariant.h"
#include "guestproof/kvm/abi.h"
#include "guestproof/kvm/error.h"

namespace guestproof::kvm {

/// How KVM lays one kind of array out: the structure that begins it, its entries, which member
/// counts them, and how many this library lets there be.
template <class H, class E, auto CountMember, std::size_t Offset, std::size_t Limit>
struct FlexLayout {
  using Header = H;
  using Entry = E;
  static constexpr auto kCount = CountMember;
  static constexpr std::size_t kEntriesOffset = Offset;
  static constexpr std::size_t kLimit = Limit;
};

template <class Layout>
class FlexArray {
 public:
  using Header = typename Layout::Header;
  using Entry = typename Layout::Entry;
  static constexpr std::size_t kLimit = Layout::kLimit;

  /// No entries.
  FlexArray() : words_(words_for(0)) {}
  /// `count` entries, all 0. Errors: kTooManyEntries.
  [[nodiscard]] static Result<FlexArray> zeroed(std::size_t count) {
    if (count > kLimit) return fail(CallError::kTooManyEntries, count, kLimit);
    FlexArray array;
    array.words_.assign(words_for(count), 0);
    array.set_count(count);
    return array;
  }
  /// A copy of these entries. Errors: kTooManyEntries.
  [[nodiscard]] static Result<FlexArray> of(std::span<const Entry> entries) {
    auto array = zeroed(entries.size());
    if (array) std::ranges::copy(entries, array->entries().begin());
    return array;
  }

  /// 0 also for an array that was moved from.
  [[nodiscard]] std::size_t size() const {
    return words_.empty() ? 0 : static_cast<std::size_t>(header().*Layout::kCount);
  }
  [[nodiscard]] std::span<Entry> entries() {
    return words_.empty() ? std::span<Entry>() : std::span(first(), size());
  }
  [[nodiscard]] std::span<const Entry> entries() const {
    return const_cast<FlexArray*>(this)->entries();
  }

  /// Errors: kTooManyEntries; the array is then as it was.
  [[nodiscard]] Result<void> push_back(Entry entry) {
    const auto count = size();
    if (count == kLimit) return fail(CallError::kTooManyEntries, count + 1, kLimit);
    words_.resize(words_for(count + 1));
    set_count(count + 1);
    entries().back() = entry;
    return {};
  }
  /// Keeps the entries for which `keep(entry)` is true, in order.
  template <std::predicate<const Entry&> Keep>
  void retain(Keep&& keep) {
    const auto all = entries();
    const auto removed = std::ranges::remove_if(all, [&](const Entry& e) { return !keep(e); });
    set_count(all.size() - removed.size());
    words_.resize(words_for(size()));
  }

  /// The header; its count must not be changed.
  [[nodiscard]] Header& header() { return *reinterpret_cast<Header*>(words_.data()); }
  [[nodiscard]] const Header& header() const {
    return *reinterpret_cast<const Header*>(words_.data());
  }
  /// After the kernel wrote the header: takes its count when it is not larger than the room that it
  /// was given. Errors: kEntryCount; the array is then empty.
  [[nodiscard]] Result<void> accept_count(std::size_t room) {
    const auto count = size();
    const auto fits = words_.size() >= words_for(room) && count <= room;
    set_count(fits ? count : 0);
    words_.resize(words_for(size()));
    if (!fits) return fail(CallError::kEntryCount, count, room);
    return {};
  }

  /// The header and the entries in use, as KVM has them.
  [[nodiscard]] std::span<const std::byte> bytes() const {
    const auto all = std::as_bytes(std::span(words_));
    return all.first(std::min(all.size(), byte_size(size())));
  }
  /// The array that bytes() gave. Errors: kStateLength (bytes are missing, or left over),
  /// kTooManyEntries.
  [[nodiscard]] static Result<FlexArray> from_bytes(std::span<const std::byte> bytes) {
    if (bytes.size() < Layout::kEntriesOffset)
      return fail(CallError::kStateLength, bytes.size(), Layout::kEntriesOffset);
    FlexArray array;
    std::memcpy(array.words_.data(), bytes.data(), Layout::kEntriesOffset);
    const auto count = array.size();
    if (count > kLimit) return fail(CallError::kTooManyEntries, count, kLimit);
    if (bytes.size() != byte_size(count))
      return fail(CallError::kStateLength, bytes.size(), byte_size(count));
    array.words_.resize(words_for(count));
    std::memcpy(array.words_.data(), bytes.data(), bytes.size());
    return array;
  }

  friend bool operator==(const FlexArray& a, const FlexArray& b) {
    return std::ranges::equal(a.bytes(), b.bytes());
  }

 private:
  static_assert(alignof(Header) <= alignof(std::uint64_t) &&
                alignof(Entry) <= alignof(std::uint64_t));
  static constexpr std::size_t byte_size(std::size_t count) {
    return Layout::kEntriesOffset + count * sizeof(Entry);
  }
  static constexpr std::size_t words_for(std::size_t count) {
    return (std::max(byte_size(count), sizeof(Header)) + 7) / 8;
  }
  void set_count(std::size_t count) {
    header().*Layout::kCount =
        static_cast<std::remove_reference_t<decltype(header().*Layout::kCount)>>(count);
  }
  [[nodiscard]] Entry* first() {
    return reinterpret_cast<Entry*>(reinterpret_cast<std::byte*>(words_.data()) +
                                    Layout::kEntriesOffset);
  }

  std::vector<std::uint64_t> words_;
};

/// Routes of all interrupt lines; 1024 is what QEMU and kvm-ioctls allow, and four times what two
/// IOAPICs and a PIC need beside MSIs. The kernel's own limit is KVM_CAP_IRQ_ROUTING's value.
inline constexpr std::size_t kIrqRoutingLimit = 1024;
using IrqRouting =
    FlexArray<FlexLayout<kvm_irq_routing, kvm_irq_routing_entry, &kvm_irq_routing::nr,
                         offsetof(kvm_irq_routing, entries), kIrqRoutingLimit>>;

#if defined(__x86_64__)
/// KVM_MAX_CPUID_ENTRIES of the kernel.
inline constexpr std::size_t kCpuIdLimit = 256;
using CpuId = FlexArray<FlexLayout<kvm_cpuid2, kvm_cpuid_entry2, &kvm_cpuid2::nent,
                                   offsetof(kvm_cpuid2, entries), kCpuIdLimit>>;
/// MAX_IO_MSRS of the kernel, which takes fewer than that in one call.
inline constexpr std::size_t kMsrsLimit = 256;
inline constexpr std::size_t kMsrsPerCall = kMsrsLimit - 1;
using Msrs = FlexArray<
    FlexLayout<kvm_msrs, kvm_msr_entry, &kvm_msrs::nmsrs, offsetof(kvm_msrs, entries), kMsrsLimit>>;
/// The kernel of 6.1 lists some 120; an own limit, because it knows none.
inline constexpr std::size_t kMsrListLimit = 1024;
using MsrList = FlexArray<FlexLayout<kvm_msr_list, std::uint32_t, &kvm_msr_list::nmsrs,
                                     offsetof(kvm_msr_list, indices), kMsrListLimit>>;
/// KVM_PMU_EVENT_FILTER_MAX_EVENTS of the kernel.
inline constexpr std::size_t kPmuEventLimit = 300;
using PmuEventFilter =
    FlexArray<FlexLayout<kvm_pmu_event_filter, __u64, &kvm_pmu_event_filter::nevents,
                         offsetof(kvm_pmu_event_filter, events), kPmuEventLimit>>;
#else
/// aarch64 with SVE lists some 760 registers, riscv64 with vectors some 300.
inline constexpr std::size_t kRegListLimit = 4096;
using RegList = FlexArray<
    FlexLayout<kvm_reg_list, __u64, &kvm_reg_list::n, offsetof(kvm_reg_list, reg), kRegListLimit>>;
#endif

}  // namespace guestproof::kvm
