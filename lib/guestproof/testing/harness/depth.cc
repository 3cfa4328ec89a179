#include "guestproof/testing/harness/depth.h"

#include <algorithm>

#include "guestproof/base/invariant.h"

namespace guestproof::testing {

Depth::Index Depth::add(std::string name) {
  names_.push_back(std::move(name));
  counts_.grow();
  return names_.size() - 1;
}

void Depth::add_domain(const ErrorDomain& domain, std::span<const std::uint16_t> unreachable) {
  Domain known{&domain, {}};
  for (const auto& entry : domain.entries) {
    const bool reachable = std::ranges::find(unreachable, entry.code) == unreachable.end();
    known.counters.push_back(reachable ? std::optional(add("error:" + std::string(domain.name) +
                                                           "." + std::string(entry.name)))
                                       : std::nullopt);
  }
  domains_.push_back(std::move(known));
}

void Depth::count(const Error& error) {
  for (const auto& [domain, counters] : domains_) {
    if (domain != &error.domain()) continue;
    GUESTPROOF_INVARIANT(counters[error.code()].has_value());
    count(*counters[error.code()]);
  }
}

void Depth::bind(std::uint64_t* first, std::size_t stride) {
  for (Index i = 0; i < names_.size(); ++i) first[i * stride] += counts_[i];
  counts_.bind(first, stride);
}

}  // namespace guestproof::testing
