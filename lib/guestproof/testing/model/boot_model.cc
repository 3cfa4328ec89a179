#include "guestproof/testing/model/boot_model.h"

#include <algorithm>
#include <set>

namespace guestproof::testing {
namespace {

using Bytes = std::vector<std::uint8_t>;

ModelError check_range(const ModelRange& range) {
  if (range.size == 0) return {"boot.empty_range", range.base, 0};
  if (passes(range.base, range.size, kAllAddresses))
    return {"boot.range_end", range.base, range.size};
  return {};
}

/// The first, by address, that begins before the one ahead of it has ended.
ModelError check_ranges(const ModelRanges& ranges, std::string_view overlap) {
  for (const auto& range : ranges)
    if (const auto wrong = check_range(range); !wrong.none()) return wrong;
  std::multiset<std::pair<std::uint64_t, std::uint64_t>> sorted;
  for (const auto& range : ranges) sorted.emplace(range.base, range.base + range.size);
  const std::pair<std::uint64_t, std::uint64_t>* ahead = nullptr;
  for (const auto& one : sorted) {
    if (ahead != nullptr && one.first < ahead->second) return {overlap, one.first, ahead->first};
    ahead = &one;
  }
  return {};
}

bool holds(const ModelRanges& ranges, std::uint64_t address, std::uint32_t* type = nullptr) {
  for (const auto& range : ranges) {
    if (address < range.base || address - range.base >= range.size) continue;
    if (type != nullptr) *type = range.type;
    return true;
  }
  return false;
}

void add_borders(std::set<std::uint64_t>& borders, const ModelRanges& ranges) {
  for (const auto& range : ranges) {
    borders.insert(range.base);
    borders.insert(range.base + range.size);
  }
}

/// Ranges that touch are one. REQUIRES: they lie apart.
ModelRanges joined(const ModelRanges& ranges) {
  std::set<std::pair<std::uint64_t, std::uint64_t>> sorted;
  for (const auto& range : ranges) sorted.emplace(range.base, range.size);
  ModelRanges runs;
  for (const auto& [base, size] : sorted) {
    if (runs.empty() || runs.back().base + runs.back().size != base) runs.push_back({base, 0});
    runs.back().size += size;
  }
  return runs;
}

bool all_in(const ModelRanges& runs, std::uint64_t base, std::uint64_t size) {
  return std::ranges::any_of(runs, [&](const ModelRange& run) {
    return base >= run.base && base + size <= run.base + run.size;
  });
}

bool apart(const ModelRanges& ranges, std::uint64_t base, std::uint64_t size) {
  return std::ranges::all_of(ranges, [&](const ModelRange& range) {
    return range.base >= base + size || base >= range.base + range.size;
  });
}

ModelError check_boot(const ModelBoot& boot) {
  if (boot.map.size() > 128) return {"boot.map_entries", boot.map.size(), 128};
  if (passes(boot.initrd, boot.initrd_size, kAllAddresses))
    return {"boot.range_end", boot.initrd, boot.initrd_size};
  return {};
}

ModelError write_bytes(const ModelMemory& memory, std::uint64_t address, const Bytes& bytes) {
  if (const auto wrong = model_check_ram(memory, address, bytes.size()); !wrong.none())
    return wrong;
  GUESTPROOF_INVARIANT(memory.write(address, bytes) == bytes.size());
  return {};
}

}  // namespace

ModelError model_memory_map(const ModelRanges& ram, const ModelRanges& reserved, ModelRanges& map) {
  map.clear();
  if (const auto wrong = check_ranges(ram, "boot.ram_overlap"); !wrong.none()) return wrong;
  if (const auto wrong = check_ranges(reserved, "boot.reserved_overlap"); !wrong.none())
    return wrong;
  std::set<std::uint64_t> borders;
  add_borders(borders, ram);
  add_borders(borders, reserved);
  for (auto at = borders.begin(); at != borders.end() && std::next(at) != borders.end(); ++at) {
    std::uint32_t type = 1;
    if (!holds(reserved, *at, &type) && !holds(ram, *at)) continue;
    const auto size = *std::next(at) - *at;
    if (!map.empty() && map.back().type == type && map.back().base + map.back().size == *at)
      map.back().size += size;
    else
      map.push_back({*at, size, type});
  }
  if (map.size() > 128) return {"boot.map_entries", map.size(), 128};
  return {};
}

ModelError model_place_initrd(const ModelRanges& ram, const ModelRanges& taken, std::uint64_t size,
                              std::uint64_t last, std::uint64_t& place) {
  if (size == 0) return {"boot.initrd_empty", 0, 0};
  for (const auto& range : taken)
    if (const auto wrong = check_range(range); !wrong.none()) return wrong;
  if (const auto wrong = check_ranges(ram, "boot.ram_overlap"); !wrong.none()) return wrong;
  // It ends where RAM ends, where something taken begins, or where the kernel's reach does; there,
  // or at the last page border ahead of it.
  std::set<std::uint64_t> ends;
  for (const auto& range : ram) ends.insert(range.base + range.size);
  for (const auto& range : taken) ends.insert(range.base);
  if (last < kAllAddresses) ends.insert(last + 1);
  const auto runs = joined(ram);
  std::optional<std::uint64_t> best;
  for (const auto end : ends) {
    if (end < size) continue;
    const auto base = (end - size) / 4096 * 4096;
    if (base < 0x100000 || base + size - 1 > last) continue;
    if (all_in(runs, base, size) && apart(taken, base, size)) best = base;  // above the one before
  }
  if (!best) return {"boot.initrd_room", size, last};
  place = *best;
  return {};
}

ModelError model_zero_page(const ModelMemory& memory, const ModelBoot& boot,
                           std::uint64_t address) {
  if (const auto wrong = check_boot(boot); !wrong.none()) return wrong;
  Bytes page(4096);
  std::ranges::copy(boot.header, page.begin() + 0x1f1);
  put_number(page, 0x070, 8, boot.rsdp);
  put_number(page, 0x0c0, 4, boot.initrd >> 32);
  put_number(page, 0x0c4, 4, boot.initrd_size >> 32);
  put_number(page, 0x0c8, 4, boot.cmdline >> 32);
  put_number(page, 0x1e8, 1, boot.map.size());
  put_number(page, 0x210, 1, 0xff);
  put_number(page, 0x214, 4, boot.kernel);
  put_number(page, 0x218, 4, boot.initrd);
  put_number(page, 0x21c, 4, boot.initrd_size);
  put_number(page, 0x228, 4, boot.cmdline);
  put_number(page, 0x250, 8, 0);
  for (std::size_t i = 0; i < boot.map.size(); ++i) {
    put_number(page, 0x2d0 + 20 * i, 8, boot.map[i].base);
    put_number(page, 0x2d8 + 20 * i, 8, boot.map[i].size);
    put_number(page, 0x2e0 + 20 * i, 4, boot.map[i].type);
  }
  return write_bytes(memory, address, page);
}

ModelError model_start_info(const ModelMemory& memory, const ModelBoot& boot,
                            std::uint64_t address) {
  if (const auto wrong = check_boot(boot); !wrong.none()) return wrong;
  const bool initrd = boot.initrd_size != 0;
  Bytes bytes;
  for (const std::uint64_t number : {0x336ec578, 1, 0, initrd ? 1 : 0})
    append_number(bytes, 4, number);
  for (const auto number :
       {initrd ? address + 56 : 0, boot.cmdline, boot.rsdp, address + (initrd ? 88 : 56)})
    append_number(bytes, 8, number);
  append_number(bytes, 4, boot.map.size());
  append_number(bytes, 4, 0);
  if (initrd)
    for (const std::uint64_t number :
         {boot.initrd, boot.initrd_size, std::uint64_t{0}, std::uint64_t{0}})
      append_number(bytes, 8, number);
  for (const auto& range : boot.map) {
    append_number(bytes, 8, range.base);
    append_number(bytes, 8, range.size);
    append_number(bytes, 8, range.type);
  }
  return write_bytes(memory, address, bytes);
}

ModelError CmdlineModel::append(std::string_view piece) {
  for (std::size_t i = 0; i < piece.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(piece[i]);
    if (byte != 9 && (byte <= 31 || byte == 127)) return {"cmdline.control_character", byte, i};
  }
  if (piece.empty()) return {};
  pieces_.emplace_back(piece);
  const auto length = text().size();
  if (length <= limit_) return {};
  pieces_.pop_back();
  return {"cmdline.too_long", length, limit_};
}

ModelError CmdlineModel::load(const ModelMemory& memory, std::uint64_t base,
                              std::uint64_t room) const {
  const auto line = text();
  if (room == 0 || line.size() > room - 1)
    return {"cmdline.too_long", line.size(), room == 0 ? 0 : room - 1};
  Bytes bytes(line.begin(), line.end());
  bytes.push_back(0);
  return write_bytes(memory, base, bytes);
}

std::string CmdlineModel::text() const {
  std::string all;
  for (const auto& piece : pieces_) all += &piece == pieces_.data() ? piece : " " + piece;
  return all;
}

}  // namespace guestproof::testing
