#include "guestproof/virtio/device/block/device.h"

#include <algorithm>
#include <climits>

namespace guestproof::virtio::block {
namespace {

/// What is left of `parts` behind their first `bytes` bytes. Changes the part that is cut.
std::span<::iovec> drop_front(std::span<::iovec> parts, std::size_t bytes) {
  while (!parts.empty() && bytes >= parts.front().iov_len) {
    bytes -= parts.front().iov_len;
    parts = parts.subspan(1);
  }
  if (bytes != 0) {
    GUESTPROOF_INVARIANT(!parts.empty());
    auto& cut = parts.front();
    cut = {static_cast<std::byte*>(cut.iov_base) + bytes, cut.iov_len - bytes};
  }
  return parts;
}

std::uint64_t bytes_in(std::span<const ::iovec> parts) {
  std::uint64_t sum = 0;
  for (const auto& part : parts) sum += part.iov_len;
  return sum;
}

}  // namespace

Result<Device> Device::create(const Config& config, Backend& backend) {
  if (const auto ok = config.check(); !ok) return std::unexpected(ok.error());
  if (const auto wanted = config.capacity * kSectorBytes; backend.size() < wanted)
    return fail(BlockConfigError::kBackendTooSmall, backend.size(), wanted);
  if (backend.read_only() && !config.read_only) return fail(BlockConfigError::kBackendReadOnly);
  return Device(config, backend);
}

Device::Device(const Config& config, Backend& backend) : config_(config), backend_(&backend) {
  iovecs_.reserve(IOV_MAX);
  segments_.reserve(std::max({config.discard.max_segments, config.write_zeroes.max_segments,
                              config.secure_erase.max_segments}));
}

Result<void> Device::transfer(Direction direction, std::uint64_t offset, std::uint64_t& moved) {
  std::span left(iovecs_);
  while (!left.empty()) {
    const auto batch = left.first(std::min<std::size_t>(left.size(), IOV_MAX));
    const auto step = direction == Direction::kFromBackend
                          ? backend_->read_at(batch, offset + moved)
                          : backend_->write_at(batch, offset + moved);
    if (!step) return std::unexpected(step.error());
    if (*step == 0) return fail(BlockError::kNoProgress, moved, moved + bytes_in(left));
    moved += *step;
    left = drop_front(left, *step);
  }
  return {};
}

Result<void> Device::change_segment(std::uint32_t type,
                                    const VirtioBlkDiscardWriteZeroes& segment) {
  const auto offset = segment.sector * kSectorBytes;
  const auto length = segment.num_sectors * kSectorBytes;
  if (type == VIRTIO_BLK_T_DISCARD) return backend_->discard(offset, length);
  if (type == VIRTIO_BLK_T_SECURE_ERASE) return backend_->secure_erase(offset, length);
  const bool unmap = (segment.flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP) != 0;
  return backend_->write_zeroes(offset, length, unmap && config_.write_zeroes_may_unmap);
}

}  // namespace guestproof::virtio::block
