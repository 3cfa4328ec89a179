// What the DSDT says, in AML.
#include <string>
#include <string_view>
#include <utility>

#include "guestproof/acpi/aml.h"
#include "guestproof/acpi/tables.h"

namespace guestproof::acpi {
namespace {

using aml::Terms;
using aml::Trigger;
using aml::Usage;

/// A prefix and so many capital hexadecimal digits.
std::string numbered(std::string_view prefix, std::size_t number, std::size_t digits) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string name(prefix);
  for (std::size_t i = digits; i-- > 0;) name.push_back(kDigits[number >> 4 * i & 0xf]);
  return name;
}

aml::Code serial_port(const SerialPort& port, std::size_t index) {
  return aml::device(
      numbered("COM", index + 1, 1),
      {aml::name("_HID", aml::eisa_id("PNP0501")), aml::name("_UID", aml::integer(index + 1)),
       aml::name("_CRS", aml::resources({aml::io_ports(port.port, 8),
                                         aml::interrupt(port.gsi, Trigger::kEdge)}))});
}

/// The identifier is what Linux's virtio_mmio driver binds to.
aml::Code virtio_window(const VirtioWindow& window, std::size_t index) {
  return aml::device(
      numbered("VR", index, 2),
      {aml::name("_HID", aml::string("LNRO0005")), aml::name("_UID", aml::integer(index)),
       aml::name("_CCA", aml::integer(1)),
       aml::name("_CRS",
                 aml::resources({aml::memory32_fixed(static_cast<std::uint32_t>(window.base),
                                                     static_cast<std::uint32_t>(window.size)),
                                 aml::interrupt(window.gsi, Trigger::kLevel)}))});
}

/// The button, and the Generic Event Device that says when it is pressed (§5.6.9).
Terms power_button(std::uint32_t gsi) {
  constexpr std::uint64_t kPressed = 0x80;
  return {
      aml::device("PWRB",
                  {aml::name("_HID", aml::eisa_id("PNP0C0C")), aml::name("_UID", aml::integer(0))}),
      aml::device("GED",
                  {aml::name("_HID", aml::string("ACPI0013")), aml::name("_UID", aml::integer(0)),
                   aml::name("_CRS", aml::resources({aml::interrupt(gsi, Trigger::kEdge)})),
                   aml::method("_EVT", 1, {aml::notify("\\_SB.PWRB", kPressed)})})};
}

/// The identifier is what Linux's pvpanic driver binds to. It calls no method, so there is none.
aml::Code panic_device(std::uint16_t port) {
  constexpr std::uint64_t kPresentAndWorking = 0x0f;
  return aml::device(
      "PEVT", {aml::name("_HID", aml::string("QEMU0001")), aml::name("_UID", aml::integer(0)),
               aml::name("_STA", aml::integer(kPresentAndWorking)),
               aml::name("_CRS", aml::resources({aml::io_ports(port, 1)}))});
}

/// _PRT: which input a pin of a device is wired to. Pins are 0 to 3 here.
aml::Code routing(const PciRoot& pci) {
  constexpr std::uint64_t kAnyFunction = 0xffff;
  Terms entries;
  for (std::uint64_t device = 1; device < 32; ++device)  // 0 is the host bridge
    for (std::uint64_t pin = 0; pin < 4; ++pin)
      entries.push_back(
          aml::package({aml::integer(device << 16 | kAnyFunction), aml::integer(pin),
                        aml::integer(0), aml::integer(pci.intx_gsi[(device + pin) % 4])}));
  return aml::package(entries);
}

aml::Code pci_root(const PciRoot& pci) {
  Terms windows{aml::word_bus_number(0, 1), aml::io_ports(0xcf8, 8)};
  if (pci.io.size != 0)
    windows.push_back(aml::word_io(static_cast<std::uint16_t>(pci.io.base),
                                   static_cast<std::uint16_t>(pci.io.size)));
  for (const auto& [base, size] : pci.memory)
    if (size != 0) windows.push_back(aml::qword_memory(base, size, Usage::kProduced));
  return aml::device(
      "PCI0",
      {aml::name("_HID", aml::eisa_id("PNP0A08")), aml::name("_CID", aml::eisa_id("PNP0A03")),
       aml::name("_UID", aml::integer(0)), aml::name("_SEG", aml::integer(0)),
       aml::name("_BBN", aml::integer(0)), aml::name("_CCA", aml::integer(1)),
       aml::name("_CRS", aml::resources(windows)), aml::name("_PRT", routing(pci))});
}

/// Linux uses configuration space in memory only when it is reserved for the board.
aml::Code ecam(const PciRoot& pci) {
  return aml::device(
      "ECAM",
      {aml::name("_HID", aml::eisa_id("PNP0C02")), aml::name("_UID", aml::integer(0)),
       aml::name("_CRS",
                 aml::resources({aml::qword_memory(pci.ecam, kEcamBytes, Usage::kConsumed)}))});
}

}  // namespace

std::vector<std::byte> definition_block(const Config& config) {
  Terms devices;
  for (std::size_t i = 0; i < config.serial_ports.size(); ++i)
    devices.push_back(serial_port(config.serial_ports[i], i));
  for (std::size_t i = 0; i < config.virtio_windows.size(); ++i)
    devices.push_back(virtio_window(config.virtio_windows[i], i));
  if (config.power_button_gsi)
    for (auto& device : power_button(*config.power_button_gsi))
      devices.push_back(std::move(device));
  if (config.panic_port) devices.push_back(panic_device(*config.panic_port));
  if (config.pci) {
    devices.push_back(pci_root(*config.pci));
    devices.push_back(ecam(*config.pci));
  }
  auto code = aml::scope("\\_SB", devices);
  const auto off =
      aml::name("\\_S5", aml::package({aml::integer(config.power.sleep_type_off), aml::integer(0),
                                       aml::integer(0), aml::integer(0)}));
  code.insert(code.end(), off.begin(), off.end());
  return code;
}

}  // namespace guestproof::acpi
