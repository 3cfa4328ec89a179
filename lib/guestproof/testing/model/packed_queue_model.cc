// The part of the queue's model that reads a packed ring (virtio 1.3 §2.8).
#include <algorithm>

#include "guestproof/testing/model/queue_model.h"

namespace guestproof::testing {
namespace {

bool marked_available(std::uint64_t flags, bool wrap_counter) {
  const bool avail = flags & 0x80, used = flags & 0x8000;
  return avail == wrap_counter && used != wrap_counter;
}

/// Why a chain of `already` descriptors and one more with these flags and length is malformed.
ModelError refuse_indirect(bool negotiated, std::uint64_t already, std::uint64_t flags,
                           std::uint64_t length, std::uint64_t longest) {
  if (!negotiated) return {"chain.indirect_not_negotiated"};
  if (already != 0 || flags & 1) return {"chain.indirect_in_chain", already};
  if (length == 0 || length % 16 != 0) return {"chain.indirect_length", length, 16};
  if (length / 16 > longest) return {"chain.too_long", longest, longest};
  return {};
}

/// `place`: how many came before it.
void add_buffer(ModelChain& chain, std::uint64_t place, std::uint64_t address, std::uint64_t length,
                bool writable, bool& writable_seen, std::uint64_t& total) {
  if (writable_seen && !writable) {
    chain.fault = {"chain.readable_after_writable", place};
    return;
  }
  writable_seen = writable;
  total += length;
  if (total > 0x100000000) {
    chain.fault = {"chain.total_length", total, 0x100000000};
    return;
  }
  if (length != 0) (writable ? chain.writable : chain.readable).push_back({address, length});
}

}  // namespace

bool QueueModel::available(std::uint64_t position) const {
  const auto flags =
      ModelMemory(*memory_).number(setup_.desc + 16 * (position % setup_.size) + 14, 2);
  return marked_available(flags, position / setup_.size % 2 == 0);
}

std::optional<ModelChain> QueueModel::take_packed() {
  auto chain = walk_packed();
  if (!chain || !may_be_taken(chain->head)) return std::nullopt;
  return chain;
}

std::optional<ModelChain> QueueModel::walk_packed() {
  const ModelMemory memory(*memory_);
  const std::uint64_t size = setup_.size;
  const auto longest = std::min<std::uint64_t>(size, 1024);
  ModelChain chain;
  chain.slots = 0;
  bool writable_seen = false;
  std::uint64_t total = 0;
  for (auto position = next_avail_;; ++position) {
    const auto descriptor = setup_.desc + 16 * (position % size);
    const bool first = position == next_avail_;
    // The first one's flags say whether there is a chain at all; nothing is read twice.
    auto flags = first ? memory.number(descriptor + 14, 2) : 0;
    const bool wrap_counter = position / size % 2 == 0;
    if (first && !marked_available(flags, wrap_counter)) return std::nullopt;
    if (position - next_used_ == size) {
      broken_ = {"queue.descriptor_in_flight", position % size};
      return std::nullopt;
    }
    const auto address = memory.number(descriptor, 8);
    const auto length = memory.number(descriptor + 8, 4);
    const auto id = memory.number(descriptor + 12, 2);
    if (!first) flags = memory.number(descriptor + 14, 2);
    if (!marked_available(flags, wrap_counter)) {
      broken_ = {"queue.descriptor_not_available", position % size};
      return std::nullopt;
    }
    if (!chain.fault.none()) {
      // Only its end is looked for.
    } else if (flags & 4) {
      chain.fault = refuse_indirect(setup_.indirect, chain.slots, flags, length, longest);
      if (chain.fault.none()) walk_packed_table(address, length, chain);
    } else if (chain.slots == longest) {
      chain.fault = {"chain.too_long", longest, longest};
    } else {
      add_buffer(chain, chain.slots, address, length, flags & 2, writable_seen, total);
    }
    ++chain.slots;
    if (!(flags & 1)) {
      chain.head = static_cast<std::uint16_t>(id);
      return chain;
    }
  }
}

void QueueModel::walk_packed_table(std::uint64_t table, std::uint64_t length,
                                   ModelChain& chain) const {
  const ModelMemory memory(*memory_);
  bool writable_seen = false;
  std::uint64_t total = 0;
  for (std::uint64_t at = 0; at < length && chain.fault.none(); at += 16) {
    std::uint8_t raw[16];
    // A table near the end of the address space does not go on at its beginning.
    const bool wraps = table + at < table || table + at + 15 < table;
    if (wraps || memory.read(table + at, raw) != sizeof raw) {
      chain.fault = {"chain.indirect_unmapped", wraps ? table : table + at};
      return;
    }
    const auto field = [&](std::size_t offset, std::size_t bytes) {
      return number_in(raw, offset, bytes);
    };
    add_buffer(chain, at / 16, field(0, 8), field(8, 4), field(14, 2) & 2, writable_seen, total);
  }
}

bool QueueModel::wants_notification_packed(std::uint64_t passed) const {
  const ModelMemory memory(*memory_);
  const auto event = memory.number(setup_.avail, 2);
  const auto mode = memory.number(setup_.avail + 2, 2) & 3;
  if (mode == 1) return false;
  if (mode != 2 || !setup_.event_index) return true;
  // Two turns have passed every descriptor; one outside the ring cannot be passed.
  if (passed >= turn() || event % 0x8000 >= setup_.size) return true;
  for (std::uint64_t back = 1; back <= passed; ++back)
    if (saved_position(next_used_ - back) == event) return true;
  return false;
}

}  // namespace guestproof::testing
