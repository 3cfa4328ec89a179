#include "guestproof/virtio/device/net/tap_backend.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace guestproof::virtio::net {
namespace {

constexpr int kFlags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;

// Newer than the kernel headers that this may be compiled with.
constexpr unsigned kUso4 = 0x20;
constexpr unsigned kUso6 = 0x40;

constexpr std::array kTapOffloads{
    std::pair{VIRTIO_NET_F_GUEST_CSUM, unsigned{TUN_F_CSUM}},
    std::pair{VIRTIO_NET_F_GUEST_TSO4, unsigned{TUN_F_TSO4}},
    std::pair{VIRTIO_NET_F_GUEST_TSO6, unsigned{TUN_F_TSO6}},
    std::pair{VIRTIO_NET_F_GUEST_ECN, unsigned{TUN_F_TSO_ECN}},
    std::pair{VIRTIO_NET_F_GUEST_UFO, unsigned{TUN_F_UFO}},
    std::pair{VIRTIO_NET_F_GUEST_USO4, kUso4},
    std::pair{VIRTIO_NET_F_GUEST_USO6, kUso6},
};

template <ErrorEnum E>
std::unexpected<Error> failed(E what) {
  return fail(what, static_cast<std::uint64_t>(errno));
}

/// Of virtio-net's bits, as TUNSETOFFLOAD has them.
unsigned tap_offloads(std::uint64_t guest) {
  unsigned bits = 0;
  for (const auto& [feature, bit] : kTapOffloads)
    if ((guest & feature_bit(feature)) != 0) bits |= bit;
  return (bits & (kUso4 | kUso6)) == (kUso4 | kUso6) ? bits : bits & ~(kUso4 | kUso6);
}

int set_tap_offloads(const Fd& queue, std::uint64_t guest) {
  return ::ioctl(queue.get(), TUNSETOFFLOAD, static_cast<unsigned long>(tap_offloads(guest)));
}

Result<void> check_pairs(std::size_t pairs) {
  if (pairs < 1 || pairs > kMaxPairs) return fail(NetConfigError::kPairs, pairs, kMaxPairs);
  return {};
}

/// A queue of the interface that `request` names, whose name is filled in.
Result<Fd> open_queue(::ifreq& request) {
  Fd queue(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!queue.valid()) return failed(SystemError::kOpen);
  if (::ioctl(queue.get(), TUNSETIFF, &request) != 0) return failed(TapError::kInterface);
  return queue;
}

Result<void> prepare_queue(const Fd& queue, int flags) {
  ::ifreq request{};
  if (::ioctl(queue.get(), TUNGETIFF, &request) != 0) return failed(TapError::kInterface);
  const auto has = static_cast<unsigned short>(request.ifr_flags);
  if ((has & flags) != flags) return fail(TapError::kFlags, has, static_cast<unsigned>(flags));
  const int header = sizeof(VirtioNetHdr);
  const int on = 1;
  if (::ioctl(queue.get(), TUNSETVNETHDRSZ, &header) != 0 ||
      ::ioctl(queue.get(), TUNSETVNETLE, &on) != 0)
    return failed(TapError::kHeader);
  if (::ioctl(queue.get(), FIONBIO, &on) != 0) return failed(TapError::kPoll);
  return {};
}

}  // namespace

Result<TapBackend> TapBackend::open(std::string_view name, std::uint16_t pairs) {
  if (const auto ok = check_pairs(pairs); !ok) return std::unexpected(ok.error());
  if (name.size() >= IFNAMSIZ) return fail(TapError::kName, name.size(), IFNAMSIZ - 1);
  ::ifreq request{};
  std::ranges::copy(name, request.ifr_name);
  request.ifr_flags = static_cast<short>(kFlags | (pairs > 1 ? IFF_MULTI_QUEUE : 0));
  std::vector<Fd> queues;
  while (queues.size() < pairs) {
    auto queue = open_queue(request);
    if (!queue) return std::unexpected(queue.error());
    queues.push_back(std::move(*queue));
  }
  return create(std::move(queues));
}

Result<TapBackend> TapBackend::create(std::vector<Fd> queues) {
  if (const auto ok = check_pairs(queues.size()); !ok) return std::unexpected(ok.error());
  Fd poll(::epoll_create1(EPOLL_CLOEXEC));
  if (!poll.valid()) return failed(TapError::kPoll);
  TapBackend tap(std::move(queues), std::move(poll));
  if (const auto ok = tap.prepare(); !ok) return std::unexpected(ok.error());
  return tap;
}

Result<void> TapBackend::prepare() {
  pairs_ = max_pairs();
  for (const auto& queue : queues_) {
    if (const auto ok = prepare_queue(queue, kFlags | (pairs_ > 1 ? IFF_MULTI_QUEUE : 0)); !ok)
      return ok;
    ::epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {}};
    if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, queue.get(), &event) != 0)
      return failed(TapError::kPoll);
  }
  segments_udp_ = set_tap_offloads(queues_.front(), kGuestOffloads) == 0;
  return set_offloads(0);
}

std::uint64_t TapBackend::offloads() const {
  constexpr auto kUdp = feature_bit(VIRTIO_NET_F_HOST_USO) | feature_bit(VIRTIO_NET_F_GUEST_USO4) |
                        feature_bit(VIRTIO_NET_F_GUEST_USO6);
  constexpr auto kAll = kHostOffloads | kGuestOffloads;
  return segments_udp_ ? kAll : kAll & ~kUdp;
}

Result<void> TapBackend::set_offloads(std::uint64_t guest) {
  // The interface's, whichever queue is asked.
  if (set_tap_offloads(queues_.front(), guest) != 0) return failed(TapError::kOffloads);
  return {};
}

Result<void> TapBackend::set_pairs(std::uint16_t pairs) {
  const auto before = pairs_;
  const auto done = attach(pairs);
  // If the kernel refuses this too, fewer pairs are in use than before, or more.
  if (!done) static_cast<void>(attach(before));
  return done;
}

Result<void> TapBackend::attach(std::uint16_t pairs) {
  const auto set = [&](std::uint16_t pair, int flag) {
    ::ifreq request{};
    request.ifr_flags = static_cast<short>(flag);
    return ::ioctl(queues_[pair].get(), TUNSETQUEUE, &request) == 0;
  };
  for (; pairs_ < pairs; ++pairs_)
    if (!set(pairs_, IFF_ATTACH_QUEUE)) return failed(TapError::kQueue);
  for (; pairs_ > pairs; --pairs_)
    if (!set(static_cast<std::uint16_t>(pairs_ - 1), IFF_DETACH_QUEUE))
      return failed(TapError::kQueue);
  return {};
}

// The queues are non-blocking: no signal interrupts the next two. A queue that is detached the
// kernel would go on with.

Result<bool> TapBackend::send(std::uint16_t pair, std::span<const ::iovec> parts) {
  if (pair >= pairs_) return fail(SystemError::kWrite, EBADFD);
  const auto put = ::writev(queues_[pair].get(), parts.data(), static_cast<int>(parts.size()));
  if (put >= 0) return true;
  if (errno == EAGAIN) return false;
  return failed(SystemError::kWrite);
}

Result<std::optional<std::size_t>> TapBackend::receive(std::uint16_t pair,
                                                       std::span<std::byte> into) {
  if (pair >= pairs_) return fail(SystemError::kRead, EBADFD);
  const auto got = ::read(queues_[pair].get(), into.data(), into.size());
  if (got >= 0) return static_cast<std::size_t>(got);
  if (errno == EAGAIN) return std::nullopt;
  return failed(SystemError::kRead);
}

void TapBackend::acknowledge() {
  std::array<::epoll_event, kMaxPairs> events;
  static_cast<void>(::epoll_wait(poll_.get(), events.data(), events.size(), 0));
}

}  // namespace guestproof::virtio::net
