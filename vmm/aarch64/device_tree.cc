#include "vmm/aarch64/device_tree.h"

#include <fmt/format.h>

#include <array>

#include "guestproof/fdt/writer.h"
#include "guestproof/pci/bus.h"
#include "vmm/aarch64/layout.h"

namespace guestproof::vmm::aarch64 {
namespace {

// Nodes that others refer to.
constexpr std::uint32_t kGic = 1;
constexpr std::uint32_t kClock = 2;

// The GIC's binding: the type of an interrupt, and that it is active while its level is high.
constexpr std::uint32_t kSpi = 0;
constexpr std::uint32_t kPpi = 1;
constexpr std::uint32_t kLevelHigh = 4;

constexpr std::uint32_t high(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> 32);
}
constexpr std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }

std::string at(std::string_view name, std::uint64_t address) {
  return fmt::format("{}@{:x}", name, address);
}

void write_chosen(fdt::Writer& tree, const Machine& machine) {
  tree.begin("chosen")
      .text("bootargs", machine.cmdline)
      .text("stdout-path", "/" + at("serial", layout::kSerial));
  if (machine.initrd.size != 0) {
    const auto base = machine.initrd.base.raw();
    tree.quads("linux,initrd-start", {base})
        .quads("linux,initrd-end", {base + machine.initrd.size});
  }
  tree.end();
}

void write_processors(fdt::Writer& tree, const Machine& machine) {
  tree.begin("cpus").cells("#address-cells", {2}).cells("#size-cells", {0});
  for (const auto affinity : machine.affinities)
    tree.begin(at("cpu", affinity))
        .text("device_type", "cpu")
        .text("compatible", "arm,armv8")
        .text("enable-method", "psci")
        .quads("reg", {affinity})
        .end();
  tree.end();
  tree.begin("psci")
      .texts("compatible", {"arm,psci-1.0", "arm,psci-0.2"})
      .text("method", "hvc")
      .end();
  // Secure and not, virtual, the hypervisor's: the numbers that the architecture has for them.
  tree.begin("timer")
      .text("compatible", "arm,armv8-timer")
      .cells("interrupts", {kPpi, 13, kLevelHigh, kPpi, 14, kLevelHigh, kPpi, 11, kLevelHigh, kPpi,
                            10, kLevelHigh})
      .flag("always-on")
      .end();
  tree.begin(at("interrupt-controller", layout::kDistributor))
      .text("compatible", "arm,gic-v3")
      .flag("interrupt-controller")
      .cells("#interrupt-cells", {3})
      .cells("#address-cells", {0})
      .cells("phandle", {kGic})
      .quads("reg", {layout::kDistributor, layout::kDistributorBytes, layout::kRedistributors,
                     machine.affinities.size() * layout::kRedistributorBytes})
      .end();
}

/// Opens a chip's node, for more that it has.
fdt::Writer& begin_chip(fdt::Writer& tree, std::string_view name, std::uint64_t base) {
  return tree.begin(at(name, base)).quads("reg", {base, layout::kChipBytes});
}

void write_chips(fdt::Writer& tree) {
  tree.begin("clock")
      .text("compatible", "fixed-clock")
      .cells("#clock-cells", {0})
      .cells("clock-frequency", {24'000'000})
      .cells("phandle", {kClock})
      .end();
  begin_chip(tree, "serial", layout::kSerial)
      .text("compatible", "ns16550a")
      .cells("clock-frequency", {1'843'200})
      .cells("interrupts", {kSpi, layout::kSerialGsi, kLevelHigh})
      .end();
  begin_chip(tree, "rtc", layout::kRtc)
      .texts("compatible", {"arm,pl031", "arm,primecell"})
      .cells("interrupts", {kSpi, layout::kRtcGsi, kLevelHigh})
      .cells("clocks", {kClock})
      .text("clock-names", "apb_pclk")
      .end();
  begin_chip(tree, "pvpanic", layout::kPvPanic).text("compatible", "qemu,pvpanic-mmio").end();
}

void write_windows(fdt::Writer& tree, const std::vector<acpi::VirtioWindow>& windows) {
  for (const auto& window : windows)
    tree.begin(at("virtio_mmio", window.base))
        .text("compatible", "virtio,mmio")
        .quads("reg", {window.base, window.size})
        .cells("interrupts", {kSpi, window.gsi, kLevelHigh})
        .flag("dma-coherent")
        .end();
}

/// For each pin of each device the line that it is: devices repeat themselves after four.
std::vector<std::uint32_t> interrupt_map(const acpi::PciRoot& root) {
  std::vector<std::uint32_t> map;
  for (std::uint32_t device = 0; device < pci::kIntxLines; ++device)
    for (std::uint32_t pin = 1; pin <= pci::kIntxLines; ++pin) {
      const auto gsi = root.intx_gsi[pci::intx_line(device, pin)];
      for (const auto cell : {device << 11, 0u, 0u, pin, kGic, kSpi, gsi, kLevelHigh})
        map.push_back(cell);
    }
  return map;
}

void write_pci(fdt::Writer& tree, const acpi::PciRoot& root) {
  constexpr std::uint32_t kMemory32 = 0x0200'0000;
  const auto& window = root.memory[0];
  tree.begin(at("pcie", root.ecam))
      .text("compatible", "pci-host-ecam-generic")
      .text("device_type", "pci")
      .cells("#address-cells", {3})
      .cells("#size-cells", {2})
      .quads("reg", {root.ecam, pci::kEcamBytes})
      .cells("bus-range", {0, 0})
      .cells("ranges", {kMemory32, high(window.base), low(window.base), high(window.base),
                        low(window.base), high(window.size), low(window.size)})
      .cells("#interrupt-cells", {1})
      .cells("interrupt-map-mask", {(pci::kIntxLines - 1) << 11, 0, 0, 7})
      .cells("interrupt-map", interrupt_map(root))
      .flag("dma-coherent")
      .end();
}

}  // namespace

Result<std::vector<std::byte>> device_tree(const Machine& machine) {
  fdt::Writer tree;
  tree.begin("")
      .text("compatible", "linux,dummy-virt")
      .cells("#address-cells", {2})
      .cells("#size-cells", {2})
      .cells("interrupt-parent", {kGic});
  write_chosen(tree, machine);
  tree.begin(at("memory", machine.ram.base.raw()))
      .text("device_type", "memory")
      .quads("reg", {machine.ram.base.raw(), machine.ram.size})
      .end();
  write_processors(tree, machine);
  write_chips(tree);
  write_windows(tree, machine.virtio.windows);
  if (machine.virtio.pci) write_pci(tree, *machine.virtio.pci);
  return tree.end().finish(layout::kDeviceTreeBytes);
}

}  // namespace guestproof::vmm::aarch64
