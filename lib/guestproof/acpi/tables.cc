#include "guestproof/acpi/tables.h"

#include <algorithm>
#include <string_view>

#include "guestproof/base/bytes.h"
#include "guestproof/base/checked.h"

namespace guestproof::acpi {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kAlignment = 16;  // the RSDP's; the other tables have it as well
constexpr std::uint64_t k4GiB = std::uint64_t{1} << 32;
constexpr std::uint64_t kPorts = 0x10000;

constexpr std::string_view kOemId = "GPROOF";
constexpr std::string_view kOemTableId = "GPROOFVM";
constexpr std::string_view kCreatorId = "GPRF";

// FADT: flags (§5.2.9, table 5.10) and IAPC_BOOT_ARCH (table 5.11).
constexpr std::uint32_t kWbinvd = 1U << 0;
constexpr std::uint32_t kNoFixedPowerButton = 1U << 4;
constexpr std::uint32_t kNoFixedSleepButton = 1U << 5;
constexpr std::uint32_t kResetRegister = 1U << 10;
constexpr std::uint32_t kHardwareReduced = 1U << 20;
constexpr std::uint16_t kNoVga = 1U << 2;
constexpr std::uint16_t kNoCmosClock = 1U << 5;
constexpr std::size_t kFadtBytes = 276;

// MADT (§5.2.12).
constexpr std::uint32_t kFirstX2Apic = 255;
constexpr std::uint32_t kProcessorEnabled = 1;

void put(Bytes& bytes, std::size_t at, std::uint64_t number, std::size_t width) {
  store(std::span(bytes).subspan(at, width), number);
}
void put(Bytes& bytes, std::size_t at, std::string_view text) {
  std::ranges::copy(std::as_bytes(std::span(text)), std::span(bytes).subspan(at).begin());
}
void append(Bytes& bytes, std::uint64_t number, std::size_t width) {
  bytes.resize(bytes.size() + width);
  put(bytes, bytes.size() - width, number, width);
}

/// Makes the sum of so many bytes 0.
void set_checksum(Bytes& bytes, std::size_t at, std::size_t size) {
  unsigned sum = 0;
  for (const auto byte : std::span(bytes).first(size)) sum += std::to_integer<unsigned>(byte);
  bytes[at] = static_cast<std::byte>(std::to_integer<unsigned>(bytes[at]) - sum);
}

/// A table of so many bytes, with the header that all have (§5.2.6); finished() makes it whole.
Bytes table(std::string_view signature, std::uint8_t revision, std::size_t size = 36) {
  Bytes bytes(size);
  put(bytes, 0, signature);
  put(bytes, 8, revision, 1);
  put(bytes, 10, kOemId);
  put(bytes, 16, kOemTableId);
  put(bytes, 24, 1, 4);
  put(bytes, 28, kCreatorId);
  put(bytes, 32, 1, 4);
  return bytes;
}

Bytes finished(Bytes bytes) {
  put(bytes, 4, bytes.size(), 4);
  set_checksum(bytes, 9, bytes.size());
  return bytes;
}

/// A register of one byte at a port, as a Generic Address Structure (§5.2.3.2).
void put_port(Bytes& bytes, std::size_t at, std::uint16_t port) {
  put(bytes, at, 1, 1);      // a port
  put(bytes, at + 1, 8, 1);  // of 8 bits
  put(bytes, at + 3, 1, 1);  // accessed as a byte
  put(bytes, at + 4, port, 8);
}

Bytes fadt(const PowerRegisters& power, std::uint64_t dsdt) {
  auto bytes = table("FACP", 6, kFadtBytes);
  put(bytes, 109, kNoVga | kNoCmosClock, 2);
  put(bytes, 112,
      kWbinvd | kNoFixedPowerButton | kNoFixedSleepButton | kResetRegister | kHardwareReduced, 4);
  put_port(bytes, 116, power.reset);
  put(bytes, 128, power.reset_value, 1);
  put(bytes, 131, 5, 1);  // minor revision
  put(bytes, 140, dsdt, 8);
  put_port(bytes, 244, power.sleep_control);
  put_port(bytes, 256, power.sleep_status);
  put(bytes, 268, kOemTableId);  // the hypervisor's name
  return finished(std::move(bytes));
}

Bytes madt(const Config& config) {
  auto bytes = table("APIC", 5);
  append(bytes, config.local_apic, 4);
  append(bytes, 0, 4);  // no PIC
  for (std::size_t uid = 0; uid < config.apic_ids.size(); ++uid) {
    const auto id = config.apic_ids[uid];
    if (id < kFirstX2Apic) {
      append(bytes, 0, 1);
      append(bytes, 8, 1);
      append(bytes, uid, 1);
      append(bytes, id, 1);
      append(bytes, kProcessorEnabled, 4);
    } else {
      append(bytes, 9, 1);
      append(bytes, 16, 1);
      append(bytes, 0, 2);
      append(bytes, id, 4);
      append(bytes, kProcessorEnabled, 4);
      append(bytes, uid, 4);
    }
  }
  append(bytes, 1, 1);
  append(bytes, 12, 1);
  append(bytes, 0, 2);  // its identifier
  append(bytes, config.io_apic, 4);
  append(bytes, 0, 4);  // its first input's GSI
  return finished(std::move(bytes));
}

Bytes mcfg(const PciRoot& pci) {
  auto bytes = table("MCFG", 1);
  append(bytes, 0, 8);
  append(bytes, pci.ecam, 8);
  append(bytes, 0, 8);  // segment 0, buses 0 to 0
  return finished(std::move(bytes));
}

Bytes dsdt(const Config& config) {
  auto bytes = table("DSDT", 2);
  const auto code = definition_block(config);
  bytes.insert(bytes.end(), code.begin(), code.end());
  return finished(std::move(bytes));
}

Bytes xsdt(std::span<const std::uint64_t> tables) {
  auto bytes = table("XSDT", 1);
  for (const auto address : tables) append(bytes, address, 8);
  return finished(std::move(bytes));
}

Bytes rsdp(std::uint64_t xsdt_address) {
  Bytes bytes(36);
  put(bytes, 0, "RSD PTR ");
  put(bytes, 9, kOemId);
  put(bytes, 15, 2, 1);
  put(bytes, 20, bytes.size(), 4);
  put(bytes, 24, xsdt_address, 8);
  set_checksum(bytes, 8, 20);
  set_checksum(bytes, 32, bytes.size());
  return bytes;
}

Result<void> check_window(const Window& window, std::uint64_t end) {
  if (window.size == 0 || !range_within(window.base, window.size, end))
    return fail(AcpiError::kWindow, window.base, end);
  return {};
}

Result<void> check_processors(std::span<const std::uint32_t> apic_ids) {
  if (apic_ids.empty() || apic_ids.size() > kMaxProcessors)
    return fail(AcpiError::kProcessors, apic_ids.size(), kMaxProcessors);
  const auto at = std::ranges::adjacent_find(apic_ids, std::greater_equal{});
  if (at != apic_ids.end()) return fail(AcpiError::kApicId, *std::next(at), *at);
  return {};
}

Result<void> check_pci(const PciRoot& pci) {
  if (!is_aligned(pci.ecam, kEcamBytes)) return fail(AcpiError::kEcam, pci.ecam, kEcamBytes);
  for (const auto& window : pci.memory)
    if (window.size != 0)
      if (const auto ok = check_window(window, UINT64_MAX); !ok) return ok;
  // A length of 64 Ki does not fit into its field; neither would other ports beside it.
  if (pci.io.size == kPorts || !range_within(pci.io.base, pci.io.size, kPorts))
    return fail(AcpiError::kPort, pci.io.base, kPorts - 1);
  return {};
}

Result<void> check(const Config& config) {
  if (const auto ok = check_processors(config.apic_ids); !ok) return ok;
  if (config.serial_ports.size() > kMaxSerialPorts)
    return fail(AcpiError::kSerialPorts, config.serial_ports.size(), kMaxSerialPorts);
  for (const auto& serial : config.serial_ports)
    if (serial.port > kPorts - 8) return fail(AcpiError::kPort, serial.port, kPorts - 1);
  if (config.virtio_windows.size() > kMaxVirtioWindows)
    return fail(AcpiError::kVirtioWindows, config.virtio_windows.size(), kMaxVirtioWindows);
  for (const auto& window : config.virtio_windows) {
    if (const auto ok = check_window({window.base, window.size}, k4GiB); !ok) return ok;
    // All of the 4 GiB: their length does not fit into its field.
    if (window.size == k4GiB) return fail(AcpiError::kWindow, window.base, k4GiB - 1);
  }
  if (config.pci) return check_pci(*config.pci);
  return {};
}

/// Tables one behind the other, from a base on.
class Image {
 public:
  explicit Image(std::uint64_t base) : base_(base) {}

  /// Where the table lies.
  std::uint64_t add(const Bytes& table) {
    bytes_.resize((bytes_.size() + kAlignment - 1) / kAlignment * kAlignment);
    const auto at = base_ + bytes_.size();
    bytes_.insert(bytes_.end(), table.begin(), table.end());
    return at;
  }
  /// Into the place of what was added first, which was as long.
  void replace_first(const Bytes& table) { std::ranges::copy(table, bytes_.begin()); }
  [[nodiscard]] Bytes take() { return std::move(bytes_); }

 private:
  std::uint64_t base_;
  Bytes bytes_;
};

}  // namespace

Result<Tables> build(const Config& config, GuestAddress base, std::size_t room) {
  if (!base.aligned_to(kAlignment)) return fail(AcpiError::kBase, base.raw(), kAlignment);
  if (const auto ok = check(config); !ok) return std::unexpected(ok.error());

  Image image(base.raw());
  image.add(rsdp(0));  // comes first, and is known last
  const auto dsdt_at = image.add(dsdt(config));
  std::vector<std::uint64_t> tables{image.add(fadt(config.power, dsdt_at)),
                                    image.add(madt(config))};
  if (config.pci) tables.push_back(image.add(mcfg(*config.pci)));
  const auto xsdt_at = image.add(xsdt(tables));
  image.replace_first(rsdp(xsdt_at));

  auto bytes = image.take();
  const auto limit = std::min<std::uint64_t>(room, UINT64_MAX - base.raw());
  if (bytes.size() > limit) return fail(AcpiError::kRoom, bytes.size(), limit);
  return Tables{base, std::move(bytes)};
}

}  // namespace guestproof::acpi
