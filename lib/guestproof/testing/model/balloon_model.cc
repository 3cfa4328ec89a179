#include "guestproof/testing/model/balloon_model.h"

#include <set>

namespace guestproof::testing {
namespace {

using What = BalloonEvent::What;

}  // namespace

std::vector<std::uint8_t> BalloonModel::config() const {
  std::vector<std::uint8_t> out;
  for (const auto field : {num_pages_, actual_, command_, poison_}) append_number(out, 4, field);
  return out;
}

ModelError BalloonModel::write_config(std::uint64_t offset, std::span<const std::uint8_t> bytes) {
  auto all = config();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto at = offset + i;
    const bool actual = at >= 4 && at < 8;
    const bool poison = at >= 12 && has(4) && !started_;
    if (!actual && !poison) return {"device.config_read_only", at};
    all[at] = bytes[i];
  }
  actual_ = static_cast<std::uint32_t>(number_in(all, 4, 4));
  poison_ = static_cast<std::uint32_t>(number_in(all, 12, 4));
  return {};
}

void BalloonModel::start(std::uint64_t) {
  started_ = true;
  counts_existing_ =
      (enabled_(2) && !has(1)) || (enabled_(3) && !has(3)) || (enabled_(4) && !has(5));
}

void BalloonModel::stop_queue(std::size_t queue) {
  if (queue != 2) return;
  kept.reset();
  statistics_seen = false;
}

void BalloonModel::reset() {
  kept.reset();
  started_ = counts_existing_ = hinting_ = wanted = statistics_seen = false;
  actual_ = command_ = poison_ = 0;
}

std::vector<std::uint8_t> BalloonModel::save() const {
  auto out = config();
  append_number(out, 4, last_command_);
  append_number(out, 1, counts_existing_ ? 1 : 0);
  append_number(out, 1, hinting_ ? 1 : 0);
  append_number(out, 1, statistics_seen ? 1 : 0);
  append_number(out, 1, 0);
  return out;
}

ModelError BalloonModel::restore(std::span<const std::uint8_t> bytes) {
  if (bytes.size() != 24) return {"device_state.length", bytes.size(), 24};
  const auto command = number_in(bytes, 8, 4), poison = number_in(bytes, 12, 4),
             last = number_in(bytes, 16, 4);
  const auto wrong = [](std::uint64_t value, std::uint64_t offset) {
    return ModelError{"device_state.device", value, offset};
  };
  if (command > 1 && command != last) return wrong(command, 8);
  if (poison != 0 && !has(4)) return wrong(poison, 12);
  if (last == 1) return wrong(last, 16);
  if (bytes[20] > 1) return wrong(bytes[20], 20);
  if (bytes[21] > 1 || (bytes[21] == 1 && command < 2)) return wrong(bytes[21], 21);
  if (bytes[22] > 1) return wrong(bytes[22], 22);
  if (bytes[23] != 0) return wrong(bytes[23], 23);
  num_pages_ = static_cast<std::uint32_t>(number_in(bytes, 0, 4));
  actual_ = static_cast<std::uint32_t>(number_in(bytes, 4, 4));
  command_ = static_cast<std::uint32_t>(command);
  poison_ = static_cast<std::uint32_t>(poison);
  last_command_ = static_cast<std::uint32_t>(last);
  counts_existing_ = bytes[20] == 1;
  hinting_ = bytes[21] == 1;
  statistics_seen = bytes[22] == 1;
  return {};
}

BalloonModel::Role BalloonModel::role(std::size_t queue) const {
  if (queue == 0) return Role::kInflate;
  if (queue == 1) return Role::kDeflate;
  struct Place {
    Role role;
    unsigned feature;
  };
  std::vector<Place> places;
  for (const auto& place :
       {Place{Role::kStatistics, 1}, Place{Role::kHints, 3}, Place{Role::kReports, 5}})
    if (!counts_existing_ || has(place.feature)) places.push_back(place);
  if (queue - 2 >= places.size() || !has(places[queue - 2].feature)) return Role::kNone;
  return places[queue - 2].role;
}

ModelError BalloonModel::serve(const WatchedMemory& memory, const ModelChain& chain, Role role) {
  if (!chain.fault.none()) return chain.fault;
  const auto readable = chain.readable_bytes(), writable = chain.writable_bytes();
  switch (role) {
    case Role::kInflate:
      return move_pages(memory, chain, What::kInflate);
    case Role::kDeflate:
      return move_pages(memory, chain, What::kDeflate);
    case Role::kReports:
      if (readable != 0) return {"balloon.readable", readable};
      if (writable == 0) return {"balloon.no_pages"};
      return poison_ != 0 ? ModelError{} : free_pages(memory, chain, What::kReport);
    case Role::kHints:
      if (readable == 0 && writable == 0) return {"balloon.no_pages"};
      if (readable != 0)
        if (const auto why = take_command(memory, chain); !why.none()) return why;
      return hinting_ ? free_pages(memory, chain, What::kHint) : ModelError{};
    default:
      return {};
  }
}

bool BalloonModel::tell(What what, std::uint64_t address, std::uint64_t length) {
  return backend_({.what = what, .address = address, .length = length, .statistics = {}});
}

ModelError BalloonModel::move_pages(const WatchedMemory& memory, const ModelChain& chain,
                                    What what) {
  const auto bytes = chain.readable_bytes();
  if (chain.writable_bytes() != 0) return {"balloon.writable", chain.writable_bytes()};
  if (bytes == 0) return {"balloon.no_pages"};
  if (bytes % 4 != 0) return {"balloon.array_length", bytes, 4};
  if (bytes / 4 > 4096) return {"balloon.page_limit", bytes / 4, 4096};
  std::vector<std::uint8_t> array(bytes);
  if (chain.read(ModelMemory(memory), 0, array) < bytes) return {"memory.unmapped"};
  std::set<std::uint64_t> pages;
  for (std::size_t i = 0; i < bytes; i += 4) pages.insert(number_in(array, i, 4));
  const ModelMemory there(memory);
  std::set<std::uint64_t> missing;
  for (const auto page : pages)
    if (there.reachable(4096 * page, 4096, true) != 4096) missing.insert(page);
  for (const auto page : missing) pages.erase(page);
  for (const auto first : pages) {
    if (first != 0 && pages.contains(first - 1)) continue;
    auto end = first;
    while (pages.contains(end)) ++end;
    if (!tell(what, 4096 * first, 4096 * (end - first))) return {"system.discard"};
  }
  if (!missing.empty()) return {"balloon.not_memory", *missing.begin(), missing.size()};
  return {};
}

ModelError BalloonModel::free_pages(const WatchedMemory& memory, const ModelChain& chain,
                                    What what) {
  const ModelMemory there(memory);
  for (const auto& piece : chain.writable) {
    const auto reachable = there.reachable(piece.address, piece.length, true);
    if (reachable != piece.length) return no_memory(memory, piece.address + reachable);
    if (!tell(what, piece.address, piece.length)) return {"system.discard"};
  }
  return {};
}

ModelError BalloonModel::take_command(const WatchedMemory& memory, const ModelChain& chain) {
  if (chain.readable_bytes() != 4) return {"balloon.command_length", chain.readable_bytes(), 4};
  std::array<std::uint8_t, 4> bytes;
  if (chain.read(ModelMemory(memory), 0, bytes) < 4) return {"memory.unmapped"};
  const auto given = number_in(bytes, 0, 4);
  hinting_ = given > 1 && given == command_;
  if (!hinting_ && given != 0) return {"balloon.command", given, command_};
  return {};
}

ModelError BalloonModel::hear(const WatchedMemory& memory, const ModelChain& chain) {
  const auto bytes = chain.readable_bytes();
  if (chain.writable_bytes() != 0) return {"balloon.writable", chain.writable_bytes()};
  if (bytes % 10 != 0) return {"balloon.statistics_length", bytes, 10};
  if (bytes / 10 > 256) return {"balloon.statistics_limit", bytes / 10, 256};
  BalloonEvent event{.what = What::kStatistics, .address = 0, .length = 0, .statistics = {}};
  for (std::uint64_t at = 0; at < bytes; at += 10) {
    std::array<std::uint8_t, 10> entry;
    if (chain.read(ModelMemory(memory), at, entry) < 10) return {"memory.unmapped"};
    const auto tag = number_in(entry, 0, 2);
    if (tag <= 9) event.statistics[tag] = number_in(entry, 2, 8);
  }
  static_cast<void>(backend_(event));
  return {};
}

void BalloonModel::start_hinting() {
  last_command_ = last_command_ == 0 || last_command_ == 0xffffffff ? 2 : last_command_ + 1;
  set_command(last_command_);
}

void BalloonModel::set_command(std::uint32_t command) {
  command_ = command;
  hinting_ = false;
}

}  // namespace guestproof::testing
