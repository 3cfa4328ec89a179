// Writes the ACPI tables of some machines, one file a table, for iasl to read:
// FOLDER/MACHINE/SIGNATURE.dat.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <numeric>
#include <string>

#include "reader.h"

namespace guestproof::acpi {
namespace {

std::map<std::string, Config> machines() {
  Config everything;
  everything.apic_ids.resize(300);
  std::iota(everything.apic_ids.begin(), everything.apic_ids.end(), 0);
  everything.power_button_gsi = 9;
  everything.panic_port = 0x505;
  everything.serial_ports = {{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};
  for (std::uint32_t i = 0; i < kMaxVirtioWindows; ++i)
    everything.virtio_windows.push_back({0xd000'0000 + 0x1000 * i, 0x1000, 5 + i % 11});
  everything.pci = {.ecam = 0xe000'0000,
                    .memory = {{{0xd010'0000, 0x0ff0'0000}, {0x40'0000'0000, 0x40'0000'0000}}},
                    .io = {0xc000, 0x4000},
                    .intx_gsi = {16, 17, 18, 19}};

  Config one_disk;
  one_disk.serial_ports = {{}};
  one_disk.virtio_windows = {{0xd000'0000, 0x1000, 5}};
  one_disk.power_button_gsi = 6;

  Config last_port{.panic_port = 0xffff};
  Config pci_without_ports{.pci = PciRoot{.ecam = 0x1'0000'0000}};
  return {{"least", {}},
          {"one_disk", one_disk},
          {"last_port", last_port},
          {"pci_without_ports", pci_without_ports},
          {"everything", everything}};
}

void write(const std::filesystem::path& folder, Bytes table) {
  std::ofstream(folder / (text(table, 0, 4) + ".dat"), std::ios::binary)
      << text(table, 0, table.size());
}

void write_all(const std::filesystem::path& folder, const Reader& reader) {
  write(folder, reader.xsdt());
  for (const auto& table : reader.tables()) write(folder, table);
  write(folder, reader.dsdt());
}

}  // namespace
}  // namespace guestproof::acpi

int main(int, char** arguments) {
  for (const auto& [name, config] : guestproof::acpi::machines()) {
    const auto tables = guestproof::acpi::build(config, guestproof::GuestAddress(0xe0000), 0x10000);
    if (!tables) {
      std::cerr << name << ": " << tables.error().message() << "\n";
      return EXIT_FAILURE;
    }
    const auto folder = std::filesystem::path(arguments[1]) / name;
    std::filesystem::create_directories(folder);
    guestproof::acpi::write_all(folder, guestproof::acpi::Reader(*tables));
  }
}
