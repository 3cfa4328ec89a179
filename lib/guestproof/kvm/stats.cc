#include "guestproof/kvm/stats.h"

#include <errno.h>
#include <unistd.h>

#include <cstring>

#include "guestproof/kvm/abi.h"

namespace guestproof::kvm {
namespace {

/// KVM_STATS_NAME_SIZE of the kernel is 48; generous room against a length that means nothing.
constexpr std::uint32_t kMaxNameSize = 4096;
/// Linux 6.1 has some 60 statistics of a vCPU.
constexpr std::uint32_t kMaxStatistics = 4096;

std::string text(std::span<const std::byte> bytes) {
  const auto* const start = reinterpret_cast<const char*>(bytes.data());
  return {start, ::strnlen(start, bytes.size())};
}

}  // namespace

Result<void> Statistics::read_exactly(std::span<std::byte> out, std::uint64_t offset) const {
  while (!out.empty()) {
    const auto got = ::pread(fd_.get(), out.data(), out.size(), static_cast<::off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(SystemError::kRead, static_cast<std::uint64_t>(errno));
    if (got == 0) return fail(CallError::kStatistics, offset + out.size(), offset);
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

Result<Statistics> Statistics::read(Fd fd) {
  Statistics result(std::move(fd));
  kvm_stats_header header{};
  if (const auto ok = result.read_exactly(std::as_writable_bytes(std::span(&header, 1)), 0); !ok)
    return std::unexpected(ok.error());
  if (header.name_size > kMaxNameSize)
    return fail(CallError::kStatisticsName, header.name_size, kMaxNameSize);
  if (header.num_desc > kMaxStatistics)
    return fail(CallError::kTooManyEntries, header.num_desc, kMaxStatistics);
  result.data_offset_ = header.data_offset;

  std::vector<std::byte> bytes(header.name_size);
  if (const auto ok = result.read_exactly(bytes, header.id_offset); !ok)
    return std::unexpected(ok.error());
  result.id_ = text(bytes);

  const std::size_t stride = sizeof(kvm_stats_desc) + header.name_size;
  bytes.resize(stride * header.num_desc);
  if (const auto ok = result.read_exactly(bytes, header.desc_offset); !ok)
    return std::unexpected(ok.error());
  for (std::span<const std::byte> rest = bytes; !rest.empty(); rest = rest.subspan(stride)) {
    kvm_stats_desc desc;
    std::memcpy(&desc, rest.data(), sizeof desc);
    result.list_.push_back({text(rest.subspan(sizeof desc, header.name_size)), desc.flags,
                            desc.exponent, desc.bucket_size, desc.offset, desc.size});
  }
  return result;
}

Result<std::vector<std::uint64_t>> Statistics::values(const Statistic& statistic) const {
  std::vector<std::uint64_t> values(statistic.count);
  const auto offset = std::uint64_t{data_offset_} + statistic.offset;
  if (const auto ok = read_exactly(std::as_writable_bytes(std::span(values)), offset); !ok)
    return std::unexpected(ok.error());
  return values;
}

}  // namespace guestproof::kvm
