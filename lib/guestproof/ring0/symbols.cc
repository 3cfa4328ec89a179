#include "guestproof/ring0/symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>

#include "guestproof/base/fd.h"
#include "guestproof/ring0/elf_symbols.h"
#include "guestproof/ring0/text.h"

namespace guestproof::ring0 {
namespace {

struct Position {
  std::string module;
  std::uint64_t offset = 0;
};

struct Search {
  std::uint64_t address;
  std::optional<Position> found;
};

/// The program that runs now, by a name that another understands, too.
std::string own_path() {
  std::array<char, 4096> path;
  const auto length = ::readlink("/proc/self/exe", path.data(), path.size());
  return std::string(path.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
}

int look_into(::dl_phdr_info* info, std::size_t, void* data) {
  auto& search = *static_cast<Search*>(data);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD ||
        search.address - info->dlpi_addr - segment.p_vaddr >= segment.p_memsz)
      continue;
    const bool program = info->dlpi_name == nullptr || *info->dlpi_name == 0;
    search.found = {program ? own_path() : info->dlpi_name, search.address - info->dlpi_addr};
    return 1;
  }
  return 0;
}

std::optional<Position> locate(std::uint64_t address) {
  Search search{address, {}};
  ::dl_iterate_phdr(look_into, &search);
  return search.found;
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> buffer;
  while (true) {
    const auto count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

/// What a program, found by PATH, writes; nothing when it is not there.
std::string output_of(std::vector<std::string> words) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return {};
  const Fd out(ends[0]);
  Fd in(ends[1]);
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  ::pid_t child = 0;
  const int failed =
      ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return {};
  in = Fd();
  auto text = read_all(out.get());
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return text;
}

std::string_view take_line(std::string_view& text) {
  const auto end = text.find('\n');
  const auto line = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  return line;
}

/// `file:line`, or `file:line (discriminator 3)`; `??` is what is not known.
void set_place(Symbol& symbol, std::string_view place) {
  const auto colon = place.rfind(':', place.find(' '));
  if (colon == place.npos || place.starts_with("??")) return;
  int line = 0;
  std::from_chars(place.data() + colon + 1, place.data() + place.size(), line);
  if (line == 0) return;
  symbol.file = place.substr(0, colon);
  symbol.line = line;
}

/// What `addr2line -a -f -i` says: for each address a line with it, then two for each function.
std::vector<std::vector<Symbol>> parse(std::string_view text) {
  std::vector<std::vector<Symbol>> all;
  while (!text.empty()) {
    const auto line = take_line(text);
    if (line.starts_with("0x")) {
      all.emplace_back();
      continue;
    }
    if (all.empty()) return {};
    Symbol symbol;
    if (line != "??") symbol.function = line;
    set_place(symbol, take_line(text));
    all.back().push_back(std::move(symbol));
  }
  return all;
}

}  // namespace

std::vector<std::vector<Symbol>> symbolise(std::span<const std::uint64_t> addresses) {
  std::vector<std::vector<Symbol>> all(addresses.size());
  std::map<std::string, std::vector<std::size_t>> of_module;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const auto position = locate(addresses[i]);
    all[i].push_back({});
    if (!position) continue;
    all[i][0].module = position->module;
    all[i][0].offset = position->offset;
    of_module[all[i][0].module].push_back(i);
  }
  for (const auto& [module, indices] : of_module) {
    std::vector<std::string> words{"addr2line", "-a", "-f", "-C", "-i", "-e", module};
    for (const auto i : indices) words.push_back(hex(all[i][0].offset));
    auto found = parse(output_of(std::move(words)));
    found.resize(indices.size());
    for (std::size_t k = 0; k < indices.size(); ++k) {
      const auto offset = all[indices[k]][0].offset;
      if (found[k].empty() || found[k][0].function.empty())
        found[k] = {{.function = function_at(module, offset)}};
      for (auto& symbol : found[k]) {
        symbol.module = module;
        symbol.offset = offset;
      }
      all[indices[k]] = std::move(found[k]);
    }
  }
  return all;
}

}  // namespace guestproof::ring0
