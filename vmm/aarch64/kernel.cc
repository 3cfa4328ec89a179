#include "vmm/aarch64/kernel.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "guestproof/loader/arm64_image.h"
#include "vmm/aarch64/device_tree.h"
#include "vmm/aarch64/layout.h"
#include "vmm/boot_files.h"

namespace guestproof::vmm::aarch64 {
namespace {

Outcome<loader::LoadedKernel> load_image(const Config& config, const MappedMemory& memory,
                                         const loader::GuestRange& tree) {
  const auto file = read_kernel(config);
  if (!file) return std::unexpected(file.error());
  const auto image = loader::Arm64Image::parse(*file);
  if (!image) return bad_kernel(config, image.error());
  const GuestAddress base(config.kernel.load_address.value_or(layout::kKernelStart.raw()));
  const auto loaded = loader::load(memory, *image, base);
  if (!loaded) return bad_kernel(config, loaded.error());
  if (loader::overlap(loaded->memory, tree))
    return cannot(fmt::format("--kernel: '{}' reaches into the device tree, at {:#x}.",
                              config.kernel.path, tree.base.raw()));
  return *loaded;
}

}  // namespace

Outcome<BootState> load_kernel(const Config& config, const MappedMemory& memory,
                               std::vector<std::uint64_t> affinities, VirtioDescription virtio) {
  const loader::GuestRange ram{GuestAddress(layout::kRamBase), config.memory_mib << 20};
  const auto place = layout::device_tree(ram.size);
  const auto kernel = load_image(config, memory, place);
  if (!kernel) return std::unexpected(kernel.error());
  // In 32 GiB from a multiple of 1 GiB on, the kernel with it (booting.rst).
  constexpr std::uint64_t kReach = std::uint64_t{32} << 30, kStep = 1 << 30;
  const auto window = kernel->memory.base.raw() / kStep * kStep;
  const auto initrd =
      load_initrd(config, memory, std::array{kernel->memory, place}, window + kReach - 1);
  if (!initrd) return std::unexpected(initrd.error());
  const auto line = make_cmdline(config, kKernelArguments, loader::Cmdline::kUsualLimit);
  if (!line) return std::unexpected(line.error());

  const auto tree =
      device_tree({std::move(affinities), ram, line->text(), *initrd, std::move(virtio)});
  if (!tree) return failed("the device tree", tree.error());
  if (const auto ok = write_bytes(memory, place.base, *tree); !ok)
    return failed("the device tree", ok.error());
  return BootState{kernel->entry.raw(), place.base.raw()};
}

}  // namespace guestproof::vmm::aarch64
