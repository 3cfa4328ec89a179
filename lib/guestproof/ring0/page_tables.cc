#include "guestproof/ring0/page_tables.h"

#include <atomic>

#include "guestproof/base/invariant.h"

namespace guestproof::ring0 {
namespace {

constexpr unsigned kLevels = 4;
constexpr unsigned kBitsOfLevel = 9;
constexpr unsigned kBitsOfPage = 12;
constexpr std::uint64_t kEntriesOfTable = 1 << kBitsOfLevel;
constexpr std::uint64_t kAddressBits = 0x000f'ffff'ffff'f000;

#if defined(__aarch64__)
constexpr std::uint64_t kRoots = 2;
constexpr std::uint64_t kOfProcessor = 0;
constexpr std::uint64_t kTableEntry = 0b11;

std::uint64_t page_entry(std::uint64_t physical, const Rights& rights) {
  constexpr std::uint64_t kPage = 0b11, kAccessed = 1 << 10, kInnerShareable = 3 << 8;
  constexpr std::uint64_t kUser = 1 << 6, kReadOnly = 1 << 7;
  constexpr std::uint64_t kPrivilegedNever = 1ULL << 53, kUserNever = 1ULL << 54;
  constexpr std::uint64_t kDevice = 1 << 2;  // MAIR_EL1's second attribute
  auto entry = physical | kPage | kAccessed | kInnerShareable;
  if (rights.user) entry |= kUser;
  if (!rights.write) entry |= kReadOnly;
  if (rights.device) entry |= kDevice;
  // What the lower privilege may write, the higher one may not execute, whatever is said here.
  if (!rights.execute || rights.user) entry |= kPrivilegedNever;
  if (!rights.execute || !rights.user) entry |= kUserNever;
  return entry;
}
#else
constexpr std::uint64_t kRoots = 1;
constexpr std::uint64_t kOfProcessor = 1 << 5 | 1 << 6;  // accessed, dirty
constexpr std::uint64_t kPresent = 1 << 0, kWritable = 1 << 1, kUser = 1 << 2;
constexpr std::uint64_t kTableEntry = kPresent | kWritable | kUser;  // pages say what may be done

std::uint64_t page_entry(std::uint64_t physical, const Rights& rights) {
  constexpr std::uint64_t kWriteThrough = 1 << 3, kCacheDisable = 1 << 4, kNoExecute = 1ULL << 63;
  auto entry = physical | kPresent;
  if (rights.write) entry |= kWritable;
  if (rights.user) entry |= kUser;
  if (rights.device) entry |= kWriteThrough | kCacheDisable;
  if (!rights.execute) entry |= kNoExecute;
  return entry;
}
#endif

/// The guest's processor walks the tables meanwhile.
void set(std::uint64_t& entry, std::uint64_t value) {
  std::atomic_ref(entry).store(value, std::memory_order_release);
}

}  // namespace

PageTables::PageTables(std::span<std::byte> pool, std::uint64_t address)
    : pool_(pool), address_(address), used_(kRoots * kPageSize) {
  GUESTPROOF_INVARIANT(pool.size() >= used_ && address % kPageSize == 0);
}

std::uint64_t PageTables::upper_root() const { return address_ + (kRoots - 1) * kPageSize; }

Result<PageTables::Table> PageTables::table(std::uint64_t physical) const {
  // A guest that made tables of its own may have written into these.
  if (physical - address_ >= pool_.size())
    return fail(Ring0Error::kTableEntry, physical, address_ + pool_.size() - 1);
  return reinterpret_cast<Table>(pool_.data() + (physical - address_));
}

Result<PageTables::Table> PageTables::leaf(std::uint64_t address) {
  auto at = table(address >> 63 != 0 ? upper_root() : root());
  for (unsigned level = kLevels - 1; level > 0; --level) {
    auto& entry = (*at)[address >> (kBitsOfPage + level * kBitsOfLevel) & (kEntriesOfTable - 1)];
    if (entry == 0) {
      if (pool_.size() - used_ < kPageSize)
        return fail(Ring0Error::kPageTables, address, pool_.size());
      set(entry, (address_ + used_) | kTableEntry);
      used_ += kPageSize;
    }
    at = table(entry & kAddressBits);
    if (!at) return at;
  }
  return at;
}

bool PageTables::leads(std::uint64_t address, const Rights& rights) const {
  auto at = table(address >> 63 != 0 ? upper_root() : root());
  for (unsigned level = kLevels - 1; at && level > 0; --level) {
    const auto entry =
        (*at)[address >> (kBitsOfPage + level * kBitsOfLevel) & (kEntriesOfTable - 1)];
    if (entry == 0) return false;
    at = table(entry & kAddressBits);
  }
  if (!at) return false;
  const auto entry = (*at)[address >> kBitsOfPage & (kEntriesOfTable - 1)] & ~kOfProcessor;
  return entry == page_entry(entry & kAddressBits, rights);
}

Result<void> PageTables::map(std::uint64_t address, std::uint64_t physical, std::uint64_t size,
                             const Rights& rights) {
  Table at = nullptr;
  for (std::uint64_t done = 0; done < size; done += kPageSize) {
    const auto index = (address + done) >> kBitsOfPage & (kEntriesOfTable - 1);
    if (at == nullptr || index == 0) {
      const auto found = leaf(address + done);
      if (!found) return std::unexpected(found.error());
      at = *found;
    }
    set(at[index], page_entry(physical + done, rights));
  }
  return {};
}

}  // namespace guestproof::ring0
