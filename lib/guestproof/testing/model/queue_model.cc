#include "guestproof/testing/model/queue_model.h"

#include <algorithm>
#include <bit>

namespace guestproof::testing {
namespace {

struct StateArea {
  std::uint64_t address = 0;
  std::uint64_t alignment = 0;
  std::string_view name;  // of the field in saved state
  std::string_view misaligned, out_of_range;
};

}  // namespace

ModelError no_memory(const WatchedMemory& memory, std::uint64_t address) {
  for (const auto& region : memory.regions())
    if (address >= region.base.raw() && address - region.base.raw() < region.size)
      return {"memory.read_only"};
  return {"memory.unmapped"};
}

ModelError no_memory(const WatchedMemory& memory, const std::vector<ModelPiece>& pieces,
                     std::uint64_t position) {
  auto piece = pieces.begin();
  for (; position >= piece->length; ++piece) position -= piece->length;
  if (piece->address + position < piece->address) return {"memory.address_overflow"};
  return no_memory(memory, piece->address + position);
}

ModelError obstacle(const WatchedMemory& memory, const ModelChain& chain, std::uint64_t bytes) {
  const ModelMemory plain(memory);
  std::uint64_t position = 0;
  for (const auto& piece : chain.writable) {
    const auto wanted = std::min(bytes - position, piece.length);
    const auto good = plain.reachable(piece.address, wanted, true);
    position += good;
    if (good < wanted) return no_memory(memory, chain.writable, position);
  }
  return {};
}

std::uint64_t ModelChain::sum(const std::vector<ModelPiece>& pieces) {
  std::uint64_t total = 0;
  for (const auto& piece : pieces) total += piece.length;
  return total;
}

std::size_t ModelChain::read(const ModelMemory& memory, std::uint64_t from,
                             std::span<std::uint8_t> out) const {
  std::size_t done = 0;
  for (const auto& piece : readable) {
    if (from >= piece.length) {
      from -= piece.length;
      continue;
    }
    if (piece.address + from < piece.address) break;  // past the end of the address space
    const auto want = std::min<std::uint64_t>(piece.length - from, out.size() - done);
    const auto got = memory.read(piece.address + from, out.subspan(done, want));
    done += got;
    if (got < want || done == out.size()) break;
    from = 0;
  }
  return done;
}

std::size_t ModelChain::write(const ModelMemory& memory, std::uint64_t from,
                              std::span<const std::uint8_t> in) const {
  std::size_t done = 0;
  for (const auto& piece : writable) {
    if (from >= piece.length) {
      from -= piece.length;
      continue;
    }
    if (piece.address + from < piece.address) break;  // past the end of the address space
    const auto want = std::min<std::uint64_t>(piece.length - from, in.size() - done);
    const auto put = memory.write(piece.address + from, in.subspan(done, want));
    done += put;
    if (put < want || done == in.size()) break;
    from = 0;
  }
  return done;
}

ModelError QueueModel::refusal(const WatchedMemory& memory, const ModelQueueSetup& setup,
                               std::uint16_t max_size) {
  if (setup.size == 0) return {"queue_config.size_zero", 0, max_size};
  std::uint32_t power = 1;
  while (power < setup.size) power *= 2;
  if (power != setup.size && !setup.packed)
    return {"queue_config.size_not_power_of_two", setup.size, max_size};
  if (setup.size > max_size) return {"queue_config.size_above_max", setup.size, max_size};
  if (setup.desc % 16 != 0) return {"queue_config.descriptor_table_align", setup.desc, 16};
  const std::uint64_t avail_align = setup.packed ? 4 : 2;
  if (setup.avail % avail_align != 0)
    return {"queue_config.available_ring_align", setup.avail, avail_align};
  if (setup.used % 4 != 0) return {"queue_config.used_ring_align", setup.used, 4};

  struct Area {
    std::uint64_t base, bytes;
    bool writable;
    const char* range_error;
  };
  const Area areas[3] = {
      {setup.desc, 16ULL * setup.size, setup.packed, "queue_config.descriptor_table_range"},
      {setup.avail, setup.avail_bytes(), false, "queue_config.available_ring_range"},
      {setup.used, setup.used_bytes(), true, "queue_config.used_ring_range"}};
  __extension__ using Wide = unsigned __int128;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < i; ++j)
      if (Wide{areas[i].base} < Wide{areas[j].base} + areas[j].bytes &&
          Wide{areas[j].base} < Wide{areas[i].base} + areas[i].bytes)
        return {"queue_config.areas_overlap", areas[i].base, areas[j].base};
  for (const auto& area : areas) {
    bool inside = false;
    for (const auto& region : memory.regions())
      inside |= area.base >= region.base.raw() &&
                Wide{area.base} + area.bytes <= Wide{region.base.raw()} + region.size &&
                !(area.writable && region.read_only);
    if (!inside) return {area.range_error, area.base, area.bytes};
  }
  return {};
}

void QueueModel::activate(const WatchedMemory& memory, const ModelQueueSetup& setup) {
  reset();
  memory_ = &memory;
  setup_ = setup;
  active_ = true;
}

void QueueModel::reset() { *this = QueueModel(); }

ModelError QueueModel::restore(const WatchedMemory& memory, std::span<const std::byte> bytes,
                               std::uint16_t max_size, const ModelQueueSetup& negotiated) {
  reset();
  if (bytes.size() != 48) return {"queue_state.bytes", bytes.size(), 48};
  const auto field = [&](std::size_t offset, std::size_t size) {
    std::uint64_t number = 0;
    for (auto i = size; i-- > 0;)
      number = number << 8 | std::to_integer<std::uint64_t>(bytes[offset + i]);
    return number;
  };
  const auto flags = field(12, 2);
  const bool ready = flags & 1, was_broken = flags & 8, known = flags & 16;
  const auto saved_max = static_cast<std::uint16_t>(field(8, 2));
  const auto next_avail = field(14, 2), next_used = field(16, 2), signalled = field(18, 2);
  const ModelQueueSetup setup{.size = static_cast<std::uint16_t>(field(10, 2)),
                              .desc = field(24, 8),
                              .avail = field(32, 8),
                              .used = field(40, 8),
                              .event_index = (flags & 2) != 0,
                              .indirect = (flags & 4) != 0,
                              .packed = (flags & 32) != 0,
                              .in_order = (flags & 64) != 0};
  const std::uint64_t avail_align = setup.packed ? 4 : 2;
  const StateArea areas[3] = {
      {setup.desc, 16, "queue_state.descriptor_table", "queue_config.descriptor_table_align",
       "queue_config.descriptor_table_range"},
      {setup.avail, avail_align, "queue_state.available_ring", "queue_config.available_ring_align",
       "queue_config.available_ring_range"},
      {setup.used, 4, "queue_state.used_ring", "queue_config.used_ring_align",
       "queue_config.used_ring_range"}};
  const auto why = refusal(memory, setup, saved_max);

  // What the bytes alone say.
  if (field(0, 4) != 0x51535047) return {"queue_state.magic", field(0, 4), 0x51535047};
  if (field(4, 2) != 1) return {"queue_state.version", field(4, 2), 1};
  if (field(6, 2) != 48) return {"queue_state.length", field(6, 2), 48};
  if (field(20, 4) != 0) return {"queue_state.reserved", field(20, 4)};
  if (flags > 127) return {"queue_state.flags", flags, 127};
  if (!known && signalled != 0) return {"queue_state.signalled_used", signalled};
  if (!std::has_single_bit(saved_max)) return {"queue_state.max_size", saved_max, 32768};
  if (why.name.starts_with("queue_config.size")) return {"queue_state.size", setup.size, saved_max};
  for (const auto& area : areas)
    if (why.name == area.misaligned) return {area.name, area.address, area.alignment};
  if (ready && why.name == "queue_config.areas_overlap")
    return {"queue_state.overlap", why.value, why.limit};
  if (!ready && was_broken) return {"queue_state.flags", flags, 127 - 8};
  if (!ready && next_avail != 0) return {"queue_state.next_avail", next_avail};
  if (!ready && known) return {"queue_state.signalled_used", signalled};
  if (ready && setup.packed) {
    if (next_avail % 0x8000 >= setup.size)
      return {"queue_state.next_avail", next_avail, setup.size};
    if (known && signalled % 0x8000 >= setup.size)
      return {"queue_state.signalled_used", signalled, setup.size};
  }
  if (next_avail != next_used) return {"queue_state.next_used", next_used, next_avail};

  // What the queue and its memory say.
  if (saved_max != max_size) return {"queue_state.max_size", saved_max, max_size};
  const auto features = [](const ModelQueueSetup& of) {
    return (of.event_index ? 1U : 0) | (of.indirect ? 2U : 0) | (of.packed ? 4U : 0) |
           (of.in_order ? 8U : 0);
  };
  if (features(setup) != features(negotiated))
    return {"queue_state.features", features(setup), features(negotiated)};
  if (!ready) return {"queue_config.not_ready"};
  for (const auto& area : areas)
    if (why.name == area.out_of_range) return {area.name, area.address, area.alignment};

  activate(memory, setup);
  // A turn ahead, so that going back to the last notification does not pass 0.
  const auto counted_on = [&](std::uint64_t saved) {
    if (!setup.packed) return saved;
    return saved % 0x8000 + (saved >= 0x8000 ? 0 : setup.size);
  };
  next_avail_ = seen_ = next_used_ = turn() + counted_on(next_avail);
  used_since_asked_ = known ? (next_used_ - counted_on(signalled)) % turn() : turn();
  if (was_broken) broken_ = {"queue.saved_broken"};
  return {};
}

std::array<std::byte, 48> QueueModel::save(std::uint16_t max_size) const {
  std::array<std::byte, 48> bytes{};
  const auto put = [&](std::size_t offset, std::size_t size, std::uint64_t number) {
    for (std::size_t i = 0; i < size; ++i, number >>= 8)
      bytes[offset + i] = static_cast<std::byte>(number & 0xff);
  };
  // A whole turn of the index ago, or more, the last notification cannot be told.
  const bool known = used_since_asked_ < turn();
  put(0, 4, 0x51535047);
  put(4, 2, 1);
  put(6, 2, 48);
  put(8, 2, max_size);
  put(10, 2, setup_.size);
  put(12, 2,
      1U | (setup_.event_index ? 2U : 0) | (setup_.indirect ? 4U : 0) | (broken_.none() ? 0 : 8U) |
          (known ? 16U : 0) | (setup_.packed ? 32U : 0) | (setup_.in_order ? 64U : 0));
  put(14, 2, saved_position(next_avail_));
  put(16, 2, saved_position(next_used_));
  put(18, 2, known ? saved_position(next_used_ - used_since_asked_) : 0);
  put(24, 8, setup_.desc);
  put(32, 8, setup_.avail);
  put(40, 8, setup_.used);
  return bytes;
}

std::uint64_t QueueModel::turn() const { return setup_.packed ? 2ULL * setup_.size : 0x10000; }

std::uint16_t QueueModel::saved_position(std::uint64_t position) const {
  if (!setup_.packed) return static_cast<std::uint16_t>(position);
  const bool wrap_counter = position / setup_.size % 2 == 0;
  return static_cast<std::uint16_t>(position % setup_.size + (wrap_counter ? 0x8000 : 0));
}

std::optional<ModelChain> QueueModel::take() {
  if (!active_ || !broken_.none()) return std::nullopt;
  auto chain = setup_.packed ? take_packed() : take_split();
  if (!chain) return std::nullopt;
  if (!chain->fault.none()) {
    chain->readable.clear();
    chain->writable.clear();
  }
  next_avail_ += chain->slots;
  chain->number = taken_++;
  in_flight_.push_back({*chain, std::nullopt});
  return chain;
}

bool QueueModel::may_be_taken(std::uint16_t head) {
  if (head >= setup_.size) {
    broken_ = {"queue.head_index", head, setup_.size};
    return false;
  }
  for (const auto& other : in_flight_)
    if (other.chain.head == head) {
      broken_ = {"queue.head_in_flight", head};
      return false;
    }
  return true;
}

std::optional<ModelChain> QueueModel::take_split() {
  const ModelMemory memory(*memory_);
  if (next_avail_ == seen_) {
    const auto index = memory.number(setup_.avail + 2, 2);
    const auto ahead = static_cast<std::uint16_t>(index - next_avail_);
    if (ahead > setup_.size) {
      broken_ = {"queue.avail_index", ahead, setup_.size};
      return std::nullopt;
    }
    seen_ = next_avail_ + ahead;
    if (ahead == 0) return std::nullopt;
  }
  const auto head = static_cast<std::uint16_t>(
      memory.number(setup_.avail + 4 + 2 * (next_avail_ % setup_.size), 2));
  if (!may_be_taken(head)) return std::nullopt;
  return walk(head);
}

ModelChain QueueModel::walk(std::uint16_t head) const {
  ModelChain chain;
  chain.head = head;
  const ModelMemory memory(*memory_);
  std::uint64_t table = setup_.desc;
  std::uint64_t entries = setup_.size;
  std::uint64_t index = head;
  std::uint64_t total = 0;
  bool inside_indirect = false;
  bool writable_seen = false;
  const std::uint64_t longest = std::min<std::uint64_t>(setup_.size, 1024);
  for (std::uint64_t visited = 0; visited < longest;) {
    std::uint8_t raw[16];
    // A table near the end of the address space does not go on at its beginning.
    const bool wraps = table + 16 * index < table || table + 16 * index + 15 < table;
    if (wraps || memory.read(table + 16 * index, raw) != sizeof raw) {
      chain.fault = {"chain.indirect_unmapped", wraps ? table : table + 16 * index};
      return chain;
    }
    const auto field = [&](std::size_t at, std::size_t bytes) { return number_in(raw, at, bytes); };
    const auto address = field(0, 8);
    const auto length = field(8, 4);
    const auto flags = field(12, 2);
    const auto next = field(14, 2);
    if (flags & 4) {
      if (!setup_.indirect)
        chain.fault = {"chain.indirect_not_negotiated"};
      else if (inside_indirect)
        chain.fault = {"chain.indirect_nested", index};
      else if (flags & 1)
        chain.fault = {"chain.indirect_with_next", next};
      else if (length == 0 || length % 16 != 0)
        chain.fault = {"chain.indirect_length", length, 16};
      if (!chain.fault.none()) return chain;
      inside_indirect = true;
      table = address;
      entries = length / 16;
      index = 0;
      continue;
    }
    ++visited;
    if (flags & 2) {
      writable_seen = true;
    } else if (writable_seen) {
      chain.fault = {"chain.readable_after_writable", visited - 1};
      return chain;
    }
    total += length;
    if (total > 0x100000000) {
      chain.fault = {"chain.total_length", total, 0x100000000};
      return chain;
    }
    if (length != 0) (flags & 2 ? chain.writable : chain.readable).push_back({address, length});
    if (!(flags & 1)) return chain;
    if (next >= entries) {
      chain.fault = {"chain.next_index", next, entries};
      return chain;
    }
    index = next;
  }
  chain.fault = {"chain.too_long", longest, longest};
  return chain;
}

std::size_t QueueModel::kept_back() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(in_flight_, [](const InFlight& it) { return it.written.has_value(); }));
}

void QueueModel::give_back(const ModelChain& chain, std::uint32_t written) {
  const auto it = std::ranges::find(in_flight_, chain.head,
                                    [](const InFlight& other) { return other.chain.head; });
  it->written = written;
  if (!setup_.in_order) {
    publish(it->chain, written);
    in_flight_.erase(it);
    return;
  }
  while (!in_flight_.empty() && in_flight_.front().written) {
    publish(in_flight_.front().chain, *in_flight_.front().written);
    in_flight_.erase(in_flight_.begin());
  }
}

bool QueueModel::put_back(const ModelChain& chain) {
  if (chain.number + 1 != taken_) return false;
  --taken_;
  next_avail_ -= chain.slots;
  in_flight_.pop_back();
  return true;
}

void QueueModel::publish(const ModelChain& chain, std::uint32_t written) {
  const ModelMemory memory(*memory_);
  if (setup_.packed) {
    const auto descriptor = setup_.desc + 16 * (next_used_ % setup_.size);
    const bool wrap_counter = next_used_ / setup_.size % 2 == 0;
    memory.put_number(descriptor + 8, 4, written);
    memory.put_number(descriptor + 12, 2, chain.head);
    memory.put_number(descriptor + 14, 2, (wrap_counter ? 0x8080U : 0) | (written != 0 ? 2U : 0));
  } else {
    const auto element = setup_.used + 4 + 8 * (next_used_ % setup_.size);
    memory.put_number(element, 4, chain.head);
    memory.put_number(element + 4, 4, written);
    memory.put_number(setup_.used + 2, 2, (next_used_ + 1) % 0x10000);
  }
  next_used_ += chain.slots;
  used_since_asked_ += chain.slots;
}

bool QueueModel::needs_notification() {
  if (!active_ || used_since_asked_ == 0) return false;
  const auto passed = std::exchange(used_since_asked_, 0);
  return setup_.packed ? wants_notification_packed(passed) : wants_notification_split(passed);
}

bool QueueModel::wants_notification_split(std::uint64_t passed) const {
  const ModelMemory memory(*memory_);
  if (!setup_.event_index) return (memory.number(setup_.avail, 2) & 1) == 0;
  // A whole turn of the index has passed every event.
  if (passed > 0xffff) return true;
  const auto event = memory.number(setup_.avail + 4 + 2 * setup_.size, 2);
  // Walk over the entries that were used: was the one after which the driver wants to hear among
  // them?
  for (std::uint64_t back = 1; back <= passed; ++back)
    if ((next_used_ - back) % 0x10000 == event) return true;
  return false;
}

bool QueueModel::enable_kicks() {
  if (!active_ || !broken_.none()) return false;
  const ModelMemory memory(*memory_);
  if (setup_.packed) {
    memory.put_number(setup_.used, 2, setup_.event_index ? saved_position(next_avail_) : 0);
    memory.put_number(setup_.used + 2, 2, setup_.event_index ? 2 : 0);
    return available(next_avail_);
  }
  if (setup_.event_index)
    memory.put_number(setup_.used + 4 + 8 * setup_.size, 2, next_avail_ % 0x10000);
  else
    memory.put_number(setup_.used, 2, 0);
  return memory.number(setup_.avail + 2, 2) != next_avail_ % 0x10000;
}

void QueueModel::disable_kicks() {
  if (!active_) return;
  const ModelMemory memory(*memory_);
  if (setup_.packed) {
    memory.put_number(setup_.used, 2, 0);
    memory.put_number(setup_.used + 2, 2, 1);
  } else if (!setup_.event_index) {
    memory.put_number(setup_.used, 2, 1);
  }
}

}  // namespace guestproof::testing
