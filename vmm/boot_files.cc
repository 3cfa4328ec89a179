#include "vmm/boot_files.h"

#include <fmt/format.h>

#include "guestproof/loader/memory_map.h"
#include "vmm/files.h"

namespace guestproof::vmm {
namespace {

std::vector<loader::GuestRange> ranges_of(const MappedMemory& memory) {
  std::vector<loader::GuestRange> ranges;
  for (const auto& region : memory.regions()) ranges.push_back({region.base(), region.size()});
  return ranges;
}

}  // namespace

Outcome<std::vector<std::byte>> read_kernel(const Config& config) {
  return read_file("--kernel", config.kernel.path, kMaxKernelBytes);
}

std::unexpected<Complaint> bad_kernel(const Config& config, const Error& why) {
  return cannot(fmt::format("--kernel: '{}'", config.kernel.path), why);
}

Outcome<loader::Cmdline> make_cmdline(const Config& config, std::string_view before,
                                      std::size_t limit) {
  loader::Cmdline line(limit);
  auto ok = line.append(before);
  if (ok) ok = line.append(config.kernel.cmdline);
  if (!ok) return cannot("--kernel: cmdline=", ok.error());
  return line;
}

Outcome<loader::GuestRange> load_initrd(const Config& config, const MappedMemory& memory,
                                        std::span<const loader::GuestRange> taken,
                                        std::uint64_t last_address) {
  if (config.initrd.empty()) return loader::GuestRange{};
  const auto file = read_file("--initrd", config.initrd, config.memory_mib << 20);
  if (!file) return std::unexpected(file.error());
  const auto what = fmt::format("--initrd: '{}'", config.initrd);
  const auto ram = ranges_of(memory);
  const auto place = loader::place_initrd(
      {.size = file->size(), .ram = ram, .taken = taken, .last_address = last_address});
  if (!place) return cannot(what, place.error());
  if (const auto ok = write_bytes(memory, place->base, *file); !ok) return cannot(what, ok.error());
  return *place;
}

}  // namespace guestproof::vmm
