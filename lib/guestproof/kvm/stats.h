// Binary statistics: the counters that KVM keeps of a machine or a vCPU, as a file of a described
// form (Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD).
//
// The file is read and checked like any other: what points outside it is refused
// when it is looked at.
//
// Thread-safety: values; statistics of a Statistics may be read from any thread.
#pragma once

#include <string>
#include <vector>

#include "guestproof/base/fd.h"
#include "guestproof/kvm/error.h"

namespace guestproof::kvm {

/// One statistic and its values: one, or the buckets of a histogram.
struct Statistic {
  std::string name;
  std::uint32_t flags = 0;    // KVM_STATS_TYPE_… | KVM_STATS_UNIT_… | KVM_STATS_BASE_…
  std::int16_t exponent = 0;  // of the base: the unit is UNIT · BASE^exponent
  std::uint32_t bucket_size = 0;
  std::uint32_t offset = 0;  // of the values, in the data block
  std::uint16_t count = 0;   // of values
};

class Statistics {
 public:
  /// What is there, from the descriptors in the file. Errors: SystemError::kRead, kStatistics,
  /// kStatisticsName, kTooManyEntries.
  [[nodiscard]] static Result<Statistics> read(Fd fd);

  /// Of which machine or vCPU, as KVM names it.
  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] const std::vector<Statistic>& list() const { return list_; }
  /// The values of one of list() now. Errors: SystemError::kRead, kStatistics (the file ends).
  [[nodiscard]] Result<std::vector<std::uint64_t>> values(const Statistic& statistic) const;

 private:
  explicit Statistics(Fd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] Result<void> read_exactly(std::span<std::byte> out, std::uint64_t offset) const;

  Fd fd_;
  std::uint32_t data_offset_ = 0;
  std::string id_;
  std::vector<Statistic> list_;
};

}  // namespace guestproof::kvm
