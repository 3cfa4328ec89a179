#include "guestproof/ring0/options.h"

#include <algorithm>

#include "guestproof/base/range_map.h"
#include "guestproof/ring0/supervisor.h"

namespace guestproof::ring0 {
namespace {

/// The largest guest-physical address that processors of 36 bits have, without what is ours.
constexpr std::uint64_t kLast = (1ULL << 35) - 1;

constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24);

Result<void> check_range(RangeMap<bool>& taken, const PhysicalRange& range) {
  if (range.size == 0) return fail(Ring0Error::kRangeEmpty, range.base);
  if (range.base > kLast || range.size - 1 > kLast - range.base)
    return fail(Ring0Error::kRangeEnd, range.base, kLast);
  for (const auto value : {range.base, range.size})
    if (value % kPageSize != 0) return fail(Ring0Error::kRangeAlignment, value, kPageSize);
  if (const auto* other = taken.insert(range.base, range.base + range.size - 1, true))
    return fail(Ring0Error::kRangeOverlap, range.base, other->base);
  return {};
}

#if defined(__x86_64__)
Result<void> check_ports(const std::vector<Register>& registers) {
  std::vector<std::uint64_t> seen;
  seen.reserve(registers.size());
  for (const auto& each : registers) {
    if (!each.port) continue;
    if (each.base >= kTrap && each.base < kCall + 4)
      return fail(Ring0Error::kControlPort, each.base, kTrap);
    if (std::ranges::count(seen, each.base) != 0) return fail(Ring0Error::kPortTwice, each.base);
    seen.push_back(each.base);
  }
  return {};
}

Result<void> check_msrs(const std::vector<Msr>& msrs) {
  for (std::size_t i = 0; i < msrs.size(); ++i)
    if (std::ranges::count(msrs, msrs[i].index, &Msr::index) > 1)
      return fail(Ring0Error::kMsrTwice, msrs[i].index);
  return {};
}
#endif

}  // namespace

#if defined(__x86_64__)
Msr msr(std::uint32_t index, std::uint64_t value) {
  return {index, [value](Msr::Access& access) mutable {
            if (access.write)
              value = access.value;
            else
              access.value = value;
            return true;
          }};
}
#endif

std::vector<PhysicalRange> Options::ranges() const {
  std::vector<PhysicalRange> all;
  all.reserve(memory.size() + registers.size());
  for (const auto& each : memory) all.push_back({each.base, each.size, false});
  for (const auto& each : registers)
    if (!each.port) all.push_back({each.base, each.size, true});
  return all;
}

Result<void> Options::check() const {
  if (vcpu_count == 0 || vcpu_count > kMaxVcpus)
    return fail(Ring0Error::kVcpuCount, vcpu_count, kMaxVcpus);
  if (time_limit < std::chrono::milliseconds(1) || time_limit > kLongest)
    return fail(Ring0Error::kTimeLimit, static_cast<std::uint64_t>(time_limit.count()),
                static_cast<std::uint64_t>(kLongest.count()));
  if (expected_ends_ > 1) return fail(Ring0Error::kTwoEnds, expected_ends_);
  if (level_ != kKernelLevel && level_ != kUserLevel)
    return fail(Ring0Error::kPrivilege, level_, std::max(kKernelLevel, kUserLevel));
  for (const auto& each : registers)
    if ((each.on_read && !each.values.empty()) || (each.on_write && each.expected))
      return fail(Ring0Error::kTwoAnswers, each.base);
  RangeMap<bool> taken;
  for (const auto& range : ranges())
    if (const auto ok = check_range(taken, range); !ok) return ok;
#if defined(__x86_64__)
  if (const auto ok = check_ports(registers); !ok) return ok;
  if (const auto ok = check_msrs(msrs); !ok) return ok;
#endif
  return {};
}

}  // namespace guestproof::ring0
