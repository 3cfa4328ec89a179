#include "vmm/guest_ram.h"

#include <errno.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "vmm/layout.h"

namespace guestproof::vmm {

std::vector<loader::GuestRange> ram_ranges(std::uint64_t bytes) {
  std::vector<loader::GuestRange> ranges;
  for (const auto& [base, size] : layout::kRam) {
    if (bytes == 0) break;
    ranges.push_back({base, std::min(bytes, size)});
    bytes -= ranges.back().size;
  }
  return ranges;
}

Outcome<MappedMemory> make_ram(const Config& config) {
  MappedMemory::Builder builder;
  for (const auto& [base, size] : ram_ranges(config.memory_mib << 20))
    builder.anonymous(base, size);
  auto memory = builder.build();
  const auto what = fmt::format("--memory: size_mib={}", config.memory_mib);
  if (!memory) return cannot(what, memory.error());
  if (!config.huge_pages) return std::move(*memory);
  for (const auto& region : memory->regions())
    if (::madvise(region.host(), region.size(), MADV_HUGEPAGE) != 0)
      return cannot(fmt::format("{},hugepages=on: {}.", what, std::strerror(errno)));
  return std::move(*memory);
}

}  // namespace guestproof::vmm
