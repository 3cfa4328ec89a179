#include "guestproof/ring0/elf_symbols.h"

#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "guestproof/base/fd.h"

namespace guestproof::ring0 {
namespace {

constexpr std::uint64_t kLargestTable = 256 << 20;  // bytes; what a file may say is not believed

template <class T>
std::vector<T> read_array(int fd, std::uint64_t offset, std::uint64_t count) {
  if (count > kLargestTable / sizeof(T)) return {};
  std::vector<T> array(count);
  const auto size = count * sizeof(T);
  const auto got = ::pread(fd, array.data(), size, static_cast<::off_t>(offset));
  if (got < 0 || static_cast<std::uint64_t>(got) != size) return {};
  return array;
}

std::string demangle(const char* name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> readable(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
  return readable ? readable.get() : name;
}

std::string find(int fd, const ::Elf64_Shdr& table, const ::Elf64_Shdr& strings,
                 std::uint64_t offset) {
  const auto symbols =
      read_array<::Elf64_Sym>(fd, table.sh_offset, table.sh_size / sizeof(::Elf64_Sym));
  for (const auto& symbol : symbols) {
    if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || offset - symbol.st_value >= symbol.st_size)
      continue;
    auto names = read_array<char>(fd, strings.sh_offset, strings.sh_size);
    if (symbol.st_name >= names.size()) return {};
    names.back() = 0;
    return demangle(names.data() + symbol.st_name);
  }
  return {};
}

}  // namespace

std::string function_at(const std::string& path, std::uint64_t offset) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const auto header = read_array<::Elf64_Ehdr>(fd.get(), 0, 1);
  if (header.empty() || std::memcmp(header[0].e_ident, ELFMAG, SELFMAG) != 0) return {};
  const auto sections = read_array<::Elf64_Shdr>(fd.get(), header[0].e_shoff, header[0].e_shnum);
  for (const auto& section : sections)
    if (section.sh_type == SHT_SYMTAB && section.sh_link < sections.size())
      return find(fd.get(), section, sections[section.sh_link], offset);
  return {};
}

}  // namespace guestproof::ring0
