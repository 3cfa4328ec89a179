#include "guestproof/ring0/channel.h"

#include <poll.h>

#include <memory>

#include "guestproof/memory/mapped_memory.h"

namespace guestproof::ring0 {
namespace {

/// Two writers may wait for one bell: the one that does not hear it looks again after so long.
constexpr int kMilliseconds = 10;

}  // namespace

Result<Channel> Channel::create(std::uint32_t rings) {
  const auto page = host_page_size();
  const auto size = (rings * sizeof(Ring) + page - 1) / page * page;
  auto area = Area::create(size, Area::Sharing::kShared);
  if (!area) return std::unexpected(area.error());
  auto full = EventFd::create();
  if (!full) return std::unexpected(full.error());
  auto room = EventFd::create();
  if (!room) return std::unexpected(room.error());
  auto* const first = reinterpret_cast<Ring*>(area->bytes().data());
  std::uninitialized_default_construct_n(first, rings);
  return Channel(std::move(*area), {first, rings}, std::move(*full), std::move(*room));
}

bool Channel::try_put(std::uint32_t ring, RecordKind kind,
                      std::span<const std::span<const std::byte>> parts) const {
  if (!write_record(rings_[ring], sequences_[ring], kind, parts)) return false;
  ++sequences_[ring];
  return true;
}

void Channel::put(std::uint32_t ring, RecordKind kind,
                  std::span<const std::span<const std::byte>> parts) const {
  while (!try_put(ring, kind, parts)) drain();
}

void Channel::drain() const {
  full_.notify();
  ::pollfd room{room_.get(), POLLIN, 0};
  if (::poll(&room, 1, kMilliseconds) > 0) static_cast<void>(room_.take());
}

void Channel::drained() const {
  static_cast<void>(full_.take());
  room_.notify();
}

}  // namespace guestproof::ring0
