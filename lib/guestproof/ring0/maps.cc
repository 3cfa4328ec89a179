#include "guestproof/ring0/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <span>

namespace guestproof::ring0 {

Result<HostMapping> parse_mapping(std::string_view line) {
  const char* const start = line.data();
  const char* const end = start + line.size();
  const auto wrong = [&](const char* at) {
    return fail(Ring0Error::kMapsLine, static_cast<std::uint64_t>(at - start), line.size());
  };
  HostMapping mapping;
  const auto begins = std::from_chars(start, end, mapping.begin, 16);
  if (begins.ec != std::errc() || begins.ptr == end || *begins.ptr != '-') return wrong(begins.ptr);
  const auto ends = std::from_chars(begins.ptr + 1, end, mapping.end, 16);
  if (ends.ec != std::errc() || mapping.end <= mapping.begin) return wrong(ends.ptr);
  const std::string_view rest(ends.ptr, static_cast<std::size_t>(end - ends.ptr));
  if (rest.size() < 5 || rest[0] != ' ') return wrong(ends.ptr);
  mapping.read = rest[1] == 'r';
  mapping.write = rest[2] == 'w';
  mapping.execute = rest[3] == 'x';
  return mapping;
}

Result<AddressMap> AddressMap::open(const char* path) {
  Fd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail(SystemError::kOpen, static_cast<std::uint64_t>(errno));
  return AddressMap(std::move(fd));
}

Result<std::optional<HostMapping>> AddressMap::find(std::uint64_t address) const {
  std::array<char, 80> line;  // what matters of one; the name of its file may be longer
  std::size_t length = 0;
  std::array<char, 4096> buffer;
  ::off_t offset = 0;
  while (true) {
    const auto count = ::pread(fd_.get(), buffer.data(), buffer.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(SystemError::kRead, static_cast<std::uint64_t>(errno));
    if (count == 0) return std::nullopt;
    offset += count;
    for (const char letter : std::span(buffer).first(static_cast<std::size_t>(count))) {
      if (letter != '\n') {
        if (length < line.size()) line[length++] = letter;
        continue;
      }
      const auto mapping = parse_mapping({line.data(), length});
      length = 0;
      if (!mapping) return std::unexpected(mapping.error());
      if (address < mapping->begin) return std::nullopt;
      if (address < mapping->end) return *mapping;
    }
  }
}

}  // namespace guestproof::ring0
