// Scenario programs: what a hostile guest does, as a list of fixed-size records.
//
// A program is bytes: every 32 of them are one record, a shorter tail is ignored. Every byte string
// is a valid program: the opcode counts modulo the number of opcodes, enumerations modulo their
// number of values, and addresses are given as (space, edge, offset), which stays near something
// that matters. Inserting or deleting a record leaves the others as they were. An empty program is
// a driver that sets up a queue and makes one valid request.
//
// The same programs run as fuzz inputs, seeds, properties and unit tests (see harness/). text.h has
// their text form. Opcodes, spaces and fields are only ever appended: saved inputs keep their
// meaning.
//
// Thread-safety: values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "guestproof/base/endian.h"

namespace guestproof::testing {

/// What the guest does. The comment names the fields it uses.
enum class Opcode : std::uint8_t {
  kRequest,   // build a request of the device under test from kind and the rest, and publish it
  kKick,      // queue, budget: notify the device
  kDesc,      // queue, index, address, length, flags, next: write a descriptor
  kLink,      // queue, index, flags, next: change how a descriptor goes on
  kIndirect,  // index, address, length, flags, next: write a descriptor of the indirect area
  kPublish,   // queue, index: make a head available
  kEntry,     // queue, index, next: write available ring entry `index` without moving the index
  kAvail,     // queue, next: move the available index by `next` entries
  kWrite,     // address, width, value: write memory
  kFill,      // address, length, value: fill memory with a byte
  kRace,      // address, nth, value: change a byte when the device fetches it the nth time
  kEvent,     // queue, next: set used_event to the used index plus `next`
  kFlags,     // queue, flags: set the available ring's flags
  kQueue,  // queue, index, flags: reset, then set up a queue of 2^index entries with these features
  kArea,   // queue, which, address: where an area will be at the next activate
  kActivate,  // queue, index: reset, configure with size `index` and the areas that were set,
              // activate
  kReset,     // everything back to a default queue
  kSave,      // queue: save, encode, decode, restore
  kPatch,     // index, width, value: change bytes of the saved state; an index of 0x8000 + n makes
              // it n (modulo 64) bytes long
  kRestore,   // queue: restore from the saved state
  kTake,      // queue, index: take chains and hold them
  kComplete,  // index, length: return a held chain
  kBackend,   // kind, value: make the back end fail
  kAccess,    // index, kind, next, length, value: read or write a held chain
  kRemap,     // queue: the device hears that the memory map has changed
};
inline constexpr std::size_t kOpcodes = 25;

/// What an address is relative to. The areas are where the queue has them at that moment.
enum class Space : std::uint8_t {
  kAuto,  // where the harness puts this kind of thing next
  kDescriptorTable,
  kAvailableRing,
  kUsedRing,
  kIndirect,
  kHeader,
  kData,  // crosses a border of two regions that touch
  kLow,
  kMid,
  kHigh,
  kRom,
  kTop,  // the last pages of the address space but one
  kHole,
  kRaw,  // the record's value is the address
};
inline constexpr std::size_t kSpaces = 14;

/// Where in the space: at offset, `offset` before its end, before its start, past its end (these
/// three modulo 64).
enum class Edge : std::uint8_t { kInside, kEnd, kBefore, kPast };
inline constexpr std::size_t kEdges = 4;

struct Address {
  std::uint8_t space = 0;
  std::uint8_t edge = 0;
  le16 reserved;
  le32 offset;
};

/// Request and queue flags.
inline constexpr std::uint16_t kRequestIndirect = 1;  // through an indirect table
inline constexpr std::uint16_t kRequestJoinHeader =
    2;  // readable data right behind the header, in the same buffer
inline constexpr std::uint16_t kRequestJoinStatus =
    4;  // writable data and the status byte in one buffer
inline constexpr std::uint16_t kRequestRaw =
    8;  // numbers as they are, not brought into the valid range
inline constexpr std::uint16_t kRequestKick = 16;  // notify at once
inline constexpr std::uint16_t kQueueEventIndex = 1;
inline constexpr std::uint16_t kQueueIndirect = 2;
inline constexpr std::uint16_t kQueueNoEntries = 4;  // activate: with size 0
inline constexpr std::uint16_t kQueuePacked = 8;
inline constexpr std::uint16_t kQueueInOrder = 16;
inline constexpr std::uint16_t kQueuePci = 32;  // of a whole device: on virtio over PCI

struct Record {
  std::uint8_t opcode = 0;  // 0
  std::uint8_t kind = 0;    // 1   request kind, area, back-end failure
  std::uint8_t queue = 0;   // 2
  std::uint8_t width = 0;   // 3   bytes of a write; nth fetch of a race; how a request is cut
  le32 length;              // 4
  Address address;          // 8
  le64 value;               // 16
  le16 index;               // 24  or the budget of a kick
  le16 flags;               // 26
  le16 next;                // 28
  le16 extra;               // 30

  [[nodiscard]] Opcode op() const { return static_cast<Opcode>(opcode % kOpcodes); }
  [[nodiscard]] Space space() const { return static_cast<Space>(address.space % kSpaces); }
  [[nodiscard]] Edge edge() const { return static_cast<Edge>(address.edge % kEdges); }
};
inline constexpr std::size_t kRecordBytes = 32;
static_assert(sizeof(Record) == kRecordBytes && alignof(Record) == 8);
static_assert(offsetof(Record, address) == 8 && offsetof(Record, value) == 16 &&
              offsetof(Record, extra) == 30);

using Program = std::vector<Record>;

/// The longest program, in records: room for every scenario that matters, short enough for a step
/// budget.
inline constexpr std::size_t kMaxRecords = 64;

/// The records of an input; at most kMaxRecords of them.
[[nodiscard]] Program program_of(std::span<const std::byte> bytes);
/// The bytes of a program.
[[nodiscard]] std::vector<std::byte> bytes_of(std::span<const Record> program);

/// What a field of a record is called in text and how it is shown.
struct Field {
  enum class Kind : std::uint8_t { kNumber, kAddress, kFlags, kSelector };
  std::string_view name;
  Kind kind = Kind::kNumber;
  std::uint8_t offset = 0;                  // in Record
  std::uint8_t size = 0;                    // in bytes
  std::span<const std::string_view> names;  // of flags' bits or a selector's values
};

struct OpcodeInfo {
  std::string_view name;
  std::span<const Field> fields;
};

/// The name and fields of every opcode, in opcode order.
[[nodiscard]] std::span<const OpcodeInfo> opcode_table();
[[nodiscard]] std::span<const std::string_view> space_names();

/// The same record with every byte that its opcode does not use set to 0 and every selector in
/// range.
[[nodiscard]] Record canonical(const Record& record);

}  // namespace guestproof::testing
