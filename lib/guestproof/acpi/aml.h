// Code in the ACPI Machine Language, as far as the tables here need it: each function gives the
// bytes of one term, which is made of others.
//
//   device("COM1", {name("_HID", eisa_id("PNP0501")), name("_CRS", resources({io_ports(0x3f8,
//   8)}))})
//
// A name is a path as in ASL: `\_SB.PWRB`, segments of 1 to 4 capital letters, digits (not first)
// and underscores; shorter ones are filled up.
//
// Not here: anything that a guest or a file says. What cannot be encoded is a caller's fault.
//
// Thread-safety: pure functions.
// Specification: ACPI 6.5 §20.2 (terms), §6.4 (resources), §19.3.4 (EISA identifiers).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace guestproof::acpi::aml {

using Code = std::vector<std::byte>;
using Terms = std::vector<Code>;

/// What follows PkgLength in a package, at most: it has 28 bits, and counts its own bytes.
inline constexpr std::size_t kMaxPackageBytes = (std::size_t{1} << 28) - 1 - 4;

/// REQUIRES: at most kMaxPackageBytes follow.
[[nodiscard]] Code package_length(std::size_t following);
/// REQUIRES: a path.
[[nodiscard]] Code path(std::string_view name);

[[nodiscard]] Code integer(std::uint64_t value);
/// REQUIRES: ASCII without NUL.
[[nodiscard]] Code string(std::string_view text);
/// REQUIRES: three capital letters and four capital hexadecimal digits.
[[nodiscard]] Code eisa_id(std::string_view id);
[[nodiscard]] Code buffer(std::span<const std::byte> bytes);
/// REQUIRES: at most 255 elements.
[[nodiscard]] Code package(const Terms& elements);

[[nodiscard]] Code name(std::string_view path, const Code& value);
[[nodiscard]] Code scope(std::string_view path, const Terms& terms);
[[nodiscard]] Code device(std::string_view path, const Terms& terms);
/// Serialised. REQUIRES: at most 7 arguments.
[[nodiscard]] Code method(std::string_view path, unsigned arguments, const Terms& terms);
[[nodiscard]] Code notify(std::string_view object, std::uint64_t value);

// Resources.

/// A buffer with descriptors, and the end tag.
[[nodiscard]] Code resources(const Terms& descriptors);
[[nodiscard]] Code io_ports(std::uint16_t base, std::uint8_t size);
[[nodiscard]] Code memory32_fixed(std::uint32_t base, std::uint32_t size);

enum class Trigger : std::uint8_t { kLevel, kEdge };
/// Active-high; a level-triggered one may be shared.
[[nodiscard]] Code interrupt(std::uint32_t gsi, Trigger trigger);

/// Who uses an address range: the device itself, or those behind it.
enum class Usage : std::uint8_t { kProduced, kConsumed };
/// REQUIRES (of all three): size is not 0, and base + size - 1 fits.
[[nodiscard]] Code qword_memory(std::uint64_t base, std::uint64_t size, Usage usage);
[[nodiscard]] Code word_io(std::uint16_t base, std::uint16_t size);
[[nodiscard]] Code word_bus_number(std::uint16_t first, std::uint16_t buses);

}  // namespace guestproof::acpi::aml
