#include "guestproof/testing/scenario/text.h"

#include <charconv>
#include <cstring>
#include <optional>

namespace guestproof::testing {
namespace {

using Failure = std::unexpected<std::string>;
template <class T>
using Parsed = std::expected<T, std::string>;

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

std::string hex(std::uint64_t number) {
  char digits[16];
  return "0x" + std::string(digits, std::to_chars(digits, digits + sizeof digits, number, 16).ptr);
}

std::uint64_t get(const Record& record, const Field& field) {
  std::uint64_t number = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(&record) + field.offset;
  for (std::size_t i = field.size; i-- > 0;) number = number << 8 | bytes[i];
  return number;
}

void put(Record& record, const Field& field, std::uint64_t number) {
  auto* bytes = reinterpret_cast<unsigned char*>(&record) + field.offset;
  for (std::size_t i = 0; i < field.size; ++i, number >>= 8)
    bytes[i] = static_cast<unsigned char>(number);
}

constexpr std::array<std::string_view, kEdges> kEdgeText{"+", ":end-", ":before-", ":past+"};

std::string address_text(const Record& record) {
  if (record.space() == Space::kRaw) return "raw";
  return std::string(space_names()[static_cast<std::size_t>(record.space())]) +
         std::string(kEdgeText[static_cast<std::size_t>(record.edge())]) +
         hex(record.address.offset);
}

std::string flags_text(std::uint64_t flags, std::span<const std::string_view> names) {
  std::string out;
  for (std::size_t bit = 0; bit < names.size(); ++bit) {
    if ((flags >> bit & 1) == 0) continue;
    out += (out.empty() ? "" : "|") + std::string(names[bit]);
    flags &= ~(std::uint64_t{1} << bit);
  }
  if (flags != 0) out += (out.empty() ? "" : "|") + hex(flags);
  return out;
}

std::string field_text(const Record& record, const Field& field) {
  switch (field.kind) {
    case Field::Kind::kAddress:
      return address_text(record);
    case Field::Kind::kFlags:
      return flags_text(get(record, field), field.names);
    case Field::Kind::kSelector:
      return std::string(field.names[get(record, field) % field.names.size()]);
    case Field::Kind::kNumber:
      break;
  }
  const auto number = get(record, field);
  return number < 4096 ? std::to_string(number) : hex(number);
}

Parsed<std::uint64_t> parse_number(std::string_view text, std::size_t size) {
  const bool is_hex = text.starts_with("0x");
  const auto digits = is_hex ? text.substr(2) : text;
  std::uint64_t number = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number, is_hex ? 16 : 10);
  if (error != std::errc{} || end != digits.data() + digits.size() || digits.empty())
    return Failure(quoted(text) + " is not a number");
  if (size < 8 && number >> (8 * size) != 0)
    return Failure(quoted(text) + " does not fit in " + std::to_string(size) + " bytes (at most " +
                   hex((std::uint64_t{1} << (8 * size)) - 1) + ")");
  return number;
}

std::optional<std::size_t> position_of(std::string_view name,
                                       std::span<const std::string_view> names) {
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return i;
  return std::nullopt;
}

Parsed<std::uint64_t> parse_flags(std::string_view text, const Field& field) {
  std::uint64_t flags = 0;
  while (!text.empty()) {
    const auto bar = text.find('|');
    const auto word = text.substr(0, bar);
    if (const auto bit = position_of(word, field.names)) {
      flags |= std::uint64_t{1} << *bit;
    } else {
      const auto number = parse_number(word, field.size);
      if (!number)
        return Failure(quoted(word) + " is neither a flag of " + std::string(field.name) +
                       " nor a number");
      flags |= *number;
    }
    text = bar == std::string_view::npos ? std::string_view() : text.substr(bar + 1);
  }
  return flags;
}

Parsed<std::uint64_t> parse_selector(std::string_view text, const Field& field) {
  if (const auto position = position_of(text, field.names)) return *position;
  return Failure(quoted(text) + " is not a value of " + std::string(field.name));
}

Parsed<std::uint64_t> parse_address(std::string_view text) {
  Record record;
  const auto name = text.substr(0, text.find_first_of("+:"));
  const auto space = position_of(name, space_names());
  if (!space) return Failure(quoted(name) + " is not an address space");
  record.address.space = static_cast<std::uint8_t>(*space);
  auto rest = text.substr(name.size());
  if (!rest.empty()) {
    std::size_t edge = 0;
    while (edge < kEdges && !rest.starts_with(kEdgeText[edge])) ++edge;
    if (edge == kEdges) return Failure(quoted(rest) + " is not +N, :end-N, :before-N or :past+N");
    const auto offset = parse_number(rest.substr(kEdgeText[edge].size()), 4);
    if (!offset) return Failure(offset.error());
    record.address.edge = static_cast<std::uint8_t>(edge);
    record.address.offset = static_cast<std::uint32_t>(*offset);
  }
  std::uint64_t bits = 0;
  std::memcpy(&bits, &record.address, sizeof bits);
  return bits;
}

Parsed<std::uint64_t> parse_field(std::string_view text, const Field& field) {
  switch (field.kind) {
    case Field::Kind::kAddress:
      return parse_address(text);
    case Field::Kind::kFlags:
      return parse_flags(text, field);
    case Field::Kind::kSelector:
      return parse_selector(text, field);
    case Field::Kind::kNumber:
      break;
  }
  return parse_number(text, field.size);
}

/// The next word of a line; empty at its end.
std::string_view next_word(std::string_view& line) {
  const auto begin = line.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return line = {};
  line.remove_prefix(begin);
  const auto word = line.substr(0, line.find_first_of(" \t\r"));
  line.remove_prefix(word.size());
  return word;
}

Parsed<std::optional<Record>> parse_line(std::string_view line) {
  line = line.substr(0, line.find('#'));
  const auto opcode = next_word(line);
  if (opcode.empty()) return std::nullopt;
  Record record;
  while (record.opcode < kOpcodes && opcode_table()[record.opcode].name != opcode) ++record.opcode;
  if (record.opcode == kOpcodes) return Failure(quoted(opcode) + " is not an opcode");
  const auto& info = opcode_table()[record.opcode];
  for (auto word = next_word(line); !word.empty(); word = next_word(line)) {
    const auto equals = word.find('=');
    const auto name = word.substr(0, equals);
    const Field* field = nullptr;
    for (const auto& candidate : info.fields)
      if (candidate.name == name) field = &candidate;
    if (field == nullptr) return Failure(quoted(name) + " is not a field of " + quoted(opcode));
    if (equals == std::string_view::npos) return Failure("field " + quoted(name) + " has no value");
    const auto value = parse_field(word.substr(equals + 1), *field);
    if (!value) return Failure(std::string(name) + ": " + value.error());
    put(record, *field, *value);
  }
  return record;
}

}  // namespace

std::string to_text(const Record& record) {
  const auto clean = canonical(record);
  const auto& info = opcode_table()[clean.opcode];
  std::string out(info.name);
  for (const auto& field : info.fields)
    if (get(clean, field) != 0)
      out += " " + std::string(field.name) + "=" + field_text(clean, field);
  return out;
}

std::string to_text(std::span<const Record> program) {
  std::string out;
  for (const auto& record : program) out += to_text(record) + "\n";
  return out;
}

std::expected<Program, TextError> parse_text(std::string_view text) {
  Program program;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const auto record = parse_line(line);
    if (!record) return std::unexpected(TextError{number, record.error()});
    if (!*record) continue;
    if (program.size() == kMaxRecords)
      return std::unexpected(
          TextError{number, "more than " + std::to_string(kMaxRecords) + " records"});
    program.push_back(canonical(**record));
  }
  return program;
}

}  // namespace guestproof::testing
