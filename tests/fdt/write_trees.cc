// Writes the device trees of some machines, for dtc to read: FOLDER/MACHINE.dtb.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <string>

#include "guestproof/fdt/writer.h"

namespace guestproof::fdt {
namespace {

constexpr std::uint32_t kGic = 1, kClock = 2;  // phandles
constexpr std::uint32_t kSpi = 0, kPpi = 1, kEdge = 1, kHigh = 4;

void processors(Writer& tree, std::uint32_t number) {
  tree.begin("cpus").cells("#address-cells", {1}).cells("#size-cells", {0});
  for (std::uint32_t i = 0; i < number; ++i)
    tree.begin("cpu@" + std::to_string(i))
        .text("device_type", "cpu")
        .text("compatible", "arm,armv8")
        .text("enable-method", "psci")
        .cells("reg", {i})
        .end();
  tree.end();
  tree.begin("psci")
      .texts("compatible", {"arm,psci-1.0", "arm,psci-0.2"})
      .text("method", "hvc")
      .end();
}

void interrupts(Writer& tree) {
  tree.begin("intc@3fff0000")
      .text("compatible", "arm,gic-v3")
      .cells("#address-cells", {0})
      .cells("#interrupt-cells", {3})
      .flag("interrupt-controller")
      .quads("reg", {0x3fff'0000, 0x1'0000, 0x3ff0'0000, 0xf'0000})
      .cells("phandle", {kGic})
      .end();
  tree.begin("timer")
      .text("compatible", "arm,armv8-timer")
      .cells("interrupts", {kPpi, 13, kHigh, kPpi, 14, kHigh, kPpi, 11, kHigh, kPpi, 10, kHigh})
      .flag("always-on")
      .end();
}

void devices(Writer& tree) {
  tree.begin("apb-pclk")
      .text("compatible", "fixed-clock")
      .cells("#clock-cells", {0})
      .cells("clock-frequency", {24'000'000})
      .cells("phandle", {kClock})
      .end();
  tree.begin("serial@40001000")
      .text("compatible", "ns16550a")
      .quads("reg", {0x4000'1000, 8})
      .cells("clock-frequency", {1'843'200})
      .cells("interrupts", {kSpi, 1, kEdge})
      .end();
  tree.begin("rtc@40002000")
      .texts("compatible", {"arm,pl031", "arm,primecell"})
      .quads("reg", {0x4000'2000, 0x1000})
      .cells("clocks", {kClock})
      .text("clock-names", "apb_pclk")
      .cells("interrupts", {kSpi, 2, kHigh})
      .end();
  tree.begin("virtio_mmio@40003000")
      .text("compatible", "virtio,mmio")
      .flag("dma-coherent")
      .quads("reg", {0x4000'3000, 0x1000})
      .cells("interrupts", {kSpi, 3, kEdge})
      .end();
}

void pci(Writer& tree) {
  tree.begin("pcie@50000000")
      .text("compatible", "pci-host-ecam-generic")
      .text("device_type", "pci")
      .cells("#address-cells", {3})
      .cells("#size-cells", {2})
      .cells("#interrupt-cells", {1})
      .cells("bus-range", {0, 0})
      .quads("reg", {0x5000'0000, 0x10'0000})
      .cells("ranges", {0x0200'0000, 0, 0x6000'0000, 0, 0x6000'0000, 0, 0x1000'0000})
      .cells("interrupt-map-mask", {0xf800, 0, 0, 7})
      .cells("interrupt-map", {0x0800, 0, 0, 1, kGic, 0, 0, kSpi, 4, kHigh})
      .flag("dma-coherent")
      .end();
}

Writer arm_machine(std::uint32_t number) {
  Writer tree;
  tree.reserve(GuestAddress(0x8000'0000), 0x1'0000).reserve(GuestAddress(0x9000'0000), 0x1000);
  tree.begin("")
      .text("compatible", "linux,dummy-virt")
      .cells("#address-cells", {2})
      .cells("#size-cells", {2})
      .cells("interrupt-parent", {kGic});
  tree.begin("chosen")
      .text("bootargs", "console=ttyS0,115200 reboot=k")
      .text("stdout-path", "/serial@40001000")
      .quads("linux,initrd-start", {0x8800'0000})
      .quads("linux,initrd-end", {0x8810'0001})
      .end();
  tree.begin("memory@80000000")
      .text("device_type", "memory")
      .quads("reg", {0x8000'0000, 0x1000'0000})
      .end();
  processors(tree, number);
  interrupts(tree);
  devices(tree);
  pci(tree);
  tree.end();
  return tree;
}

Writer least() {
  Writer tree;
  tree.begin("")
      .text("model", "nothing")
      .text("compatible", "nothing")
      .cells("#address-cells", {1})
      .cells("#size-cells", {1})
      .bytes("odd", std::as_bytes(std::span("12345", 5)))
      .end();
  return tree;
}

}  // namespace
}  // namespace guestproof::fdt

int main(int, char** arguments) {
  const std::map<std::string, guestproof::fdt::Writer> trees{
      {"least", guestproof::fdt::least()},
      {"one_processor", guestproof::fdt::arm_machine(1)},
      {"eight_processors", guestproof::fdt::arm_machine(8)}};
  std::filesystem::create_directories(arguments[1]);
  for (const auto& [name, tree] : trees) {
    const auto blob = tree.finish();
    if (!blob) {
      std::cerr << name << ": " << blob.error().message() << "\n";
      return EXIT_FAILURE;
    }
    std::ofstream file(std::filesystem::path(arguments[1]) / (name + ".dtb"), std::ios::binary);
    file.write(reinterpret_cast<const char*>(blob->data()),
               static_cast<std::streamsize>(blob->size()));
  }
}
