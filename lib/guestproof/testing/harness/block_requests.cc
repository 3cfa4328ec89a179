#include "guestproof/testing/harness/block_requests.h"

#include <algorithm>

#include "guestproof/virtio/device/block/request.h"

namespace guestproof::testing {
namespace {

using namespace virtio::block;

constexpr std::array kKinds{VIRTIO_BLK_T_IN,           VIRTIO_BLK_T_OUT,
                            VIRTIO_BLK_T_FLUSH,        VIRTIO_BLK_T_GET_ID,
                            VIRTIO_BLK_T_DISCARD,      VIRTIO_BLK_T_WRITE_ZEROES,
                            VIRTIO_BLK_T_SECURE_ERASE, VIRTIO_BLK_T_GET_LIFETIME};
constexpr std::uint32_t kNoType = 0x80000000;
constexpr std::uint64_t kMaxDataSectors = 8;

/// What the data of OUT requests are taken from: no two places look alike.
constexpr auto kPattern = [] {
  std::array<std::byte, kMaxDataSectors * kSectorBytes + 256> pattern{};
  std::uint32_t state = 1;
  for (auto& byte : pattern) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>(state >> 24);
  }
  return pattern;
}();

const SegmentLimits& limits_of(std::uint32_t type, const Config& config) {
  if (type == VIRTIO_BLK_T_DISCARD) return config.discard;
  if (type == VIRTIO_BLK_T_WRITE_ZEROES) return config.write_zeroes;
  return config.secure_erase;
}

/// `sector` brought to where `sectors` sectors fit, if they fit at all.
std::uint64_t fitting(std::uint64_t sector, std::uint64_t sectors, std::uint64_t capacity) {
  return sectors > capacity ? 0 : sector % (capacity - sectors + 1);
}

/// `number`, at least 1, brought below a limit of at least 1.
std::uint64_t from_one(std::uint64_t number, std::uint64_t limit) {
  return number == 0 ? 1 : 1 + (number - 1) % std::max<std::uint64_t>(limit, 1);
}

/// Data of an OUT; `bytes` of them if the pattern has as many.
std::span<const std::byte> pattern(const Record& record, std::size_t bytes) {
  const auto from = std::span(kPattern).subspan(record.next % 256);
  return from.first(std::min(bytes, from.size()));
}

}  // namespace

RequestShape BlockRequests::shape(const Record& record, const Config& config,
                                  std::optional<GuestAddress> data) {
  const bool raw = (record.flags & kRequestRaw) != 0;
  const auto kind = record.kind % (kKinds.size() + 1);
  header_ = {};
  header_.type = kind < kKinds.size() ? kKinds[kind] : record.next | (raw ? 0 : kNoType);
  header_.sector = record.value;
  RequestShape shape;
  shape.cut = record.width;
  shape.flags = record.flags;
  shape.data = data;
  shape.writable_tail = 1;
  if (raw)
    ask_raw(record, shape);
  else
    ask_properly(record, config, shape);
  shape.header = std::as_bytes(std::span(&header_, 1));
  if (raw) {
    shape.header = shape.header.first(sizeof header_ - record.index % 32 % 17);
    if ((record.index & 32) != 0) shape.writable_tail = 0;
  }
  return shape;
}

void BlockRequests::ask_properly(const Record& record, const Config& config, RequestShape& shape) {
  const std::uint32_t type = header_.type;
  if (type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_OUT) {
    const auto wanted = from_one((std::uint64_t{record.length} + 511) / 512, kMaxDataSectors);
    const auto sectors = std::min(wanted, std::max<std::uint64_t>(config.capacity, 1));
    header_.sector = fitting(record.value, sectors, config.capacity);
    const auto bytes = static_cast<std::uint32_t>(sectors * kSectorBytes);
    (type == VIRTIO_BLK_T_IN ? shape.writable_data : shape.readable_data) = bytes;
    if (type == VIRTIO_BLK_T_OUT && !shape.data) shape.payload = pattern(record, bytes);
  } else if (type == VIRTIO_BLK_T_FLUSH) {
    header_.sector = 0;
  } else if (type == VIRTIO_BLK_T_GET_ID) {
    shape.writable_data = VIRTIO_BLK_ID_BYTES;
  } else if (changes_data(type)) {
    const auto& limits = limits_of(type, config);
    const auto sectors = std::min(from_one(record.length, limits.max_sectors),
                                  std::max<std::uint64_t>(config.capacity, 1));
    const auto room = std::max<std::uint64_t>(config.capacity / sectors, 1);
    const std::size_t count = 1 + record.extra % limits.max_segments % room;
    for (std::size_t i = 0; i < count; ++i)
      segments_[i] = {.sector = fitting(record.value + i * sectors, sectors, config.capacity),
                      .num_sectors = static_cast<std::uint32_t>(sectors),
                      .flags = type == VIRTIO_BLK_T_WRITE_ZEROES ? record.next & 1U : 0U};
    shape.payload = std::as_bytes(std::span(segments_).first(count));
    shape.readable_data = static_cast<std::uint32_t>(shape.payload.size());
  }
}

void BlockRequests::ask_raw(const Record& record, RequestShape& shape) {
  const std::uint32_t type = header_.type;
  if (type == VIRTIO_BLK_T_OUT) {
    shape.readable_data = record.length;
    shape.writable_data = record.extra % 2048;
    if (!shape.data) shape.payload = pattern(record, record.length);
  } else if (changes_data(type)) {
    const std::uint32_t sectors = record.length, flags = record.next;
    const std::uint64_t step = (record.index & 64) != 0 ? 0 : sectors;
    for (std::size_t i = 0; i < segments_.size(); ++i)
      segments_[i] = {.sector = record.value + i * step, .num_sectors = sectors, .flags = flags};
    shape.readable_data = record.extra % 2048;
    const auto bytes = std::as_bytes(std::span(segments_));
    shape.payload = bytes.first(std::min<std::size_t>(shape.readable_data, bytes.size()));
  } else {
    shape.writable_data = record.length;
    shape.readable_data = record.extra % 2048;
  }
}

}  // namespace guestproof::testing
