#include "vmm/x86_64/kernel.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "guestproof/loader/boot_params.h"
#include "guestproof/loader/bzimage.h"
#include "guestproof/loader/elf.h"
#include "guestproof/loader/pvh.h"
#include "vmm/boot_files.h"
#include "vmm/guest_ram.h"

namespace guestproof::vmm::x86_64 {
namespace {

namespace x86 = loader::x86;

/// A kernel of any format in guest memory.
struct Kernel {
  loader::LoadedKernel loaded;
  loader::SetupHeader header;  // of the file, or one that stands for it
};

/// An ELF file says itself where it goes.
Result<Kernel> load_elf(const MappedMemory& memory, std::span<const std::byte> file) {
  const auto image = loader::ElfImage::parse(file);
  if (!image) return std::unexpected(image.error());
  // PVH needs no page tables, and is what ELF kernels are given by others.
  const auto protocol = image->entry(loader::KernelProtocol::kPvh)
                            ? loader::KernelProtocol::kPvh
                            : loader::KernelProtocol::kLinux64;
  const auto loaded = loader::load(memory, *image, protocol);
  if (!loaded) return std::unexpected(loaded.error());
  return Kernel{*loaded, loader::default_setup_header()};
}

Result<Kernel> load_bzimage(const Config& config, const MappedMemory& memory,
                            std::span<const std::byte> file) {
  const auto image = loader::BzImage::parse(file);
  if (!image) return std::unexpected(image.error());
  const GuestAddress wanted(
      config.kernel.load_address.value_or(image->default_load_address().raw()));
  const auto loaded = loader::load(memory, *image, wanted);
  if (!loaded) return std::unexpected(loaded.error());
  return Kernel{*loaded, image->header()};
}

bool is_elf(std::span<const std::byte> file) {
  constexpr std::array<char, 4> kMagic{0x7f, 'E', 'L', 'F'};
  return file.size() >= kMagic.size() &&
         std::memcmp(file.data(), kMagic.data(), kMagic.size()) == 0;
}

Outcome<Kernel> load_image(const Config& config, const MappedMemory& memory) {
  const auto file = read_kernel(config);
  if (!file) return std::unexpected(file.error());
  const auto kernel = is_elf(*file) ? load_elf(memory, *file) : load_bzimage(config, memory, *file);
  if (!kernel) return bad_kernel(config, kernel.error());
  const auto base = kernel->loaded.memory.base.raw();
  if (base < config.kernel.load_address.value_or(0))
    return cannot(fmt::format("--kernel: '{}' is loaded at {:#x}, below kernel_load_addr={:#x}.",
                              config.kernel.path, base, *config.kernel.load_address));
  return *kernel;
}

Outcome<void> load_cmdline(const Config& config, const MappedMemory& memory, const Kernel& kernel) {
  const auto line = make_cmdline(config, kKernelArguments, kernel.header.cmdline_size);
  if (!line) return std::unexpected(line.error());
  const auto ok = loader::load(memory, *line, x86::kCmdline);
  if (!ok) return cannot("--kernel: cmdline=", ok.error());
  return {};
}

}  // namespace

Outcome<x86::BootState> load_kernel(const Config& config, const MappedMemory& memory,
                                    GuestAddress rsdp) {
  const auto kernel = load_image(config, memory);
  if (!kernel) return std::unexpected(kernel.error());
  const auto& loaded = kernel->loaded;
  const auto initrd =
      load_initrd(config, memory, std::array{loaded.memory}, kernel->header.initrd_addr_max);
  if (!initrd) return std::unexpected(initrd.error());
  if (const auto ok = load_cmdline(config, memory, *kernel); !ok)
    return std::unexpected(ok.error());

  const auto ram = ram_ranges(config.memory_mib << 20);
  const auto map = loader::make_memory_map(ram, loader::kX86Reserved);
  if (!map) return cannot("--memory", map.error());
  const auto cmdline = x86::kCmdline.base;
  auto ok = loaded.protocol == loader::KernelProtocol::kPvh
                ? loader::load(memory, loader::PvhBoot{cmdline, *initrd, rsdp, *map})
                : loader::load(memory, loader::LinuxBoot{kernel->header, loaded.memory.base,
                                                         cmdline, *initrd, rsdp, *map});
  const auto state = x86::boot_state(loaded);
  if (ok) ok = x86::load(memory, state);
  if (!ok) return bad_kernel(config, ok.error());
  return state;
}

}  // namespace guestproof::vmm::x86_64
