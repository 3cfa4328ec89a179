// The descriptor chain walk (virtio 1.3 §2.7.5): reads every descriptor once, checks it, and
// collects the buffers.
//
// What is refused (ChainError) and what is accepted:
// - A chain has at most Queue Size descriptors, indirect ones counted in their table (§2.7.5.3.1);
// a loop ends there.
// - An indirect descriptor ends the chain: with NEXT, inside another table, or not negotiated, it
// is refused
//   (§2.7.5.3.1). Its own WRITE flag is ignored (§2.7.5.3.2). Its table may have any alignment,
//   spans regions that touch, and need be in memory only where the chain reads it.
// - Readable buffers come first (§2.7.4.2). Lengths sum to at most 2^32 (§2.7.5). A buffer of
// length 0 is legal and
//   is dropped. Buffer addresses are looked at when they are used, so a request with one bad data
//   buffer can still be answered in its status byte.
#pragma once

#include <cstdint>
#include <optional>

#include "guestproof/memory/guest_memory.h"
#include "guestproof/virtio/queue/chain.h"
#include "guestproof/virtio/queue/error.h"
#include "guestproof/virtio/queue/wire.h"

namespace guestproof::virtio {

template <GuestMemory M>
class ChainWalk {
 public:
  ChainWalk(const M& memory, const typename M::Slice& table, std::uint16_t queue_size,
            bool indirect_negotiated)
      : memory_(memory),
        table_(table),
        queue_size_(queue_size),
        indirect_negotiated_(indirect_negotiated) {}

  /// Fills `record` from the chain that starts at `head`. REQUIRES: head < queue size.
  void run(std::uint16_t head, ChainRecord& record) {
    record.buffers.clear();
    record.head = head;
    record.readable_count = 0;
    record.readable_bytes = 0;
    record.writable_bytes = 0;
    record.fault = collect(head, record);
    if (record.fault) [[unlikely]] {
      record.buffers.clear();
      record.readable_count = 0;
      record.readable_bytes = 0;
      record.writable_bytes = 0;
    }
  }

 private:
  [[nodiscard]] std::optional<Error> collect(std::uint16_t head, ChainRecord& record) {
    std::uint32_t index = head;
    for (std::uint32_t taken = 0; taken < queue_size_;) {
      const auto loaded = load(index);
      if (!loaded) [[unlikely]]
        return loaded.error();
      const VirtqDesc& desc = *loaded;
      if ((desc.flags & VIRTQ_DESC_F_INDIRECT) != 0) {
        if (const auto fault = enter_indirect(desc, index)) return fault;
        index = 0;
        continue;
      }
      if (const auto fault = add(desc, taken, record)) [[unlikely]]
        return fault;
      ++taken;
      if ((desc.flags & VIRTQ_DESC_F_NEXT) == 0) return std::nullopt;
      index = desc.next;
      if (index >= table_entries()) [[unlikely]]
        return Error(ChainError::kNextIndex, index, table_entries());
    }
    return Error(ChainError::kTooLong, queue_size_, queue_size_);
  }

  [[nodiscard]] std::optional<Error> add(const VirtqDesc& desc, std::uint32_t position,
                                         ChainRecord& record) {
    const bool writable = (desc.flags & VIRTQ_DESC_F_WRITE) != 0;
    if (!writable && seen_writable_) return Error(ChainError::kReadableAfterWritable, position);
    seen_writable_ = writable;
    const auto total = record.readable_bytes + record.writable_bytes + desc.len;
    if (total > kMaxChainBytes) return Error(ChainError::kTotalLength, total, kMaxChainBytes);
    if (desc.len == 0) return std::nullopt;
    record.buffers.push_back({GuestAddress(desc.addr), desc.len});
    (writable ? record.writable_bytes : record.readable_bytes) += desc.len;
    record.readable_count += !writable;
    return std::nullopt;
  }

  [[nodiscard]] std::optional<Error> enter_indirect(const VirtqDesc& desc, std::uint32_t index) {
    if (!indirect_negotiated_) return Error(ChainError::kIndirectNotNegotiated);
    if (in_indirect_) return Error(ChainError::kIndirectNested, index);
    if ((desc.flags & VIRTQ_DESC_F_NEXT) != 0)
      return Error(ChainError::kIndirectWithNext, desc.next);
    if (desc.len == 0 || desc.len % sizeof(VirtqDesc) != 0)
      return Error(ChainError::kIndirectLength, desc.len, sizeof(VirtqDesc));
    in_indirect_ = true;
    indirect_base_ = GuestAddress(desc.addr);
    indirect_entries_ = desc.len / sizeof(VirtqDesc);
    // The part of the table that one slice covers; the rest, if any, is read descriptor by
    // descriptor.
    const auto front = memory_.find(indirect_base_, desc.len, Access::kRead);
    table_ = front ? *front : typename M::Slice{};
    return std::nullopt;
  }

  [[nodiscard]] std::uint32_t table_entries() const {
    return in_indirect_ ? indirect_entries_ : queue_size_;
  }

  [[nodiscard]] Result<VirtqDesc> load(std::uint32_t index) const {
    const std::uint64_t offset = std::uint64_t{index} * sizeof(VirtqDesc);
    if (offset + sizeof(VirtqDesc) <= table_.size()) [[likely]]
      return table_.template load<VirtqDesc>(offset);
    const auto address = indirect_base_.checked_add(offset);
    if (!address) return fail(ChainError::kIndirectUnmapped, indirect_base_.raw());
    const auto desc = read_object<VirtqDesc>(memory_, *address);
    if (!desc) return fail(ChainError::kIndirectUnmapped, address->raw());
    return desc;
  }

  const M& memory_;
  typename M::Slice table_;
  std::uint16_t queue_size_;
  bool indirect_negotiated_;
  bool in_indirect_ = false;
  bool seen_writable_ = false;
  GuestAddress indirect_base_;
  std::uint32_t indirect_entries_ = 0;
};

}  // namespace guestproof::virtio
