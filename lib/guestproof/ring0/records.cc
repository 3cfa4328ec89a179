#include "guestproof/ring0/records.h"

#include <algorithm>
#include <cstring>

#include "guestproof/base/invariant.h"

namespace guestproof::ring0 {
namespace {

/// Applies `part(bytes of the ring, how many of the piece are done)` to [position, position + size)
/// of the ring, in two pieces where it wraps.
template <class Part>
void pieces(Ring& ring, std::uint64_t position, std::size_t size, const Part& part) {
  const auto at = static_cast<std::size_t>(position % Ring::kBytes);
  const auto first = std::min(size, static_cast<std::size_t>(Ring::kBytes) - at);
  part(std::span(ring.bytes).subspan(at, first), 0);
  part(std::span(ring.bytes).first(size - first), first);
}

void copy_in(Ring& ring, std::uint64_t position, std::span<const std::byte> from) {
  pieces(ring, position, from.size(), [&](std::span<std::byte> to, std::size_t done) {
    if (!to.empty()) std::memcpy(to.data(), from.data() + done, to.size());
  });
}

}  // namespace

bool write_record(Ring& ring, std::uint32_t sequence, RecordKind kind,
                  std::span<const std::span<const std::byte>> parts) {
  RecordHeader header{0, kind, sequence};
  for (const auto& part : parts) header.size += static_cast<std::uint32_t>(part.size());
  GUESTPROOF_INVARIANT(header.size <= Ring::kLargestRecord);
  auto position = ring.written.load(std::memory_order_relaxed);
  const auto used = position - ring.read.load(std::memory_order_acquire);
  if (sizeof header + header.size > Ring::kBytes - std::min(used, Ring::kBytes)) return false;
  copy_in(ring, position, bytes_of(header));
  position += sizeof header;
  for (const auto& part : parts) {
    copy_in(ring, position, part);
    position += part.size();
  }
  ring.written.store(position, std::memory_order_release);
  return true;
}

std::unexpected<Error> RingReader::broken(Ring0Error error, std::uint64_t value,
                                          std::uint64_t limit) {
  ring_ = nullptr;
  return fail(error, value, limit);
}

void RingReader::copy_out(std::span<std::byte> to) {
  pieces(*ring_, read_, to.size(), [&](std::span<const std::byte> from, std::size_t done) {
    if (!from.empty()) std::memcpy(to.data() + done, from.data(), from.size());
  });
  read_ += to.size();
}

Result<std::optional<Record>> RingReader::next() {
  if (!ring_) return std::nullopt;
  const auto waiting = ring_->written.load(std::memory_order_acquire) - read_;
  // Whatever a guest has made of it: its writer waits for this.
  ring_->read.store(read_, std::memory_order_release);
  if (waiting == 0) return std::nullopt;
  RecordHeader header;
  if (waiting > Ring::kBytes || waiting < sizeof header)
    return broken(Ring0Error::kRingIndex, waiting, Ring::kBytes);
  copy_out(std::as_writable_bytes(std::span(&header, 1)));
  const auto room = std::min<std::uint64_t>(waiting - sizeof header, Ring::kLargestRecord);
  if (header.size > room) return broken(Ring0Error::kRecordSize, header.size, room);
  if (header.sequence != sequence_)
    return broken(Ring0Error::kRecordLost, header.sequence, sequence_);
  ++sequence_;
  Record record{header.kind, std::vector<std::byte>(header.size)};
  copy_out(record.bytes);
  ring_->read.store(read_, std::memory_order_release);
  return record;
}

}  // namespace guestproof::ring0
