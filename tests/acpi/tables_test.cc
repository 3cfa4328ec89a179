#include "guestproof/acpi/tables.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "guestproof/acpi/aml.h"
#include "print.h"
#include "reader.h"

namespace guestproof::acpi {
namespace {

unsigned sum(Bytes bytes) {
  unsigned total = 0;
  for (const auto byte : bytes) total += std::to_integer<unsigned>(byte);
  return total & 0xff;
}

constexpr GuestAddress kBase(0xe0000);
constexpr std::size_t kRoom = 0x20000;

Tables tables_of(const Config& config, GuestAddress base = kBase) {
  return build(config, base, kRoom).value();
}

bool contains(Bytes table, std::string_view bytes) {
  return text(table, 0, table.size()).find(bytes) != std::string::npos;
}
bool contains(Bytes table, const aml::Code& code) {
  return !std::ranges::search(table, code).empty();
}

TEST(AcpiTablesTest, PointersAndChecksumsHold) {
  const Reader reader(tables_of({.pci = PciRoot{.ecam = 0xe000'0000}}, GuestAddress(0x7'1230)));

  EXPECT_EQ(text(reader.rsdp(), 0, 8), "RSD PTR ");
  EXPECT_EQ(number(reader.rsdp(), 15, 1), 2u);
  EXPECT_EQ(sum(reader.rsdp().first(20)), 0u);
  EXPECT_EQ(sum(reader.rsdp()), 0u);
  EXPECT_EQ(text(reader.xsdt(), 0, 4), "XSDT");
  EXPECT_EQ(reader.xsdt().size(), 36u + 3 * 8);
  for (const auto table : {reader.xsdt(), reader.table("FACP"), reader.table("APIC"),
                           reader.table("MCFG"), reader.dsdt()}) {
    EXPECT_EQ(sum(table), 0u) << text(table, 0, 4);
    EXPECT_EQ(text(table, 10, 14), "GPROOFGPROOFVM");
  }
  EXPECT_EQ(text(reader.dsdt(), 0, 4), "DSDT");
}

TEST(AcpiTablesTest, TheFadtDescribesAHardwareReducedMachine) {
  const Reader reader(tables_of(
      {.power = {
           .reset = 0x700, .reset_value = 0x42, .sleep_control = 0x701, .sleep_status = 0x702}}));
  const auto fadt = reader.table("FACP");

  EXPECT_EQ(fadt.size(), 276u);
  EXPECT_EQ(number(fadt, 8, 1), 6u);
  EXPECT_EQ(number(fadt, 109, 2), 0x24u);
  EXPECT_EQ(number(fadt, 112, 4), 0x100431u);
  EXPECT_EQ(number(fadt, 116, 4), 0x01000801u);
  EXPECT_EQ(number(fadt, 120, 8), 0x700u);
  EXPECT_EQ(number(fadt, 128, 1), 0x42u);
  EXPECT_EQ(number(fadt, 244, 4), 0x01000801u);
  EXPECT_EQ(number(fadt, 248, 8), 0x701u);
  EXPECT_EQ(number(fadt, 260, 8), 0x702u);
}

TEST(AcpiTablesTest, TheMadtHasEveryProcessor) {
  const Reader reader(tables_of({.apic_ids = {0, 2, 254, 255, 0x1'0000}}));
  const auto madt = reader.table("APIC");

  EXPECT_EQ(number(madt, 36, 4), 0xfee0'0000u);
  EXPECT_EQ(number(madt, 40, 4), 0u);
  EXPECT_EQ(number(madt, 44, 8), 0x1'00'00'08'00u);
  EXPECT_EQ(number(madt, 52, 8), 0x1'02'01'08'00u);
  EXPECT_EQ(number(madt, 60, 8), 0x1'fe'02'08'00u);
  EXPECT_EQ(number(madt, 68, 8), 0xff'0000'1009u);
  EXPECT_EQ(number(madt, 76, 8), 0x3'0000'0001u);
  EXPECT_EQ(number(madt, 84, 8), 0x1'0000'0000'1009u);
  EXPECT_EQ(number(madt, 92, 8), 0x4'0000'0001u);
  EXPECT_EQ(number(madt, 100, 4), 0x0c01u);
  EXPECT_EQ(number(madt, 104, 8), 0xfec0'0000u);
  EXPECT_EQ(madt.size(), 112u);
}

TEST(AcpiTablesTest, DevicesAreInTheDefinitionBlock) {
  Config config;
  config.serial_ports = {{0x3f8, 4}, {0x2f8, 3}};
  config.virtio_windows = {{0xd000'0000, 0x1000, 5}, {0xd000'1000, 0x1000, 6}};
  config.power_button_gsi = 9;
  config.panic_port = 0x505;
  config.pci = PciRoot{.ecam = 0xe000'0000,
                       .memory = {{{0xd010'0000, 0x10'0000}, {0x40'0000'0000, 0x1'0000'0000}}},
                       .io = {0xc000, 0x1000},
                       .intx_gsi = {16, 17, 18, 19}};
  const Reader everything(tables_of(config)), least(tables_of({}));

  for (const auto* name :
       {"COM1", "COM2", "VR00", "VR01", "PWRB", "GED_", "PEVT", "PCI0", "ECAM"}) {
    EXPECT_TRUE(contains(everything.dsdt(), name)) << name;
    EXPECT_FALSE(contains(least.dsdt(), name)) << name;
  }
  EXPECT_TRUE(least.table("MCFG").empty());
  const auto mcfg = everything.table("MCFG");
  EXPECT_EQ(number(mcfg, 44, 8), 0xe000'0000u);
  EXPECT_EQ(number(mcfg, 52, 8), 0u);
  EXPECT_EQ(mcfg.size(), 60u);
}

TEST(AcpiTablesTest, DevicesHaveTheirResources) {
  using namespace aml;
  const auto block = definition_block({
      .power_button_gsi = 9,
      .serial_ports = {{0x3f8, 4}, {0x2f8, 3}},
      .virtio_windows = {{0xd000'0000, 0x1000, 5}, {0xd000'1000, 0x2000, 6}},
      .pci = PciRoot{.ecam = 0xe000'0000,
                     .memory = {{{0xd010'0000, 0x10'0000}, {0x40'0000'0000, 0x1'0000'0000}}},
                     .io = {0xc000, 0x1000}},
  });

  const auto has = [&](const Terms& descriptors) {
    return contains(block, name("_CRS", resources(descriptors)));
  };
  EXPECT_TRUE(has({io_ports(0x3f8, 8), interrupt(4, Trigger::kEdge)}));
  EXPECT_TRUE(has({io_ports(0x2f8, 8), interrupt(3, Trigger::kEdge)}));
  EXPECT_TRUE(has({memory32_fixed(0xd000'0000, 0x1000), interrupt(5, Trigger::kLevel)}));
  EXPECT_TRUE(has({memory32_fixed(0xd000'1000, 0x2000), interrupt(6, Trigger::kLevel)}));
  EXPECT_TRUE(has({interrupt(9, Trigger::kEdge)}));
  EXPECT_TRUE(has({word_bus_number(0, 1), io_ports(0xcf8, 8), word_io(0xc000, 0x1000),
                   qword_memory(0xd010'0000, 0x10'0000, Usage::kProduced),
                   qword_memory(0x40'0000'0000, 0x1'0000'0000, Usage::kProduced)}));
  EXPECT_TRUE(has({qword_memory(0xe000'0000, 0x10'0000, Usage::kConsumed)}));
}

TEST(AcpiTablesTest, TheMachineSaysHowItIsTurnedOff) {
  using namespace aml;
  const auto block = definition_block({.power = {.sleep_type_off = 7}});

  EXPECT_TRUE(
      contains(block, name("\\_S5", package({integer(7), integer(0), integer(0), integer(0)}))));
}

TEST(AcpiTablesTest, APanicIsReportedAtItsPort) {
  using namespace std::string_view_literals;
  const auto block = definition_block({.panic_port = 0xffff});

  EXPECT_TRUE(contains(block, "_HID\x0dQEMU0001\0"sv));
  EXPECT_TRUE(contains(block, "_STA\x0a\x0f"sv));
  EXPECT_TRUE(contains(block, "\x47\x01\xff\xff\xff\xff\x01\x01\x79"sv));
}

TEST(AcpiTablesTest, APinIsRoutedToTheLineOfItsDevice) {
  const auto block = definition_block({.pci = PciRoot{.ecam = 0, .intx_gsi = {16, 17, 18, 19}}});

  // Device 3, INTB# (pin 1): line (3 + 2 - 1) modulo 4.
  const auto entry = [](char device, char pin, char gsi) {
    const std::string address = {'\x0c', '\xff', '\xff', device, '\0'};
    const std::string pin_code = pin < 2 ? std::string(1, pin) : std::string{'\x0a', pin};
    return address + pin_code + std::string{'\0', '\x0a', gsi};
  };
  EXPECT_TRUE(contains(block, entry(3, 1, 16)));
  EXPECT_TRUE(contains(block, entry(1, 0, 17)));
  EXPECT_TRUE(contains(block, entry(31, 3, 18)));
  EXPECT_FALSE(contains(block, entry(0, 0, 16)));
}

TEST(AcpiTablesTest, MachinesThatCannotBeAreRefused) {
  const auto refusal = [](const Config& config) { return build(config, kBase, kRoom).error(); };
  const auto pci = [](const PciRoot& root) { return Config{.pci = root}; };

  EXPECT_EQ(refusal({.apic_ids = {}}), Error(AcpiError::kProcessors, 0, 4096));
  EXPECT_EQ(refusal({.apic_ids = std::vector<std::uint32_t>(4097)}),
            Error(AcpiError::kProcessors, 4097, 4096));
  EXPECT_EQ(refusal({.apic_ids = {0, 3, 3}}), Error(AcpiError::kApicId, 3, 3));
  EXPECT_EQ(refusal({.apic_ids = {0, 3, 1}}), Error(AcpiError::kApicId, 1, 3));
  EXPECT_EQ(refusal({.serial_ports = std::vector<SerialPort>(5)}),
            Error(AcpiError::kSerialPorts, 5, 4));
  EXPECT_EQ(refusal({.serial_ports = {{0xfff9, 4}}}), Error(AcpiError::kPort, 0xfff9, 0xffff));
  EXPECT_EQ(refusal({.virtio_windows = std::vector<VirtioWindow>(257)}),
            Error(AcpiError::kVirtioWindows, 257, 256));
  EXPECT_EQ(refusal({.virtio_windows = {{0xffff'f001, 0x1000, 5}}}),
            Error(AcpiError::kWindow, 0xffff'f001, 0x1'0000'0000));
  EXPECT_EQ(refusal({.virtio_windows = {{0xd000'0000, 0, 5}}}).as<AcpiError>(), AcpiError::kWindow);
  // Had 0 bytes in the field of 32 bits.
  EXPECT_EQ(refusal({.virtio_windows = {{0, 0x1'0000'0000, 5}}}),
            Error(AcpiError::kWindow, 0, 0xffff'ffff));
  EXPECT_EQ(refusal(pci({.ecam = 0x8'0000})), Error(AcpiError::kEcam, 0x8'0000, 0x10'0000));
  EXPECT_EQ(refusal(pci({.memory = {{{UINT64_MAX, 2}, {}}}})),
            Error(AcpiError::kWindow, UINT64_MAX, UINT64_MAX));
  EXPECT_EQ(refusal(pci({.io = {0xffff, 2}})), Error(AcpiError::kPort, 0xffff, 0xffff));
  EXPECT_EQ(refusal(pci({.io = {0, 0x10000}})), Error(AcpiError::kPort, 0, 0xffff));
}

TEST(AcpiTablesTest, TablesStayInTheirRoom) {
  const auto size = build({}, kBase, kRoom).value().bytes.size();

  EXPECT_TRUE(build({}, kBase, size));
  EXPECT_EQ(build({}, kBase, size - 1).error(), Error(AcpiError::kRoom, size, size - 1));
  EXPECT_EQ(build({}, GuestAddress(0xe0008), kRoom).error(), Error(AcpiError::kBase, 0xe0008, 16));
  EXPECT_EQ(build({}, GuestAddress(UINT64_MAX - 15), kRoom).error(),
            Error(AcpiError::kRoom, size, 15));
}

TEST(AcpiTablesTest, TheLargestMachineFits) {
  Config config;
  config.apic_ids.resize(kMaxProcessors);
  std::iota(config.apic_ids.begin(), config.apic_ids.end(), 0);
  config.power_button_gsi = 255;
  config.panic_port = 0xffff;
  config.serial_ports.assign(kMaxSerialPorts, {0xfff8, 255});
  config.virtio_windows.assign(kMaxVirtioWindows, {0xffff'f000, 0x1000, 255});
  config.pci = PciRoot{.ecam = 0xffff'ffff'fff0'0000,
                       .memory = {{{0xd010'0000, 0x10'0000}, {0x40'0000'0000, 0x1'0000'0000}}},
                       .io = {0xc000, 0x1000},
                       .intx_gsi = {255, 255, 255, 255}};

  EXPECT_TRUE(build(config, kBase, kRoom));
}

TEST(AcpiErrorTest, SaysWhatWasWrongWithValueAndLimit) {
  EXPECT_EQ(Error(AcpiError::kRoom, 300, 200).message(),
            "ACPI tables of 300 bytes; there is room for 200");
  EXPECT_EQ(Error(AcpiError::kApicId, 1, 3).message(),
            "APIC identifier 1 is not above the one before it, 3");
  EXPECT_EQ(Error(AcpiError::kEcam).name(), "acpi.ecam");
}

}  // namespace
}  // namespace guestproof::acpi
