// Writes the ACPI tables of some machines, one file a table, for iasl to read:
// FOLDER/MACHINE/SIGNATURE.dat.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <numeric>
#include <string>

#include "guestproof/acpi/tables.h"
#include "guestproof/base/bytes.h"

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

void write(const std::filesystem::path& folder, std::span<const std::byte> table) {
  const std::string signature(reinterpret_cast<const char*>(table.data()), 4);
  std::ofstream file(folder / (signature + ".dat"), std::ios::binary);
  file.write(reinterpret_cast<const char*>(table.data()),
             static_cast<std::streamsize>(table.size()));
}

/// Follows the pointers from the RSDP on, as a guest does.
void write_all(const std::filesystem::path& folder, const Tables& tables) {
  const std::span bytes(tables.bytes);
  const auto number = [](std::span<const std::byte> table, std::size_t at, std::size_t width) {
    return load(table.subspan(at, width));
  };
  const auto table_at = [&](std::uint64_t address) {
    const auto rest = bytes.subspan(address - tables.rsdp.raw());
    return rest.first(number(rest, 4, 4));
  };
  const auto xsdt = table_at(number(bytes, 24, 8));
  write(folder, xsdt);
  for (std::size_t at = 36; at < xsdt.size(); at += 8) {
    const auto table = table_at(number(xsdt, at, 8));
    write(folder, table);
    if (load(table.first(4)) == 0x50434146) write(folder, table_at(number(table, 140, 8)));  // FACP
  }
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
    guestproof::acpi::write_all(folder, *tables);
  }
}
