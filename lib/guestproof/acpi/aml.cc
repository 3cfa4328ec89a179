#include "guestproof/acpi/aml.h"

#include <algorithm>
#include <initializer_list>

#include "guestproof/base/bytes.h"
#include "guestproof/base/invariant.h"

namespace guestproof::acpi::aml {
namespace {

// §20.2.
constexpr std::uint8_t kZeroOp = 0x00;
constexpr std::uint8_t kOneOp = 0x01;
constexpr std::uint8_t kNameOp = 0x08;
constexpr std::uint8_t kBytePrefix = 0x0a;
constexpr std::uint8_t kWordPrefix = 0x0b;
constexpr std::uint8_t kDWordPrefix = 0x0c;
constexpr std::uint8_t kStringPrefix = 0x0d;
constexpr std::uint8_t kQWordPrefix = 0x0e;
constexpr std::uint8_t kScopeOp = 0x10;
constexpr std::uint8_t kBufferOp = 0x11;
constexpr std::uint8_t kPackageOp = 0x12;
constexpr std::uint8_t kMethodOp = 0x14;
constexpr std::uint8_t kDualNamePrefix = 0x2e;
constexpr std::uint8_t kMultiNamePrefix = 0x2f;
constexpr std::uint8_t kExtOpPrefix = 0x5b;
constexpr std::uint8_t kDeviceOp = 0x82;  // behind kExtOpPrefix
constexpr std::uint8_t kNotifyOp = 0x86;
constexpr std::uint8_t kMethodSerialized = 0x08;

// §6.4.
constexpr std::uint8_t kIoPort = 0x47;
constexpr std::uint8_t kEndTag = 0x79;
constexpr std::uint8_t kMemory32Fixed = 0x86;
constexpr std::uint8_t kWordAddress = 0x88;
constexpr std::uint8_t kExtendedInterrupt = 0x89;
constexpr std::uint8_t kQWordAddress = 0x8a;
constexpr std::uint8_t kMemoryRange = 0;
constexpr std::uint8_t kIoRange = 1;
constexpr std::uint8_t kBusRange = 2;
constexpr std::uint8_t kConsumer = 0x01;
constexpr std::uint8_t kBothFixed = 0x0c;  // minimum and maximum
constexpr std::uint8_t kWritable = 0x01;
constexpr std::uint8_t kEntireRange = 0x03;

void put(Code& code, std::uint64_t number, std::size_t width) {
  code.resize(code.size() + width);
  store(std::span(code).last(width), number);
}

void put(Code& code, std::span<const std::byte> bytes) {
  code.insert(code.end(), bytes.begin(), bytes.end());
}

Code joined(const Terms& terms) {
  Code code;
  for (const auto& term : terms) put(code, term);
  return code;
}

/// Opcode, PkgLength and what it is the length of.
Code packaged(std::initializer_list<std::uint8_t> opcode, const Code& body) {
  Code code;
  for (const auto byte : opcode) put(code, byte, 1);
  put(code, package_length(body.size()));
  put(code, body);
  return code;
}

bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

void put_segment(Code& code, std::string_view segment) {
  GUESTPROOF_INVARIANT(!segment.empty() && segment.size() <= 4 && is_letter(segment[0]));
  GUESTPROOF_INVARIANT(
      std::ranges::all_of(segment, [](char c) { return is_letter(c) || is_digit(c); }));
  for (std::size_t i = 0; i < 4; ++i)
    put(code, static_cast<std::uint8_t>(i < segment.size() ? segment[i] : '_'), 1);
}

/// The descriptor of an address range, whose five numbers have `width` bytes.
Code address_range(std::uint8_t tag, std::size_t width, std::uint8_t type, std::uint8_t flags,
                   std::uint8_t type_flags, std::uint64_t base, std::uint64_t size) {
  GUESTPROOF_INVARIANT(size != 0);
  Code code;
  put(code, tag, 1);
  put(code, 3 + 5 * width, 2);
  put(code, type, 1);
  put(code, flags, 1);
  put(code, type_flags, 1);
  put(code, 0, width);  // granularity
  put(code, base, width);
  put(code, base + (size - 1), width);
  put(code, 0, width);  // translation
  put(code, size, width);
  return code;
}

}  // namespace

Code package_length(std::size_t following) {
  GUESTPROOF_INVARIANT(following <= kMaxPackageBytes);
  Code code;
  if (following + 1 <= 0x3f) {
    put(code, following + 1, 1);
    return code;
  }
  // The lead byte has the number of bytes behind it and 4 bits of the length, these have 8 each.
  std::size_t behind = 1;
  while (following + 1 + behind >= std::size_t{1} << (4 + 8 * behind)) ++behind;
  const auto length = following + 1 + behind;
  put(code, behind << 6 | (length & 0x0f), 1);
  put(code, length >> 4, behind);
  return code;
}

Code path(std::string_view name) {
  Code code;
  if (name.starts_with('\\')) {
    put(code, '\\', 1);
    name.remove_prefix(1);
  }
  const auto segments = std::ranges::count(name, '.') + 1;
  GUESTPROOF_INVARIANT(segments <= 255);
  if (segments == 2) put(code, kDualNamePrefix, 1);
  if (segments > 2) {
    put(code, kMultiNamePrefix, 1);
    put(code, static_cast<std::uint64_t>(segments), 1);
  }
  while (true) {
    const auto dot = name.find('.');
    put_segment(code, name.substr(0, dot));
    if (dot == std::string_view::npos) return code;
    name.remove_prefix(dot + 1);
  }
}

Code integer(std::uint64_t value) {
  Code code;
  if (value <= 1) {
    put(code, value == 0 ? kZeroOp : kOneOp, 1);
    return code;
  }
  const std::size_t width = value <= 0xff ? 1 : value <= 0xffff ? 2 : value <= 0xffff'ffff ? 4 : 8;
  const auto prefix = width == 1   ? kBytePrefix
                      : width == 2 ? kWordPrefix
                      : width == 4 ? kDWordPrefix
                                   : kQWordPrefix;
  put(code, prefix, 1);
  put(code, value, width);
  return code;
}

Code string(std::string_view text) {
  GUESTPROOF_INVARIANT(
      std::ranges::all_of(text, [](unsigned char c) { return c > 0 && c < 0x80; }));
  Code code;
  put(code, kStringPrefix, 1);
  put(code, std::as_bytes(std::span(text)));
  put(code, 0, 1);
  return code;
}

Code eisa_id(std::string_view id) {
  GUESTPROOF_INVARIANT(id.size() == 7);
  std::uint32_t number = 0;
  for (const char c : id.substr(0, 3)) {
    GUESTPROOF_INVARIANT(c >= 'A' && c <= 'Z');
    number = number << 5 | static_cast<std::uint32_t>(c - '@');
  }
  for (const char c : id.substr(3)) {
    GUESTPROOF_INVARIANT(is_digit(c) || (c >= 'A' && c <= 'F'));
    number = number << 4 | static_cast<std::uint32_t>(is_digit(c) ? c - '0' : c - 'A' + 10);
  }
  Code code;
  put(code, kDWordPrefix, 1);
  for (int shift = 24; shift >= 0; shift -= 8) put(code, number >> shift & 0xff, 1);
  return code;
}

Code buffer(std::span<const std::byte> bytes) {
  auto body = integer(bytes.size());
  put(body, bytes);
  return packaged({kBufferOp}, body);
}

Code package(const Terms& elements) {
  GUESTPROOF_INVARIANT(elements.size() <= 255);
  Code body;
  put(body, elements.size(), 1);
  put(body, joined(elements));
  return packaged({kPackageOp}, body);
}

Code name(std::string_view path_of, const Code& value) {
  Code code;
  put(code, kNameOp, 1);
  put(code, path(path_of));
  put(code, value);
  return code;
}

Code scope(std::string_view path_of, const Terms& terms) {
  auto body = path(path_of);
  put(body, joined(terms));
  return packaged({kScopeOp}, body);
}

Code device(std::string_view path_of, const Terms& terms) {
  auto body = path(path_of);
  put(body, joined(terms));
  return packaged({kExtOpPrefix, kDeviceOp}, body);
}

Code method(std::string_view path_of, unsigned arguments, const Terms& terms) {
  GUESTPROOF_INVARIANT(arguments <= 7);
  auto body = path(path_of);
  put(body, kMethodSerialized | arguments, 1);
  put(body, joined(terms));
  return packaged({kMethodOp}, body);
}

Code notify(std::string_view object, std::uint64_t value) {
  Code code;
  put(code, kNotifyOp, 1);
  put(code, path(object));
  put(code, integer(value));
  return code;
}

Code resources(const Terms& descriptors) {
  auto bytes = joined(descriptors);
  put(bytes, kEndTag, 1);
  put(bytes, 0, 1);  // no checksum
  return buffer(bytes);
}

Code io_ports(std::uint16_t base, std::uint8_t size) {
  Code code;
  put(code, kIoPort, 1);
  put(code, 1, 1);  // decodes 16 bits
  put(code, base, 2);
  put(code, base, 2);
  put(code, 1, 1);  // alignment
  put(code, size, 1);
  return code;
}

Code memory32_fixed(std::uint32_t base, std::uint32_t size) {
  Code code;
  put(code, kMemory32Fixed, 1);
  put(code, 9, 2);
  put(code, kWritable, 1);
  put(code, base, 4);
  put(code, size, 4);
  return code;
}

Code interrupt(std::uint32_t gsi, Trigger trigger) {
  Code code;
  put(code, kExtendedInterrupt, 1);
  put(code, 6, 2);
  put(code, kConsumer | (trigger == Trigger::kEdge ? 0x02U : 0x08U), 1);
  put(code, 1, 1);  // one interrupt
  put(code, gsi, 4);
  return code;
}

Code qword_memory(std::uint64_t base, std::uint64_t size, Usage usage) {
  const std::uint8_t consumer = usage == Usage::kConsumed ? kConsumer : 0;
  return address_range(kQWordAddress, 8, kMemoryRange, kBothFixed | consumer, kWritable, base,
                       size);
}

Code word_io(std::uint16_t base, std::uint16_t size) {
  return address_range(kWordAddress, 2, kIoRange, kBothFixed, kEntireRange, base, size);
}

Code word_bus_number(std::uint16_t first, std::uint16_t buses) {
  return address_range(kWordAddress, 2, kBusRange, kBothFixed, 0, first, buses);
}

}  // namespace guestproof::acpi::aml
