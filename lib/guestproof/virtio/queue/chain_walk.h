// The descriptor chain walk (virtio 1.3 §2.7.5): reads every descriptor once, checks it, and
// collects the buffers.
//
// What is refused (ChainError) and what is accepted:
// - A chain has at most Queue Size descriptors, indirect ones counted in their table (§2.7.5.3.1),
//   and at most kMaxChainDescriptors; a loop ends there.
// - An indirect descriptor ends the chain: with NEXT, inside another table, or not negotiated, it
// is refused
//   (§2.7.5.3.1). Its own WRITE flag is ignored (§2.7.5.3.2). Its table may have any alignment,
//   spans regions that touch, and need be in memory only where the chain reads it.
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
      ++taken_;
      if ((desc.flags & VIRTQ_DESC_F_NEXT) == 0) return true;
      index = desc.next;
      if (index >= table.entries) [[unlikely]]
        return refuse(record, Error(ChainError::kNextIndex, index, table.entries));
    }
    return refuse(record, Error(ChainError::kTooLong, limit_, limit_));
  }

  [[nodiscard]] bool add(const VirtqDesc& desc, ChainRecord& record) {
    const bool writable = (desc.flags & VIRTQ_DESC_F_WRITE) != 0;
    if (!writable && seen_writable_) [[unlikely]]
      return refuse(record, Error(ChainError::kReadableAfterWritable, taken_));
    seen_writable_ = writable;
    const auto total = record.readable_bytes + record.writable_bytes + desc.len;
    if (total > kMaxChainBytes) [[unlikely]]
      return refuse(record, Error(ChainError::kTotalLength, total, kMaxChainBytes));
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
    if (desc.len == 0 || desc.len % sizeof(VirtqDesc) != 0)
      return refuse(record, Error(ChainError::kIndirectLength, desc.len, sizeof(VirtqDesc)));
    indirect_ = desc;
    return true;
  }

  [[nodiscard]] bool load(const Table& table, std::uint32_t index, VirtqDesc& desc,
                          ChainRecord& record) const {
    const std::uint64_t offset = std::uint64_t{index} * sizeof(VirtqDesc);
    if (offset + sizeof(VirtqDesc) <= table.front.size()) [[likely]] {
      desc = table.front.template load<VirtqDesc>(offset);
      return true;
    }
    const auto address = table.base.checked_add(offset);
    if (!address) return refuse(record, Error(ChainError::kIndirectUnmapped, table.base.raw()));
    const auto far = read_object<VirtqDesc>(memory_, *address);
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
