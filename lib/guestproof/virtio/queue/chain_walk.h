// The descriptor chain walk (virtio 1.3 §2.7.5, §2.8.5 to §2.8.7): reads every descriptor once,
// checks it, and collects the buffers.
//
// A split ring's chain is run() from its head. A packed ring's is gathered by the ring, descriptor
// by descriptor; its length in the ring is not decided here.
//
// What is refused (ChainError) and what is accepted:
// - A chain has at most Queue Size descriptors, indirect ones counted in their table (§2.7.5.3.1),
//   and at most kMaxChainDescriptors; a loop ends there.
// - An indirect descriptor ends the chain: with NEXT, inside another table, or not negotiated, it
// is refused
//   (§2.7.5.3.1). Its own WRITE flag is ignored (§2.7.5.3.2). Its table may have any alignment,
//   spans regions that touch, and need be in memory only where the chain reads it.
// - In a packed ring an indirect descriptor is alone in its chain (§2.8.5), and all of its table
//   belongs to the chain: there, flags but WRITE, and the Buffer ID, are ignored (§2.8.7).
// - Readable buffers come first (§2.7.4.2). Lengths sum to at most 2^32 (§2.7.5). A buffer of
// length 0 is legal and
//   is dropped. Buffer addresses are looked at when they are used, so a request with one bad data
//   buffer can still be answered in its status byte.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "guestproof/memory/guest_memory.h"
#include "guestproof/virtio/queue/chain.h"
#include "guestproof/virtio/queue/error.h"
#include "guestproof/virtio/queue/wire.h"

namespace guestproof::virtio {

/// The most descriptors of one chain, whatever the queue's size. A chain that is held keeps a copy
/// of them (16 bytes each), and a driver can make as many chains as the queue has heads: with this
/// limit what it makes the host keep grows with the queue, not with its square: 16 MiB for a queue
/// of 1024. It is IOV_MAX, more than one system call would take of a request, and what QEMU allows.
inline constexpr std::uint16_t kMaxChainDescriptors = 1024;

template <GuestMemory M>
class ChainWalk {
 public:
  ChainWalk(const M& memory, const typename M::Slice& table, std::uint16_t queue_size,
            bool indirect_negotiated)
      : memory_(memory),
        table_(table),
        queue_size_(queue_size),
        limit_(std::min(queue_size, kMaxChainDescriptors)),
        indirect_negotiated_(indirect_negotiated) {}

  /// Fills `record` from the chain that starts at `head`. REQUIRES: head < queue size.
  void run(std::uint16_t head, ChainRecord& record) {
    record.head = head;
    record.fault.reset();
    record.clear();
    if (!collect(head, record)) [[unlikely]]
      record.clear();
  }

  /// A packed ring's chain begins: `record` has nothing of it yet.
  void begin(ChainRecord& record) const {
    record.fault.reset();
    record.clear();
  }
  /// Its next descriptor in the ring. When the chain is malformed already this does nothing.
  void gather(const PackedDesc& desc, ChainRecord& record) {
    if (!record.fault && !collect(desc, record)) [[unlikely]]
      record.clear();
  }

 private:
  using Slice = typename M::Slice;

  /// A table of descriptors. `front` is the part of it that one slice covers: all of the queue's
  /// table; of an indirect one the rest, if any, is read descriptor by descriptor.
  struct Table {
    const Slice& front;
    GuestAddress base;
    std::uint32_t entries;
  };

  // Each of the following is false when the chain is malformed; record.fault then says why.

  static bool refuse(ChainRecord& record, const Error& why) {
    record.fault = why;
    return false;
  }

  [[nodiscard]] bool collect(std::uint16_t head, ChainRecord& record) {
    if (!follow({table_, {}, queue_size_}, head, record)) return false;
    if (!indirect_) return true;
    const GuestAddress base(indirect_->addr);
    const auto front = memory_.find(base, indirect_->len, Access::kRead);
    const Slice nothing;
    const auto entries = static_cast<std::uint32_t>(indirect_->len / sizeof(VirtqDesc));
    return follow({front ? *front : nothing, base, entries}, 0, record);
  }

  [[nodiscard]] bool collect(const PackedDesc& desc, ChainRecord& record) {
    if ((desc.flags & VIRTQ_DESC_F_INDIRECT) != 0) return collect_table(desc, record);
    if (taken_ == limit_) return refuse(record, Error(ChainError::kTooLong, limit_, limit_));
    return add(desc, record);
  }

  /// Collects the buffers of a packed ring's indirect table, all of it.
  [[nodiscard]] bool collect_table(const PackedDesc& desc, ChainRecord& record) {
    if (!indirect_negotiated_) return refuse(record, ChainError::kIndirectNotNegotiated);
    if (taken_ != 0 || (desc.flags & VIRTQ_DESC_F_NEXT) != 0)
      return refuse(record, Error(ChainError::kIndirectInChain, taken_));
    if (!is_table_length(desc.len)) return refuse_length(desc.len, record);
    const auto entries = static_cast<std::uint32_t>(desc.len / sizeof(PackedDesc));
    if (entries > limit_) return refuse(record, Error(ChainError::kTooLong, limit_, limit_));
    const GuestAddress base(desc.addr);
    const auto front = memory_.find(base, desc.len, Access::kRead);
    const Slice nothing;
    const Table table{front ? *front : nothing, base, entries};
    for (std::uint32_t index = 0; index < entries; ++index) {
      PackedDesc entry;
      if (!load(table, index, entry, record) || !add(entry, record)) [[unlikely]]
        return false;
    }
    return true;
  }

  /// Collects the buffers of one table from `index` on, up to the end of the chain or to an
  /// indirect descriptor.
  [[nodiscard]] bool follow(const Table& table, std::uint32_t index, ChainRecord& record) {
    while (taken_ < limit_) {
      VirtqDesc desc;
      if (!load(table, index, desc, record)) [[unlikely]]
        return false;
      if ((desc.flags & VIRTQ_DESC_F_INDIRECT) != 0) return note_indirect(desc, index, record);
      if (!add(desc, record)) [[unlikely]]
        return false;
      if ((desc.flags & VIRTQ_DESC_F_NEXT) == 0) return true;
      index = desc.next;
      if (index >= table.entries) [[unlikely]]
        return refuse(record, Error(ChainError::kNextIndex, index, table.entries));
    }
    return refuse(record, Error(ChainError::kTooLong, limit_, limit_));
  }

  template <class Desc>
  [[nodiscard]] bool add(const Desc& desc, ChainRecord& record) {
    const bool writable = (desc.flags & VIRTQ_DESC_F_WRITE) != 0;
    if (!writable && seen_writable_) [[unlikely]]
      return refuse(record, Error(ChainError::kReadableAfterWritable, taken_));
    seen_writable_ = writable;
    const auto total = record.readable_bytes + record.writable_bytes + desc.len;
    if (total > kMaxChainBytes) [[unlikely]]
      return refuse(record, Error(ChainError::kTotalLength, total, kMaxChainBytes));
    ++taken_;
    if (desc.len == 0) return true;
    record.buffers.push_back({GuestAddress(desc.addr), desc.len});
    (writable ? record.writable_bytes : record.readable_bytes) += desc.len;
    record.readable_count += !writable;
    return true;
  }

  [[nodiscard]] bool note_indirect(const VirtqDesc& desc, std::uint32_t index,
                                   ChainRecord& record) {
    if (!indirect_negotiated_) return refuse(record, ChainError::kIndirectNotNegotiated);
    if (indirect_) return refuse(record, Error(ChainError::kIndirectNested, index));
    if ((desc.flags & VIRTQ_DESC_F_NEXT) != 0)
      return refuse(record, Error(ChainError::kIndirectWithNext, desc.next));
    if (!is_table_length(desc.len)) return refuse_length(desc.len, record);
    indirect_ = desc;
    return true;
  }

  static bool is_table_length(std::uint32_t bytes) {
    return bytes != 0 && bytes % sizeof(VirtqDesc) == 0;
  }
  static bool refuse_length(std::uint32_t bytes, ChainRecord& record) {
    return refuse(record, Error(ChainError::kIndirectLength, bytes, sizeof(VirtqDesc)));
  }

  template <class Desc>
  [[nodiscard]] bool load(const Table& table, std::uint32_t index, Desc& desc,
                          ChainRecord& record) const {
    const std::uint64_t offset = std::uint64_t{index} * sizeof(Desc);
    if (offset + sizeof(Desc) <= table.front.size()) [[likely]] {
      desc = table.front.template load<Desc>(offset);
      return true;
    }
    const auto address = table.base.checked_add(offset);
    if (!address) return refuse(record, Error(ChainError::kIndirectUnmapped, table.base.raw()));
    const auto far = read_object<Desc>(memory_, *address);
    if (!far) return refuse(record, Error(ChainError::kIndirectUnmapped, address->raw()));
    desc = *far;
    return true;
  }

  const M& memory_;
  const Slice& table_;
  std::uint16_t queue_size_;
  std::uint16_t limit_;  // descriptors of a chain
  bool indirect_negotiated_;
  bool seen_writable_ = false;
  std::uint32_t taken_ = 0;            // descriptors, an indirect one itself not counted
  std::optional<VirtqDesc> indirect_;  // the one whose table is to be followed, or is followed
};

}  // namespace guestproof::virtio
