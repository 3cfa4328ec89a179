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

Outcome<loader::LoadedKernel> load_image(const Config& config, const MappedMemory& memory) {
  const auto file = read_kernel(config);
  if (!file) return std::unexpected(file.error());
  const auto image = loader::Arm64Image::parse(*file);
  if (!image) return bad_kernel(config, image.error());
  const GuestAddress base(config.kernel.load_address.value_or(layout::kKernelStart.raw()));
  if (base < layout::kKernelStart)
    return cannot(
        fmt::format("--kernel: kernel_load_addr={:#x} is below {:#x}, where the device "
                    "tree is.",
                    base.raw(), layout::kKernelStart.raw()));
  const auto loaded = loader::load(memory, *image, base);
  if (!loaded) return bad_kernel(config, loaded.error());
  return *loaded;
}

}  // namespace

Outcome<BootState> load_kernel(const Config& config, const MappedMemory& memory,
                               std::vector<std::uint64_t> affinities, VirtioDescription virtio) {
  const auto kernel = load_image(config, memory);
  if (!kernel) return std::unexpected(kernel.error());
  const std::array taken{layout::kDeviceTree, kernel->memory};
  // Together with the kernel in 32 GiB.
  constexpr std::uint64_t kReach = std::uint64_t{32} << 30;
  const auto initrd = load_initrd(config, memory, taken, layout::kRamBase + kReach - 1);
  if (!initrd) return std::unexpected(initrd.error());
  const auto line = make_cmdline(config, kKernelArguments, loader::Cmdline::kUsualLimit);
  if (!line) return std::unexpected(line.error());

  const loader::GuestRange ram{GuestAddress(layout::kRamBase), config.memory_mib << 20};
  const auto tree =
      device_tree({std::move(affinities), ram, line->text(), *initrd, std::move(virtio)});
  if (!tree) return failed("the device tree", tree.error());
  const auto place = layout::kDeviceTree.base;
  if (const auto ok = write_bytes(memory, place, *tree); !ok)
    return failed("the device tree", ok.error());
  return BootState{kernel->entry.raw(), place.raw()};
}

}  // namespace guestproof::vmm::aarch64
