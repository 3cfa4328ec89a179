#include "guestproof/testing/scenario/mutate.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace guestproof::testing {
namespace {

using enum Opcode;

// Requests first of all: an execution without one proves little.
constexpr std::array kDeviceVocabulary{
    kRequest, kRequest, kRequest, kRequest,  kRequest,  kRequest, kKick,    kKick,
    kDesc,    kDesc,    kLink,    kLink,     kIndirect, kPublish, kPublish, kEntry,
    kAvail,   kWrite,   kWrite,   kFill,     kRace,     kRace,    kRace,    kEvent,
    kFlags,   kQueue,   kArea,    kActivate, kReset,    kSave,    kBackend, kBackend};
constexpr std::array kQueueVocabulary{
    kRequest,  kRequest,  kRequest, kRequest,  kKick,     kKick,    kDesc,    kDesc,
    kDesc,     kLink,     kLink,    kIndirect, kIndirect, kPublish, kPublish, kPublish,
    kEntry,    kAvail,    kWrite,   kFill,     kRace,     kRace,    kEvent,   kEvent,
    kFlags,    kQueue,    kArea,    kActivate, kReset,    kSave,    kTake,    kTake,
    kComplete, kComplete, kRestore, kAccess,   kAccess,   kAccess,  kRemap};
constexpr std::array kStateVocabulary{kRequest, kRequest, kKick,     kKick,    kTake,    kComplete,
                                      kSave,    kSave,    kPatch,    kPatch,   kPatch,   kPatch,
                                      kPatch,   kRestore, kRestore,  kRestore, kRestore, kQueue,
                                      kQueue,   kArea,    kActivate, kReset,   kAvail,   kEvent,
                                      kFlags,   kWrite,   kDesc,     kPublish, kAccess,  kRemap};
// A whole device behind its transport.
constexpr std::array kWholeDeviceVocabulary{
    kRequest, kRequest, kRequest, kRequest, kRequest,  kRequest, kKick,    kKick,
    kDesc,    kDesc,    kLink,    kLink,    kIndirect, kPublish, kPublish, kEntry,
    kAvail,   kWrite,   kWrite,   kFill,    kRace,     kRace,    kRace,    kEvent,
    kFlags,   kQueue,   kQueue,   kArea,    kActivate, kReset,   kSave,    kPatch,
    kRestore, kAccess,  kAccess,  kAccess,  kBackend,  kBackend, kBackend};
// Devices that are saved, changed and restored.
constexpr std::array kDeviceStateVocabulary{
    kRequest, kRequest, kRequest, kRequest, kKick,  kSave,    kSave,    kSave,    kPatch,
    kPatch,   kPatch,   kPatch,   kPatch,   kPatch, kPatch,   kRestore, kRestore, kRestore,
    kRestore, kTake,    kTake,    kTake,    kTake,  kTake,    kQueue,   kQueue,   kAccess,
    kAccess,  kBackend, kBackend, kBackend, kReset, kActivate};
// Pages shared with KVM: what KVM writes, then what somebody else does to it.
constexpr std::array kRunPageVocabulary{
    kRequest, kRequest, kRequest, kRequest, kKick,   kKick,   kWrite,   kWrite, kWrite,    kFill,
    kRace,    kRace,    kRace,    kAccess,  kAccess, kAccess, kBackend, kQueue, kActivate, kReset};
constexpr std::array kCoalescedVocabulary{kRequest, kRequest, kRequest,  kRequest, kKick, kKick,
                                          kWrite,   kWrite,   kFill,     kRace,    kRace, kAvail,
                                          kAvail,   kQueue,   kActivate, kReset};
constexpr std::array kDirtyVocabulary{kRequest,  kRequest, kRequest,  kRequest, kKick, kKick,
                                      kWrite,    kWrite,   kFill,     kRace,    kRace, kComplete,
                                      kComplete, kQueue,   kActivate, kReset};
// Values that are saved and restored.
constexpr std::array kArrayVocabulary{kRequest, kRequest,  kSave,    kSave,     kPatch,   kPatch,
                                      kPatch,   kPatch,    kRestore, kRestore,  kRestore, kQueue,
                                      kQueue,   kActivate, kEntry,   kComplete, kPublish, kReset};
constexpr std::array kSavedStateVocabulary{
    kRequest, kRequest, kRequest, kSave,  kSave,  kPatch, kPatch, kPatch,   kPatch, kRestore,
    kRestore, kRestore, kRestore, kQueue, kQueue, kEntry, kEntry, kPublish, kAvail, kReset};
// PCI: tables and registers by accesses of any width, and what drivers and devices do.
constexpr std::array kMsixVocabulary{kRequest,  kRequest,  kRequest, kRequest, kAccess,  kAccess,
                                     kAccess,   kAccess,   kPublish, kPublish, kPublish, kActivate,
                                     kActivate, kSave,     kPatch,   kPatch,   kPatch,   kRestore,
                                     kRestore,  kComplete, kQueue,   kReset};
constexpr std::array kPciVocabulary{kRequest, kRequest, kRequest, kRequest, kRequest, kRequest,
                                    kRequest, kRequest, kAccess,  kAccess,  kAccess,  kAccess,
                                    kAccess,  kSave,    kPatch,   kPatch,   kPatch,   kRestore,
                                    kRestore, kQueue,   kReset};
// The devices of a board: what drivers do, accesses of any width, what the host does.
constexpr std::array kPlatformVocabulary{kRequest, kRequest, kRequest, kRequest, kRequest, kRequest,
                                         kAccess,  kAccess,  kAccess,  kAccess,  kAccess,  kAccess,
                                         kBackend, kBackend, kBackend, kBackend, kSave,    kPatch,
                                         kPatch,   kPatch,   kRestore, kRestore, kQueue,   kReset};
// Kernel images, spoilt field by field and byte by byte; what a kernel is told.
constexpr std::array kImageVocabulary{kRequest, kRequest, kRequest, kRequest, kRequest,
                                      kRequest, kPatch,   kPatch,   kPatch,   kKick,
                                      kKick,    kArea,    kQueue,   kReset};
// An ELF file says itself where it is loaded.
constexpr std::array kElfVocabulary{kRequest, kRequest, kRequest, kRequest, kRequest,
                                    kRequest, kPatch,   kPatch,   kPatch,   kKick,
                                    kKick,    kQueue,   kReset};
constexpr std::array kCmdlineVocabulary{kRequest, kRequest, kRequest, kRequest, kRequest,
                                        kKick,    kAccess,  kAccess,  kQueue,   kReset};
constexpr std::array kBootVocabulary{kRequest, kRequest, kRequest, kRequest, kRequest,
                                     kRequest, kKick,    kKick,    kQueue,   kReset};
// One whose storage takes its time.
constexpr std::array kSlowDeviceVocabulary{
    kRequest, kRequest, kRequest,  kRequest,  kRequest,  kRequest, kKick,   kKick,
    kDesc,    kLink,    kIndirect, kPublish,  kPublish,  kAvail,   kWrite,  kFill,
    kRace,    kRace,    kEvent,    kFlags,    kQueue,    kQueue,   kArea,   kActivate,
    kReset,   kSave,    kPatch,    kRestore,  kAccess,   kAccess,  kAccess, kBackend,
    kBackend, kBackend, kComplete, kComplete, kComplete, kComplete};
constexpr std::array<std::string_view, 8> kWholeDevices{
    "balloon", "console", "mmio", "net", "net_ctrl", "pci", "rng", "vsock_device",
};
constexpr auto kEverything = [] {
  std::array<Opcode, kOpcodes> all{};
  for (std::size_t i = 0; i < kOpcodes; ++i) all[i] = static_cast<Opcode>(i);
  return all;
}();

}  // namespace

std::span<const Opcode> vocabulary(std::string_view target) {
  if (target == "queue" || target == "queue_packed") return kQueueVocabulary;
  if (target == "queue_state") return kStateVocabulary;
  if (target == "block" || target == "vsock") return kDeviceVocabulary;
  if (target == "block_device") return kSlowDeviceVocabulary;
  if (std::ranges::find(kWholeDevices, target) != kWholeDevices.end())
    return kWholeDeviceVocabulary;
  if (target == "device_state") return kDeviceStateVocabulary;
  if (target == "kvm_exit") return kRunPageVocabulary;
  if (target == "kvm_coalesced_ring") return kCoalescedVocabulary;
  if (target == "kvm_dirty_ring") return kDirtyVocabulary;
  if (target == "kvm_fam") return kArrayVocabulary;
  if (target == "kvm_state") return kSavedStateVocabulary;
  if (target == "elf") return kElfVocabulary;
  if (target == "bzimage" || target == "arm64_image") return kImageVocabulary;
  if (target == "cmdline") return kCmdlineVocabulary;
  if (target == "boot_params") return kBootVocabulary;
  if (target == "msix") return kMsixVocabulary;
  if (target == "pci_config") return kPciVocabulary;
  if (target == "platform") return kPlatformVocabulary;
  return kEverything;
}

std::uint64_t Mutator::number(std::size_t bytes) {
  const auto mask = bytes == 8 ? UINT64_MAX : (std::uint64_t{1} << (8 * bytes)) - 1;
  const auto some = std::uint64_t{random_()} << 32 | random_();
  switch (below(8)) {
    case 0:
      return 0;
    case 1:
      return below(16);
    case 2:
      return (std::uint64_t{1} << below(static_cast<std::uint32_t>(8 * bytes))) & mask;
    case 3:
      return ((std::uint64_t{1} << below(static_cast<std::uint32_t>(8 * bytes))) - 1) & mask;
    case 4:
      return mask - below(16);
    case 5:
      return below(32) * 16 & mask;
    case 6:
      return below(16) * 512 & mask;
    default:
      return some & mask;
  }
}

void Mutator::edit_field(Record& record, const Field& field) {
  auto* bytes = reinterpret_cast<unsigned char*>(&record) + field.offset;
  switch (field.kind) {
    case Field::Kind::kAddress:
      switch (below(3)) {
        case 0:
          record.address.space = static_cast<std::uint8_t>(below(kSpaces));
          break;
        case 1:
          record.address.edge = static_cast<std::uint8_t>(below(kEdges));
          break;
        default:
          record.address.offset = static_cast<std::uint32_t>(
              below(2) == 0 ? record.address.offset + below(33) - 16 : number(2));
      }
      return;
    case Field::Kind::kFlags:
      bytes[0] = static_cast<unsigned char>(
          bytes[0] ^ 1U << below(static_cast<std::uint32_t>(field.names.size())));
      return;
    case Field::Kind::kSelector:
      bytes[0] = static_cast<unsigned char>(below(static_cast<std::uint32_t>(field.names.size())));
      return;
    case Field::Kind::kNumber:
      break;
  }
  std::uint64_t value = 0;
  for (std::size_t i = field.size; i-- > 0;) value = value << 8 | bytes[i];
  const auto way = below(4);
  if (way == 0)
    value += below(9) - 4;
  else if (way == 1)
    value ^= std::uint64_t{1} << below(8U * field.size);
  else
    value = number(field.size);
  for (std::size_t i = 0; i < field.size; ++i, value >>= 8)
    bytes[i] = static_cast<unsigned char>(value);
}

void Mutator::edit(Record& record) {
  const auto fields = opcode_table()[static_cast<std::size_t>(record.op())].fields;
  if (fields.empty()) {
    record = random_record();
    return;
  }
  edit_field(record, fields[below(static_cast<std::uint32_t>(fields.size()))]);
}

Record Mutator::random_record() {
  Record record;
  record.opcode =
      static_cast<std::uint8_t>(opcodes_[below(static_cast<std::uint32_t>(opcodes_.size()))]);
  for (const auto& field : opcode_table()[record.opcode].fields) {
    if (field.kind == Field::Kind::kAddress) {
      if (below(2) == 0) continue;
      record.address.space = static_cast<std::uint8_t>(below(kSpaces));
      record.address.edge = static_cast<std::uint8_t>(below(4) == 0 ? below(kEdges) : 0);
      record.address.offset = static_cast<std::uint32_t>(number(2));
    } else if (field.name == "kind") {
      record.kind = static_cast<std::uint8_t>(below(16));
    } else if (below(2) == 0) {
      edit_field(record, field);
    }
  }
  return canonical(record);
}

void Mutator::insert(Program& program, const Record& record, std::size_t max_records) {
  const auto at = below(static_cast<std::uint32_t>(program.size() + 1));
  program.insert(program.begin() + at, record);
  if (program.size() > max_records) program.resize(max_records);
}

void Mutator::insert_idiom(Program& program, std::size_t max_records) {
  // What guests do wrong on purpose and records made at random seldom line up for.
  Record request = random_record();
  request.opcode = static_cast<std::uint8_t>(kRequest);
  Record second;
  switch (below(4)) {
    case 0:  // change a header byte after it was checked
      second.opcode = static_cast<std::uint8_t>(kRace);
      second.address = {static_cast<std::uint8_t>(Space::kHeader), 0, {}, below(64)};
      second.width = static_cast<std::uint8_t>(1 + below(3));
      second.value = number(1);
      break;
    case 1:  // change a descriptor after it was checked
      second.opcode = static_cast<std::uint8_t>(kRace);
      second.address = {static_cast<std::uint8_t>(Space::kDescriptorTable), 0, {}, below(128)};
      second.width = static_cast<std::uint8_t>(1 + below(3));
      second.value = number(1);
      break;
    case 2:  // let a descriptor of the request go on elsewhere
      second.opcode = static_cast<std::uint8_t>(kLink);
      second.index = static_cast<std::uint16_t>(below(8));
      second.next = static_cast<std::uint16_t>(below(20));
      second.flags = static_cast<std::uint16_t>(below(8));
      break;
    default:  // change the request in memory before the device sees it
      second.opcode = static_cast<std::uint8_t>(kWrite);
      second.address = {static_cast<std::uint8_t>(Space::kHeader), 0, {}, below(64)};
      second.width = static_cast<std::uint8_t>(1 + below(8));
      second.value = number(8);
  }
  request.flags = static_cast<std::uint16_t>(request.flags & ~kRequestKick);
  Record kick;
  kick.opcode = static_cast<std::uint8_t>(kKick);
  for (const auto& record : {request, second, kick}) program.push_back(canonical(record));
  if (program.size() > max_records)
    program.erase(program.begin(), program.end() - static_cast<std::ptrdiff_t>(max_records));
}

void Mutator::change(Program& program, std::size_t max_records) {
  if (program.empty()) return insert(program, random_record(), max_records);
  const auto at = below(static_cast<std::uint32_t>(program.size()));
  switch (below(10)) {
    case 0:
      return insert(program, random_record(), max_records);
    case 1:
      program.erase(program.begin() + at);
      return;
    case 2:
      return insert(program, Record(program[at]), max_records);
    case 3:
      std::swap(program[at], program[below(static_cast<std::uint32_t>(program.size()))]);
      return;
    case 4:
      return insert_idiom(program, max_records);
    case 5:
      program[at] = random_record();
      return;
    default:
      edit(program[at]);
      program[at] = canonical(program[at]);
  }
}

void Mutator::mutate(Program& program, std::size_t max_records) {
  program.resize(std::min(program.size(), max_records));
  for (auto changes = 1 + below(4); changes != 0; --changes) change(program, max_records);
}

Program Mutator::cross(const Program& a, const Program& b, std::size_t max_records) {
  const auto cut_a = below(static_cast<std::uint32_t>(a.size() + 1));
  const auto cut_b = below(static_cast<std::uint32_t>(b.size() + 1));
  Program out(a.begin(), a.begin() + cut_a);
  out.insert(out.end(), b.begin() + cut_b, b.end());
  if (below(2) == 0) out.insert(out.end(), a.begin() + cut_a, a.end());
  if (out.size() > max_records) out.resize(max_records);
  return out;
}

}  // namespace guestproof::testing
