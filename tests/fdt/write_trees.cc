// Writes device trees, for dtc to read: FOLDER/NAME.dtb. Of Arm machines they are those of the VMM.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <string>

#include "guestproof/fdt/writer.h"
#include "vmm/aarch64/device_tree.h"
#include "vmm/aarch64/layout.h"

namespace guestproof {
namespace {

namespace layout = vmm::aarch64::layout;
using Tree = Result<std::vector<std::byte>>;

Tree least() {
  fdt::Writer tree;
  tree.reserve(GuestAddress(0x8000'0000), 0x1'0000).reserve(GuestAddress(0x9000'0000), 0x1000);
  tree.begin("")
      .text("model", "nothing")
      .text("compatible", "nothing")
      .cells("#address-cells", {1})
      .cells("#size-cells", {1})
      .bytes("odd", std::as_bytes(std::span("12345", 5)))
      .end();
  return tree.finish();
}

Tree arm_machine(std::uint64_t processors, vmm::VirtioDescription virtio) {
  vmm::aarch64::Machine machine{.affinities = {},
                                .ram = {GuestAddress(layout::kRamBase), 256 << 20},
                                .cmdline = "panic=-1 console=ttyS0",
                                .initrd = {GuestAddress(layout::kRamBase + (64 << 20)), 0x10'0001},
                                .virtio = std::move(virtio)};
  for (std::uint64_t id = 0; id < processors; ++id)
    machine.affinities.push_back(id % 16 | id / 16 << 8);
  return vmm::aarch64::device_tree(machine);
}

vmm::VirtioDescription on_mmio() {
  return {.windows = {{.base = layout::kMmioBase, .gsi = layout::kDeviceGsi},
                      {.base = layout::kMmioBase + layout::kMmioStride, .gsi = 9}},
          .pci = {}};
}

vmm::VirtioDescription on_pci() {
  acpi::PciRoot root;
  root.ecam = layout::kEcamBase;
  root.memory[0] = {.base = layout::kBarBase, .size = layout::kBarBytes};
  root.intx_gsi = {8, 9, 10, 11};
  return {.windows = {}, .pci = root};
}

}  // namespace
}  // namespace guestproof

int main(int, char** arguments) {
  const std::map<std::string, guestproof::Tree> trees{
      {"least", guestproof::least()},
      {"mmio", guestproof::arm_machine(1, guestproof::on_mmio())},
      {"pci", guestproof::arm_machine(32, guestproof::on_pci())}};
  std::filesystem::create_directories(arguments[1]);
  for (const auto& [name, blob] : trees) {
    if (!blob) {
      std::cerr << name << ": " << blob.error().message() << "\n";
      return EXIT_FAILURE;
    }
    std::ofstream file(std::filesystem::path(arguments[1]) / (name + ".dtb"), std::ios::binary);
    file.write(reinterpret_cast<const char*>(blob->data()),
               static_cast<std::streamsize>(blob->size()));
  }
}
