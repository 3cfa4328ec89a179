#include "guestproof/virtio/device/block/execution.h"

#include <algorithm>
#include <climits>

#include "guestproof/base/invariant.h"
#include "guestproof/virtio/device/block/error.h"
#include "guestproof/virtio/device/block/request.h"

namespace guestproof::virtio::block {
namespace {

using Kind = Operation::Kind;

/// As many as one operation takes: the room that one guest's long chains took is not kept.
constexpr std::size_t kKeptParts = IOV_MAX;

std::uint64_t bytes_in(std::span<const ::iovec> parts) {
  std::uint64_t sum = 0;
  for (const auto& part : parts) sum += part.iov_len;
  return sum;
}

}  // namespace

void Execution::begin(std::uint32_t type, std::uint64_t sector) {
  type_ = type;
  offset_ = sector * kSectorBytes;
  bytes_ = 0;
  error_.reset();
  next_part_ = next_segment_ = 0;
  flushed_ = false;
  if (parts_.capacity() > kKeptParts) parts_ = {};
  parts_.clear();
  segments_.clear();
}

const Operation* Execution::next(Policy policy) {
  const bool more = !error_ && (next_transfer() || next_range(policy.may_unmap) ||
                                next_flush(policy.write_through));
  return more ? &operation_ : nullptr;
}

bool Execution::next_transfer() {
  const auto left = std::span(parts_).subspan(next_part_);
  if (left.empty()) return false;
  operation_.kind = type_ == VIRTIO_BLK_T_IN ? Kind::kRead : Kind::kWrite;
  operation_.offset = offset_ + bytes_;
  operation_.parts = left.first(std::min<std::size_t>(left.size(), IOV_MAX));
  return true;
}

bool Execution::next_range(bool may_unmap) {
  while (next_segment_ != segments_.size() && segments_[next_segment_].num_sectors == 0)
    ++next_segment_;
  if (next_segment_ == segments_.size()) return false;
  const auto& segment = segments_[next_segment_];
  operation_.kind = type_ == VIRTIO_BLK_T_DISCARD        ? Kind::kDiscard
                    : type_ == VIRTIO_BLK_T_SECURE_ERASE ? Kind::kSecureErase
                                                         : Kind::kWriteZeroes;
  operation_.may_unmap = (segment.flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP) != 0 && may_unmap;
  operation_.offset = segment.sector * kSectorBytes;
  operation_.length = segment.num_sectors * kSectorBytes;
  return true;
}

bool Execution::next_flush(bool write_through) {
  const bool stable = type_ == VIRTIO_BLK_T_FLUSH || (changes_data(type_) && write_through);
  if (!stable || flushed_) return false;
  operation_.kind = Kind::kFlush;
  return true;
}

void Execution::took(const OperationResult& result) {
  if (!result) {
    error_ = result.error();
    return;
  }
  switch (operation_.kind) {
    case Kind::kRead:
    case Kind::kWrite:
      return moved(*result);
    case Kind::kFlush:
      flushed_ = true;
      return;
    default:
      bytes_ += operation_.length;
      ++next_segment_;
  }
}

/// Goes on behind the bytes that were moved; the part in which they end is cut.
void Execution::moved(std::size_t bytes) {
  if (bytes == 0) {
    error_.emplace(BlockError::kNoProgress, bytes_,
                   bytes_ + bytes_in(std::span(parts_).subspan(next_part_)));
    return;
  }
  bytes_ += bytes;
  for (; next_part_ != parts_.size() && bytes >= parts_[next_part_].iov_len; ++next_part_)
    bytes -= parts_[next_part_].iov_len;
  if (bytes == 0) return;
  GUESTPROOF_INVARIANT(next_part_ != parts_.size());
  auto& cut = parts_[next_part_];
  cut = {static_cast<std::byte*>(cut.iov_base) + bytes, cut.iov_len - bytes};
}

}  // namespace guestproof::virtio::block
