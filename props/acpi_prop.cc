// The tables of any machine hold together: every pointer meets a table of the right length whose
// bytes add up to 0, no two overlap, and packages of any length say how long they are.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "guestproof/acpi/aml.h"
#include "guestproof/acpi/tables.h"
#include "guestproof/base/bytes.h"
#include "guestproof/base/range_map.h"

namespace guestproof::acpi {
namespace {

Config any_machine() {
  Config config;
  config.apic_ids.clear();
  std::uint32_t id = 0;
  for (auto n = *rc::gen::inRange(1, 40); n > 0; --n) {
    config.apic_ids.push_back(id);
    id += *rc::gen::inRange<std::uint32_t>(1, 20);
  }
  config.serial_ports.resize(*rc::gen::inRange<std::size_t>(0, kMaxSerialPorts + 1));
  config.virtio_windows.assign(*rc::gen::inRange<std::size_t>(0, 60),
                               {0xd000'0000, 0x1000, *rc::gen::inRange<std::uint32_t>(5, 24)});
  if (*rc::gen::arbitrary<bool>()) config.power_button_gsi = 9;
  if (*rc::gen::arbitrary<bool>()) config.panic_port = *rc::gen::arbitrary<std::uint16_t>();
  if (*rc::gen::arbitrary<bool>())
    config.pci = PciRoot{.ecam = *rc::gen::inRange<std::uint64_t>(0, 1000) * kEcamBytes,
                         .memory = {{{0xd000'0000, *rc::gen::inRange<std::uint64_t>(0, 3)}, {}}}};
  return config;
}

/// Looks at the table that a pointer names.
std::span<const std::byte> table_at(const Tables& tables, std::uint64_t address,
                                    RangeMap<char>& seen) {
  const auto at = address - tables.rsdp.raw();
  RC_ASSERT(at < tables.bytes.size() && tables.bytes.size() - at >= 36);
  const auto rest = std::span(tables.bytes).subspan(at);
  const auto length = load(rest.subspan(4, 4));
  RC_ASSERT(length >= 36 && length <= rest.size());
  RC_ASSERT(seen.insert(address, address + length - 1, {}) == nullptr);
  const auto table = rest.first(length);
  const auto sum = std::accumulate(table.begin(), table.end(), 0U, [](unsigned total, auto byte) {
    return total + std::to_integer<unsigned>(byte);
  });
  RC_ASSERT(sum % 256 == 0);
  return table;
}

RC_GTEST_PROP(AcpiTables, HoldTogether, ()) {
  const auto base = GuestAddress(*rc::gen::inRange<std::uint64_t>(0, 1 << 28) * 16);

  const auto tables = build(any_machine(), base, 0x10000).value();

  RC_ASSERT(tables.rsdp == base);
  RangeMap<char> seen;
  RC_ASSERT(seen.insert(base.raw(), base.raw() + 35, {}) == nullptr);
  const auto xsdt = table_at(tables, load(std::span(tables.bytes).subspan(24, 8)), seen);
  for (std::size_t at = 36; at < xsdt.size(); at += 8) {
    const auto table = table_at(tables, load(xsdt.subspan(at, 8)), seen);
    if (load(table.first(4)) == 0x50434146)  // "FACP"
      table_at(tables, load(table.subspan(140, 8)), seen);
  }
}

/// The length that a PkgLength says, and its own (§20.2.4).
std::pair<std::size_t, std::size_t> decoded(const aml::Code& code) {
  const auto lead = std::to_integer<std::size_t>(code[0]);
  const auto behind = lead >> 6;
  if (behind == 0) return {lead, 1};
  std::size_t length = lead & 0xf;
  for (std::size_t i = 0; i < behind; ++i)
    length |= std::to_integer<std::size_t>(code[1 + i]) << (4 + 8 * i);
  return {length, 1 + behind};
}

RC_GTEST_PROP(Aml, PackagesSayHowLongTheyAre, ()) {
  const auto bits = *rc::gen::inRange(1, 29);
  const auto following =
      std::min(*rc::gen::inRange<std::size_t>(0, std::size_t{1} << bits), aml::kMaxPackageBytes);

  const auto code = aml::package_length(following);

  const auto [length, own] = decoded(code);
  RC_ASSERT(own == code.size());
  RC_ASSERT(length == following + own);
}

}  // namespace
}  // namespace guestproof::acpi
