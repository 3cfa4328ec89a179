// The guest's page tables: four levels of 512 entries, 4 KiB pages, in memory that the host writes
// and the guest's processor reads (Intel SDM vol. 3 §4.5; Arm ARM D8.3, 4 KiB granule).
//
// Nothing here allocates: tables are taken from a pool, one after the other, and never given back.
//
// Thread-safety: none; its owner has a lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guestproof/ring0/error.h"

namespace guestproof::ring0 {

inline constexpr std::uint64_t kPageSize = 4096;

/// What the guest may do with a page. Everything mapped may be read.
struct Rights {
  bool write = false;
  bool execute = false;
  bool user = false;    // at the lower privilege, too
  bool device = false;  // not cached: registers

  friend bool operator==(const Rights&, const Rights&) = default;
};

class PageTables {
 public:
  /// `pool` is memory of zeroes that the guest has at `address`; both are aligned to pages. The
  /// first two pages are the roots.
  PageTables(std::span<std::byte> pool, std::uint64_t address);

  /// Of addresses in the lower half (and, on x86_64, of all).
  [[nodiscard]] std::uint64_t root() const { return address_; }
  /// Of the upper half's.
  [[nodiscard]] std::uint64_t upper_root() const;

  /// [address, address + size) leads to [physical, …); what it led to before is replaced. All are
  /// multiples of kPageSize. Errors: kPageTables, kTableEntry; what was mapped until then is
  /// mapped.
  [[nodiscard]] Result<void> map(std::uint64_t address, std::uint64_t physical, std::uint64_t size,
                                 const Rights& rights);
  /// The address leads somewhere, with these rights.
  [[nodiscard]] bool leads(std::uint64_t address, const Rights& rights) const;

 private:
  using Table = std::uint64_t*;
  [[nodiscard]] Result<Table> table(std::uint64_t physical) const;
  /// The table of the lowest level for the address.
  [[nodiscard]] Result<Table> leaf(std::uint64_t address);

  std::span<std::byte> pool_;
  std::uint64_t address_;
  std::uint64_t used_;  // bytes
};

}  // namespace guestproof::ring0
