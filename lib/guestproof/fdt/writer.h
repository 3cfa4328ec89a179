// Writes a flattened device tree, version 17: what tells an Arm or RISC-V kernel about its machine.
//
//   Writer tree;
//   tree.begin("").cells("#address-cells", {2}).text("compatible", "linux,dummy-virt");
//   tree.begin("memory@80000000").text("device_type", "memory").quads("reg", {base, size}).end();
//   const auto blob = tree.end().finish();
//
// The first thing that cannot be is what finish() says; what comes after it is ignored. The same
// calls give the same bytes, which are those of dtc.
//
// Not here: what a machine is made of, phandles (numbers like others) and overlays; a tree is not
// read.
//
// Thread-safety: none.
// Specification: Devicetree Specification v0.4 §2.2, §5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "guestproof/base/range_map.h"
#include "guestproof/fdt/error.h"
#include "guestproof/memory/guest_address.h"

namespace guestproof::fdt {

/// arm64's boot protocol allows no more (Documentation/arch/arm64/booting.rst).
inline constexpr std::size_t kMaxBytes = std::size_t{2} << 20;
inline constexpr std::size_t kMaxNameLength = 31;

class Writer {
 public:
  /// Memory that the guest must leave alone.
  Writer& reserve(GuestAddress base, std::uint64_t size);

  /// A node inside the one that is open. The first is the root, without a name; others have
  /// `name` or `name@unit-address`.
  Writer& begin(std::string_view name);
  Writer& end();

  // Properties of the node that is open, before any node inside of it.

  /// One that is there, and has no value.
  Writer& flag(std::string_view name) { return bytes(name, {}); }
  Writer& bytes(std::string_view name, std::span<const std::byte> value);
  /// Numbers of 32 bits, and of 64.
  Writer& cells(std::string_view name, std::span<const std::uint32_t> values);
  Writer& cells(std::string_view name, std::initializer_list<std::uint32_t> values) {
    return cells(name, std::span(values.begin(), values.size()));
  }
  Writer& quads(std::string_view name, std::initializer_list<std::uint64_t> values);
  Writer& text(std::string_view name, std::string_view value) { return texts(name, {value}); }
  Writer& texts(std::string_view name, std::initializer_list<std::string_view> values);

  /// Errors: FdtError.
  [[nodiscard]] Result<std::vector<std::byte>> finish(std::size_t room = kMaxBytes) const;

 private:
  /// What is known of a node that is open.
  struct Node {
    std::uint32_t number;
    std::vector<std::string> children{};
    std::vector<std::string> properties{};
  };

  void refuse(FdtError code, std::uint64_t value, std::uint64_t limit = 0);
  /// Whether a property may be written now.
  [[nodiscard]] bool check_property(std::string_view name);
  /// Where the name is in the strings.
  [[nodiscard]] std::size_t string_offset(std::string_view name);

  std::vector<std::byte> reservations_;
  RangeMap<char> reserved_;
  std::vector<std::byte> structure_;
  std::string strings_;
  std::vector<Node> open_;
  std::uint32_t nodes_ = 0;
  std::uint32_t properties_ = 0;
  std::optional<Error> error_;
};

}  // namespace guestproof::fdt
