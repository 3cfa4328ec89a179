#include "guestproof/testing/scenario/record.h"

#include <algorithm>
#include <cstring>

namespace guestproof::testing {
namespace {

using enum Field::Kind;

constexpr std::array<std::string_view, 3> kDescFlagNames{"next", "write", "indirect"};
constexpr std::array<std::string_view, 5> kRequestFlagNames{"indirect", "join_header",
                                                            "join_status", "raw", "kick"};
constexpr std::array<std::string_view, 6> kQueueFlagNames{"event_index", "indirect", "no_entries",
                                                          "packed",      "in_order", "pci"};
constexpr std::array<std::string_view, 1> kAvailFlagNames{"no_interrupt"};
constexpr std::array<std::string_view, 3> kAreaNames{"desc", "avail", "used"};
constexpr std::array<std::string_view, kSpaces> kSpaceNames{
    "auto", "desc", "avail", "used", "indirect", "header", "data",
    "low",  "mid",  "high",  "rom",  "top",      "hole",   "raw"};

#define FIELD(member) offsetof(Record, member), sizeof(Record::member)
constexpr Field kQueueField{"queue", kNumber, FIELD(queue), {}};
constexpr Field kIndexField{"index", kNumber, FIELD(index), {}};
constexpr Field kAddressField{"address", kAddress, FIELD(address), {}};
constexpr Field kLengthField{"length", kNumber, FIELD(length), {}};
constexpr Field kDescFlags{"flags", kFlags, FIELD(flags), kDescFlagNames};
constexpr Field kNextField{"next", kNumber, FIELD(next), {}};
constexpr Field kValueField{"value", kNumber, FIELD(value), {}};
constexpr Field kWidthField{"width", kNumber, FIELD(width), {}};
constexpr Field kKindField{"kind", kNumber, FIELD(kind), {}};

constexpr std::array kRequestFields{kKindField,
                                    kQueueField,
                                    Field{"cut", kNumber, FIELD(width), {}},
                                    kLengthField,
                                    kAddressField,
                                    kValueField,
                                    kIndexField,
                                    Field{"flags", kFlags, FIELD(flags), kRequestFlagNames},
                                    kNextField,
                                    Field{"extra", kNumber, FIELD(extra), {}}};
constexpr std::array kKickFields{kQueueField, Field{"budget", kNumber, FIELD(index), {}}};
constexpr std::array kDescFields{kQueueField, kIndexField, kAddressField, kLengthField,
                                 kDescFlags,  kNextField,  kValueField};
constexpr std::array kLinkFields{kQueueField, kIndexField, kDescFlags, kNextField};
constexpr std::array kIndirectFields{kIndexField, kAddressField, kLengthField,
                                     kDescFlags,  kNextField,    kValueField};
constexpr std::array kPublishFields{kQueueField, kIndexField};
constexpr std::array kEntryFields{kQueueField, kIndexField, kNextField};
constexpr std::array kAvailFields{kQueueField, kNextField};
constexpr std::array kWriteFields{kAddressField, kWidthField, kValueField};
constexpr std::array kFillFields{kAddressField, kLengthField, kValueField};
constexpr std::array kRaceFields{kAddressField, Field{"nth", kNumber, FIELD(width), {}},
                                 kValueField};
constexpr std::array kFlagsFields{kQueueField,
                                  Field{"flags", kFlags, FIELD(flags), kAvailFlagNames}};
constexpr std::array kQueueFields{kQueueField, kIndexField,
                                  Field{"flags", kFlags, FIELD(flags), kQueueFlagNames}};
constexpr std::array kAreaFields{kQueueField, Field{"which", kSelector, FIELD(kind), kAreaNames},
                                 kAddressField, kValueField};
constexpr std::array kActivateFields{kQueueField, kIndexField,
                                     Field{"flags", kFlags, FIELD(flags), kQueueFlagNames}};
constexpr std::array kSaveFields{kQueueField};
constexpr std::array kPatchFields{kIndexField, kWidthField, kValueField};
constexpr std::array kCompleteFields{kIndexField, kLengthField};
constexpr std::array kBackendFields{kKindField, kValueField};
constexpr std::array kAccessFields{kKindField, kIndexField, kLengthField, kNextField, kValueField};
#undef FIELD

constexpr std::array<OpcodeInfo, kOpcodes> kTable{{
    {"request", kRequestFields},
    {"kick", kKickFields},
    {"desc", kDescFields},
    {"link", kLinkFields},
    {"indirect", kIndirectFields},
    {"publish", kPublishFields},
    {"entry", kEntryFields},
    {"avail", kAvailFields},
    {"write", kWriteFields},
    {"fill", kFillFields},
    {"race", kRaceFields},
    {"event", kAvailFields},
    {"flags", kFlagsFields},
    {"queue", kQueueFields},
    {"area", kAreaFields},
    {"activate", kActivateFields},
    {"reset", {}},
    {"save", kSaveFields},
    {"patch", kPatchFields},
    {"restore", kSaveFields},
    {"take", kPublishFields},
    {"complete", kCompleteFields},
    {"backend", kBackendFields},
    {"access", kAccessFields},
    {"remap", kSaveFields},
}};

}  // namespace

std::span<const OpcodeInfo> opcode_table() { return kTable; }
std::span<const std::string_view> space_names() { return kSpaceNames; }

Program program_of(std::span<const std::byte> bytes) {
  Program program(std::min(bytes.size() / kRecordBytes, kMaxRecords));
  if (!program.empty())
    std::memcpy(static_cast<void*>(program.data()), bytes.data(), program.size() * kRecordBytes);
  return program;
}

std::vector<std::byte> bytes_of(std::span<const Record> program) {
  const auto bytes = std::as_bytes(program);
  return {bytes.begin(), bytes.end()};
}

Record canonical(const Record& record) {
  Record out;
  out.opcode = static_cast<std::uint8_t>(record.op());
  const auto* from = reinterpret_cast<const std::byte*>(&record);
  auto* to = reinterpret_cast<std::byte*>(&out);
  for (const auto& field : kTable[out.opcode].fields) {
    std::memcpy(to + field.offset, from + field.offset, field.size);
    if (field.kind == kSelector)
      to[field.offset] =
          std::byte(std::to_integer<std::size_t>(to[field.offset]) % field.names.size());
    if (field.kind == kAddress) {
      out.address.space = static_cast<std::uint8_t>(record.space());
      out.address.edge = static_cast<std::uint8_t>(record.edge());
      out.address.reserved = 0;
      if (record.space() == Space::kRaw)
        out.address = {.space = out.address.space, .edge = 0, .reserved = 0, .offset = 0};
    }
  }
  return out;
}

}  // namespace guestproof::testing
