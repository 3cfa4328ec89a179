#include "guestproof/loader/mp_table.h"

#include <array>
#include <cstring>

#include "guestproof/base/bytes.h"
#include "guestproof/loader/wire.h"

namespace guestproof::loader {
namespace {

using Bytes = std::vector<std::byte>;
using Text8 = std::array<char, 8>;

constexpr std::uint8_t kSpecification = 4;  // 1.4

/// MP Floating Pointer Structure, §4.1.
struct FloatingPointer {
  std::array<char, 4> signature{'_', 'M', 'P', '_'};  // 0
  le32 physical_address;                              // 4
  std::uint8_t length = 1;                            // 8  in 16 bytes
  std::uint8_t spec_rev = kSpecification;             // 9
  std::uint8_t checksum = 0;                          // 10
  std::array<std::uint8_t, 5> features{};             // 11 a table, and no PIC mode
};
static_assert(sizeof(FloatingPointer) == 16 && offsetof(FloatingPointer, checksum) == 10);

/// MP Configuration Table Header, §4.2.
struct TableHeader {
  std::array<char, 4> signature{'P', 'C', 'M', 'P'};              // 0
  le16 base_table_length;                                         // 4
  std::uint8_t spec_rev = kSpecification;                         // 6
  std::uint8_t checksum = 0;                                      // 7
  Text8 oem_id{'G', 'U', 'E', 'S', 'T', 'P', 'R', 'F'};           // 8
  std::array<char, 12> product_id{'V', 'M', ' ', ' ', ' ', ' ',   // 16
                                  ' ', ' ', ' ', ' ', ' ', ' '};  //
  le32 oem_table_pointer;                                         // 28
  le16 oem_table_size;                                            // 32
  le16 entry_count;                                               // 34
  le32 local_apic;                                                // 36
  le16 extended_table_length;                                     // 40
  std::uint8_t extended_table_checksum = 0;                       // 42
  std::uint8_t reserved = 0;                                      // 43
};
static_assert(sizeof(TableHeader) == 44 && offsetof(TableHeader, entry_count) == 34);

/// §4.3.1.
struct Processor {
  std::uint8_t entry_type = 0;             // 0
  std::uint8_t local_apic_id = 0;          // 1
  std::uint8_t local_apic_version = 0x14;  // 2  integrated
  std::uint8_t cpu_flags = 0;              // 3
  le32 cpu_signature;                      // 4
  le32 feature_flags;                      // 8
  std::array<le32, 2> reserved{};          // 12
};
static_assert(sizeof(Processor) == 20);
constexpr std::uint8_t kEnabled = 1 << 0, kBootProcessor = 1 << 1;

/// §4.3.2.
struct Bus {
  std::uint8_t entry_type = 1;                             // 0
  std::uint8_t bus_id = 0;                                 // 1
  std::array<char, 6> type{'I', 'S', 'A', ' ', ' ', ' '};  // 2
};
static_assert(sizeof(Bus) == 8);

/// §4.3.3.
struct IoApic {
  std::uint8_t entry_type = 2;    // 0
  std::uint8_t id = 0;            // 1
  std::uint8_t version = 0x11;    // 2
  std::uint8_t flags = kEnabled;  // 3
  le32 address;                   // 4
};
static_assert(sizeof(IoApic) == 8);

enum class EntryType : std::uint8_t { kIoInterrupt = 3, kLocalInterrupt = 4 };
enum class InterruptType : std::uint8_t { kInt = 0, kNmi = 1, kExtInt = 3 };

/// §4.3.4 and §4.3.5. Flags of 0: as the bus has it.
struct Interrupt {
  EntryType entry_type{};          // 0
  InterruptType type{};            // 1
  le16 flags;                      // 2
  std::uint8_t source_bus = 0;     // 4
  std::uint8_t source_irq = 0;     // 5
  std::uint8_t destination = 0;    // 6
  std::uint8_t destination_input;  // 7
};
static_assert(sizeof(Interrupt) == 8);
constexpr std::uint8_t kAllLocalApics = 0xff;
constexpr std::uint8_t kIsaInterrupts = 16;

/// What makes all bytes sum up to 0, §4.1 and §4.2.
std::byte checksum(std::span<const std::byte> bytes) {
  unsigned sum = 0;
  for (const auto byte : bytes) sum += std::to_integer<unsigned>(byte);
  return static_cast<std::byte>(-sum & 0xff);
}

/// Entries in the order of their types, and how many they are.
std::uint16_t append_entries(Bytes& table, const MpMachine& machine) {
  const auto io_apic = static_cast<std::uint8_t>(machine.processors);
  for (std::uint32_t id = 0; id < machine.processors; ++id)
    append_object(table, Processor{.local_apic_id = static_cast<std::uint8_t>(id),
                                   .cpu_flags = static_cast<std::uint8_t>(
                                       id == 0 ? kEnabled | kBootProcessor : kEnabled),
                                   .cpu_signature = machine.cpu_signature,
                                   .feature_flags = machine.feature_flags});
  append_object(table, Bus{});
  append_object(table, IoApic{.id = io_apic, .address = machine.io_apic});
  for (std::uint8_t irq = 0; irq < kIsaInterrupts; ++irq)
    append_object(
        table, Interrupt{EntryType::kIoInterrupt, InterruptType::kInt, {}, 0, irq, io_apic, irq});
  append_object(
      table,
      Interrupt{EntryType::kLocalInterrupt, InterruptType::kExtInt, {}, 0, 0, kAllLocalApics, 0});
  append_object(
      table,
      Interrupt{EntryType::kLocalInterrupt, InterruptType::kNmi, {}, 0, 0, kAllLocalApics, 1});
  return static_cast<std::uint16_t>(machine.processors + 2 + kIsaInterrupts + 2);
}

}  // namespace

Result<Bytes> make_mp_table(const MpMachine& machine, GuestAddress address) {
  if (machine.processors == 0 || machine.processors > MpMachine::kMaxProcessors)
    return fail(MpTableError::kProcessors, machine.processors, MpMachine::kMaxProcessors);
  if (!address.aligned_to(sizeof(FloatingPointer)) ||
      !range_within<std::uint64_t>(address.raw(), kMaxMpTableBytes, x86::kIdentityEnd.raw()))
    return fail(MpTableError::kAddress, address.raw(), sizeof(FloatingPointer));

  Bytes entries;
  TableHeader header;
  header.local_apic = machine.local_apic;
  header.entry_count = append_entries(entries, machine);
  header.base_table_length = static_cast<std::uint16_t>(sizeof header + entries.size());
  FloatingPointer pointer;
  pointer.physical_address = static_cast<std::uint32_t>(address.raw() + sizeof pointer);

  Bytes bytes;
  append_object(bytes, pointer);
  bytes[offsetof(FloatingPointer, checksum)] = checksum(bytes);
  append_object(bytes, header);
  bytes.insert(bytes.end(), entries.begin(), entries.end());
  bytes[sizeof pointer + offsetof(TableHeader, checksum)] =
      checksum(std::span(bytes).subspan(sizeof pointer));
  return bytes;
}

}  // namespace guestproof::loader
