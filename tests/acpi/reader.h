// ACPI tables as a guest finds them: from the RSDP on, pointer by pointer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "guestproof/acpi/tables.h"
#include "guestproof/base/bytes.h"

namespace guestproof::acpi {

using Bytes = std::span<const std::byte>;

inline std::uint64_t number(Bytes table, std::size_t at, std::size_t width) {
  return load(table.subspan(at, width));
}
inline std::string text(Bytes table, std::size_t at, std::size_t length) {
  return {reinterpret_cast<const char*>(table.data()) + at, length};
}

/// What it gives lies in it.
class Reader {
 public:
  explicit Reader(Tables tables) : tables_(std::move(tables)) {}

  [[nodiscard]] Bytes rsdp() const { return all().first(36); }
  [[nodiscard]] Bytes xsdt() const { return at(number(rsdp(), 24, 8)); }
  /// All that the XSDT points to.
  [[nodiscard]] std::vector<Bytes> tables() const {
    std::vector<Bytes> found;
    for (std::size_t entry = 36; entry < xsdt().size(); entry += 8)
      found.push_back(at(number(xsdt(), entry, 8)));
    return found;
  }
  /// Of these the one with that signature; empty when there is none.
  [[nodiscard]] Bytes table(std::string_view signature) const {
    for (const auto& found : tables())
      if (text(found, 0, 4) == signature) return found;
    return {};
  }
  [[nodiscard]] Bytes dsdt() const { return at(number(table("FACP"), 140, 8)); }
  [[nodiscard]] Bytes all() const { return tables_.bytes; }

 private:
  [[nodiscard]] Bytes at(std::uint64_t address) const {
    const auto rest = all().subspan(address - tables_.rsdp.raw());
    return rest.first(number(rest, 4, 4));
  }
  Tables tables_;
};

}  // namespace guestproof::acpi
