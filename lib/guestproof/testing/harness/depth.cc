#include "guestproof/testing/harness/depth.h"

namespace guestproof::testing {

Depth::Index Depth::add(std::string name) {
  names_.push_back(std::move(name));
  counts_.grow();
  return names_.size() - 1;
}

void Depth::add_domain(const ErrorDomain& domain) {
  domains_.emplace_back(&domain, names_.size());
  for (const auto& entry : domain.entries)
    add("error:" + std::string(domain.name) + "." + std::string(entry.name));
}

void Depth::count(const Error& error) {
  for (const auto& [domain, first] : domains_)
    if (domain == &error.domain()) count(first + error.code());
}

void Depth::bind(std::uint64_t* first, std::size_t stride) {
  for (Index i = 0; i < names_.size(); ++i) first[i * stride] += counts_[i];
  counts_.bind(first, stride);
}

}  // namespace guestproof::testing
