#include "guestproof/ring0/register_file.h"

#include <algorithm>

#include "guestproof/ring0/text.h"

namespace guestproof::ring0 {
namespace {

constexpr std::uint64_t largest(std::size_t width) {
  return width >= sizeof(std::uint64_t) ? UINT64_MAX : (1ULL << (width * 8)) - 1;
}

std::string plural(std::size_t count, std::string_view what) {
  return std::to_string(count) + ' ' + std::string(what) + (count == 1 ? "" : "s");
}

}  // namespace

std::string name_of(bool port, std::uint64_t address) {
  return (port ? "port " : "address ") + hex(address);
}

RegisterFile::RegisterFile(std::vector<Register> registers, std::mutex& mutex) : mutex_(mutex) {
  for (auto& each : registers) entries_.push_back({std::move(each), 0, 0});
}

RegisterFile::Entry* RegisterFile::find(bool port, std::uint64_t address, std::size_t width) {
  const auto entry = std::ranges::find_if(entries_, [&](const Entry& each) {
    // A port is a register, of whatever width it is accessed with.
    if (each.what.port || port) return each.what.port && port && each.what.base == address;
    const auto offset = address - each.what.base;
    return offset < each.what.size && width <= each.what.size - offset;
  });
  return entry == entries_.end() ? nullptr : &*entry;
}

RegisterFile::Answer RegisterFile::read(bool port, std::uint64_t address, std::size_t width) {
  const std::scoped_lock lock(mutex_);
  auto* const entry = find(port, address, width);
  if (entry == nullptr) return {};
  const auto& what = entry->what;
  if (!what.on_read && what.values.empty()) return {};
  Answer answer{.answered = true};
  if (what.on_read) {
    answer.value = what.on_read(address - what.base, width);
  } else {
    answer.value = what.values[std::min(entry->reads, what.values.size() - 1)];
    ++entry->reads;
  }
  if (answer.value > largest(width))
    answer.complaint = "a read of " + plural(width, "byte") + " of " + name_of(port, address) +
                       " was to give " + hex(answer.value) + ", which does not fit";
  return answer;
}

RegisterFile::Answer RegisterFile::write(bool port, std::uint64_t address, std::size_t width,
                                         std::uint64_t value) {
  const std::scoped_lock lock(mutex_);
  auto* const entry = find(port, address, width);
  if (entry == nullptr) return {};
  const auto& what = entry->what;
  if (!what.on_write && !what.expected) return {};
  Answer answer{.answered = true};
  if (what.on_write) {
    what.on_write(address - what.base, width, value);
    return answer;
  }
  const auto index = entry->writes++;
  const auto said = hex(value) + " was written to " + name_of(port, address);
  if (index >= what.expected->size())
    answer.complaint =
        said + ", after all of the " + plural(what.expected->size(), "expected write");
  else if ((*what.expected)[index] != value)
    answer.complaint = said + ", where " + hex((*what.expected)[index]) + " was expected";
  return answer;
}

std::vector<std::string> RegisterFile::missing() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> sentences;
  for (const auto& [what, reads, writes] : entries_)
    if (!what.on_write && what.expected && writes < what.expected->size())
      sentences.push_back(name_of(what.port, what.base) + " was written " + plural(writes, "time") +
                          ", and " + hex((*what.expected)[writes]) + " was expected next");
  return sentences;
}

}  // namespace guestproof::ring0
