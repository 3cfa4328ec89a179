// On real tap interfaces, in a network namespace of this program's own: nothing of it is seen
// outside, and all of it is gone when the program ends.
#include "guestproof/virtio/device/net/tap_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdarg>

#include "net_fixture.h"
#include "planned_errors.h"

// System calls of a tap, replaced for this program.
namespace {
struct {
  unsigned long request = 0;
  guestproof::PlannedErrors errors;
} requests;
guestproof::PlannedErrors reads, watches, writes;
}  // namespace

extern "C" {
int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list arguments;
  va_start(arguments, request);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  if (request == requests.request && requests.errors.fail()) return -1;
  return static_cast<int>(::syscall(SYS_ioctl, fd, request, argument));
}
int epoll_ctl(int epoll, int what, int fd, ::epoll_event* event) noexcept {
  return watches.fail() ? -1 : static_cast<int>(::syscall(SYS_epoll_ctl, epoll, what, fd, event));
}
::ssize_t read(int fd, void* into, std::size_t size) {
  return reads.fail() ? -1 : ::syscall(SYS_read, fd, into, size);
}
::ssize_t writev(int fd, const ::iovec* parts, int count) {
  return writes.fail() ? -1 : ::syscall(SYS_writev, fd, parts, count);
}
}

namespace guestproof::virtio::net {
namespace {

constexpr std::uint16_t kTestType = 0x88b5;  // for local experiments: not the kernel's own chatter

Bytes test_frame(std::size_t size) {
  auto bytes = frame(size, kEverybody);
  bytes[12] = static_cast<std::byte>(kTestType >> 8);
  bytes[13] = static_cast<std::byte>(kTestType & 0xff);
  return bytes;
}

constexpr std::uint16_t big_endian(std::uint16_t value) {
  return static_cast<std::uint16_t>(value << 8 | value >> 8);
}

/// Why there can be no tap here; empty when there can.
std::string enter_own_network() {
  if (::unshare(CLONE_NEWNET) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
    return std::string("no network namespace: ") + std::strerror(errno);
  // Or the kernel would send frames of its own whenever an interface comes up.
  const Fd ipv6(::open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC));
  if (ipv6.valid() && ::write(ipv6.get(), "1", 1) != 1) return "IPv6 cannot be switched off";
  const auto tap = TapBackend::open("");
  return tap ? std::string() : "no tap interface: " + tap.error().message();
}

/// The host's end of a tap interface, which is up from then on.
class HostEnd {
 public:
  explicit HostEnd(std::string_view name)
      : socket_(
            ::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, big_endian(kTestType))) {
    ::ifreq request{};
    name.copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_flags = IFF_UP;
    EXPECT_EQ(::ioctl(socket_.get(), SIOCSIFFLAGS, &request), 0);
    EXPECT_EQ(::ioctl(socket_.get(), SIOCGIFINDEX, &request), 0);
    ::sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = big_endian(kTestType);
    address.sll_ifindex = request.ifr_ifindex;
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const ::sockaddr*>(&address), sizeof address),
              0);
  }
  void send(const Bytes& bytes) {
    EXPECT_EQ(::send(socket_.get(), bytes.data(), bytes.size(), 0),
              static_cast<::ssize_t>(bytes.size()));
  }
  /// Empty when there is none.
  Bytes receive() {
    Bytes bytes(70000);
    const auto got = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(static_cast<std::size_t>(std::max<::ssize_t>(got, 0)));
    return bytes;
  }

 private:
  Fd socket_;
};

class TapTest : public NetFixture {
 protected:
  static void SetUpTestSuite() {
    static const auto once = enter_own_network();
    obstacle = once;
  }
  void SetUp() override {
    if (!obstacle.empty()) GTEST_SKIP() << obstacle;
  }

  static Result<bool> send(TapBackend& tap, const Bytes& what, VirtioNetHdr header = {},
                           std::uint16_t pair = 0) {
    auto bytes = what;
    const std::array parts{::iovec{&header, sizeof header}, ::iovec{bytes.data(), 5},
                           ::iovec{bytes.data() + 5, bytes.size() - 5}};
    return tap.send(pair, parts);
  }
  /// The next test frame with its header; empty when there is none.
  static Bytes receive(TapBackend& tap, std::uint16_t pair = 0) {
    Bytes bytes(70000);
    while (const auto got = tap.receive(pair, bytes).value())
      if (*got >= 26 && front(after(bytes, 24), 2) == front(after(test_frame(60), 12), 2))
        return front(bytes, *got);
    return {};
  }
  static bool readable(const TapBackend& tap) {
    ::pollfd poll{.fd = tap.host_fd(), .events = POLLIN, .revents = 0};
    return ::poll(&poll, 1, 0) == 1;
  }

  static inline std::string obstacle;
};
GUESTPROOF_ON_BOTH_RINGS(TapTest);

TEST_P(TapTest, SendsAndReceives) {
  auto tap = TapBackend::open("gp0").value();
  HostEnd host_end("gp0");

  EXPECT_TRUE(send(tap, test_frame(100)).value());
  EXPECT_EQ(host_end.receive(), test_frame(100));
  host_end.send(test_frame(60));
  EXPECT_EQ(receive(tap), joined({Bytes(10), bytes_of(le16(0)), test_frame(60)}));
  EXPECT_EQ(receive(tap), Bytes());
}

TEST_P(TapTest, LeavesTheChecksumToTheHost) {
  auto tap = TapBackend::open("gp0").value();
  HostEnd host_end("gp0");
  EXPECT_TRUE(send(tap, test_frame(100),
                   {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16})
                  .value());
  EXPECT_EQ(host_end.receive().size(), 100U);
  // Beyond the frame: the kernel refuses it too.
  EXPECT_EQ(send(tap, test_frame(100),
                 {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 99, .csum_offset = 2})
                .error(),
            Error(SystemError::kWrite, EINVAL));
}

TEST_P(TapTest, IsReadableOnceForWhatIsNew) {
  auto tap = TapBackend::open("gp0").value();
  HostEnd host_end("gp0");
  receive(tap);
  tap.acknowledge();
  EXPECT_FALSE(readable(tap));

  host_end.send(test_frame(60));
  EXPECT_TRUE(readable(tap));
  tap.acknowledge();
  EXPECT_FALSE(readable(tap));  // though the frame is still there
  EXPECT_EQ(receive(tap).size(), 72U);
}

TEST_P(TapTest, AnInterfaceThatIsDownTakesNothing) {
  auto tap = TapBackend::open("gp0").value();
  EXPECT_EQ(send(tap, test_frame(60)).error(), Error(SystemError::kWrite, EIO));
}

TEST_P(TapTest, HasTheOffloadsOfTheKernel) {
  auto tap = TapBackend::open("gp0").value();
  constexpr auto kOld = bits({VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_GUEST_CSUM,
                              VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_ECN});
  EXPECT_EQ(tap.offloads() & kOld, kOld);
  EXPECT_TRUE(tap.set_offloads(tap.offloads() & kGuestOffloads));
  EXPECT_TRUE(tap.set_offloads(bits({VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_USO4})));
  EXPECT_TRUE(tap.set_offloads(0));
  EXPECT_EQ(tap.set_offloads(bits({VIRTIO_NET_F_GUEST_TSO4})).error(),
            Error(TapError::kOffloads, EINVAL));
}

TEST_P(TapTest, HasSeveralQueues) {
  auto tap = TapBackend::open("gp0", 3).value();
  EXPECT_EQ(tap.max_pairs(), 3);
  ASSERT_TRUE(tap.set_pairs(1));
  ASSERT_TRUE(tap.set_pairs(1));
  HostEnd host_end("gp0");
  host_end.send(test_frame(60));
  EXPECT_EQ(receive(tap).size(), 72U);

  ASSERT_TRUE(tap.set_pairs(3));
  for (int i = 0; i < 8; ++i) host_end.send(test_frame(60));
  int received = 0;
  for (std::uint16_t pair = 0; pair < 3; ++pair)
    while (!receive(tap, pair).empty()) ++received;
  EXPECT_EQ(received, 8);
}

TEST_P(TapTest, AFullQueueIsNoError) {
  auto tap = TapBackend::open("gp0").value();
  HostEnd host_end("gp0");
  writes.next = {EAGAIN};
  EXPECT_FALSE(send(tap, test_frame(60)).value());
  EXPECT_EQ(host_end.receive(), Bytes());
  EXPECT_TRUE(send(tap, test_frame(60)).value());
  EXPECT_EQ(host_end.receive(), test_frame(60));
}

TEST_P(TapTest, AFailedReadIsAnError) {
  auto tap = TapBackend::open("gp0").value();
  Bytes bytes(100);
  reads.next = {EIO};
  EXPECT_EQ(tap.receive(0, bytes).error(), Error(SystemError::kRead, EIO));
  EXPECT_EQ(tap.receive(0, bytes), std::nullopt);
}

TEST_P(TapTest, AQueueThatIsNotInUseFails) {
  auto tap = TapBackend::open("gp0", 2).value();
  HostEnd host_end("gp0");
  ASSERT_TRUE(tap.set_pairs(1));
  EXPECT_EQ(send(tap, test_frame(60), {}, 1).error(), Error(SystemError::kWrite, EBADFD));
  Bytes bytes(100);
  EXPECT_EQ(tap.receive(1, bytes).error(), Error(SystemError::kRead, EBADFD));
}

TEST_P(TapTest, GoesOnWithTheQueuesThatItHasWhenTheKernelRefusesOthers) {
  auto tap = TapBackend::open("gp0", 2).value();
  HostEnd host_end("gp0");
  requests = {.request = TUNSETQUEUE, .errors = {{EPERM, 0, EBUSY}}};
  EXPECT_EQ(tap.set_pairs(1).error(), Error(TapError::kQueue, EPERM));
  EXPECT_TRUE(send(tap, test_frame(60), {}, 1).value());
  ASSERT_TRUE(tap.set_pairs(1));
  EXPECT_EQ(tap.set_pairs(2).error(), Error(TapError::kQueue, EBUSY));
  EXPECT_EQ(send(tap, test_frame(60), {}, 1).error(), Error(SystemError::kWrite, EBADFD));
  ASSERT_TRUE(tap.set_pairs(2));
  EXPECT_TRUE(send(tap, test_frame(60), {}, 1).value());
}

TEST_P(TapTest, AChangeThatTheKernelRefusesHalfWayIsTakenBack) {
  auto tap = TapBackend::open("gp0", 3).value();
  HostEnd host_end("gp0");
  requests = {.request = TUNSETQUEUE, .errors = {{0, EPERM}}};
  EXPECT_EQ(tap.set_pairs(1).error(), Error(TapError::kQueue, EPERM));
  for (std::uint16_t pair = 0; pair < 3; ++pair)
    EXPECT_TRUE(send(tap, test_frame(60), {}, pair).value());
  ASSERT_TRUE(tap.set_pairs(1));
  requests.errors = {{0, EBUSY}};
  EXPECT_EQ(tap.set_pairs(3).error(), Error(TapError::kQueue, EBUSY));
  EXPECT_EQ(send(tap, test_frame(60), {}, 1).error(), Error(SystemError::kWrite, EBADFD));
  ASSERT_TRUE(tap.set_pairs(3));
}

TEST_P(TapTest, AnOldKernelDoesNotSegmentUdp) {
  requests = {.request = TUNSETOFFLOAD, .errors = {{EINVAL}}};
  const auto tap = TapBackend::open("gp0").value();
  constexpr auto kUdp =
      bits({VIRTIO_NET_F_HOST_USO, VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_USO6});
  EXPECT_EQ(tap.offloads(), (kHostOffloads | kGuestOffloads) & ~kUdp);
}

TEST_P(TapTest, WhatTheKernelCannotDoIsAnError) {
  const auto refusal = [](unsigned long request, std::vector<int> errors) {
    requests = {.request = request, .errors = {std::move(errors)}};
    return TapBackend::open("gp0").error();
  };
  EXPECT_EQ(refusal(TUNSETVNETHDRSZ, {EINVAL}), Error(TapError::kHeader, EINVAL));
  EXPECT_EQ(refusal(TUNSETVNETLE, {EINVAL}), Error(TapError::kHeader, EINVAL));
  EXPECT_EQ(refusal(FIONBIO, {ENOTTY}), Error(TapError::kPoll, ENOTTY));
  EXPECT_EQ(refusal(TUNSETOFFLOAD, {EINVAL, EINVAL}), Error(TapError::kOffloads, EINVAL));
  watches.next = {ENOSPC};
  EXPECT_EQ(TapBackend::open("gp0").error(), Error(TapError::kPoll, ENOSPC));
  EXPECT_TRUE(TapBackend::open("gp0"));
}

TEST_P(TapTest, AProcessWithoutDescriptorsLeftHasNoTap) {
  std::vector<Fd> queues;
  queues.emplace_back(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  ::rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const ::rlimit none{0, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto opened = TapBackend::open("gp0");
  const auto created = TapBackend::create(std::move(queues));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(opened.error(), Error(SystemError::kOpen, EMFILE));
  EXPECT_EQ(created.error(), Error(TapError::kPoll, EMFILE));
}

TEST_P(TapTest, RefusesWhatIsNoTapOfItsKind) {
  EXPECT_EQ(TapBackend::open("a-name-of-16-byt").error(), Error(TapError::kName, 16, 15));
  EXPECT_EQ(TapBackend::open("gp0", 0).error(), Error(NetConfigError::kPairs, 0, kMaxPairs));
  EXPECT_EQ(TapBackend::open("gp0", kMaxPairs + 1).error(),
            Error(NetConfigError::kPairs, kMaxPairs + 1, kMaxPairs));
  EXPECT_EQ(TapBackend::create({}).error(), NetConfigError::kPairs);
  const auto tap = TapBackend::open("gp0").value();
  EXPECT_EQ(TapBackend::open("gp0").error(), Error(TapError::kInterface, EBUSY));

  std::vector<Fd> null;
  null.emplace_back(::open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(TapBackend::create(std::move(null)).error(), TapError::kInterface);

  std::vector<Fd> tun;
  tun.emplace_back(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  ::ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  ASSERT_EQ(::ioctl(tun.front().get(), TUNSETIFF, &request), 0);
  EXPECT_EQ(TapBackend::create(std::move(tun)).error(), TapError::kFlags);
}

TEST_P(TapTest, CarriesTheFramesOfADevice) {
  auto tap = TapBackend::open("gp0", 2).value();
  HostEnd host_end("gp0");
  constexpr auto kOffered = bits({VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4,
                                  VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4,
                                  VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_MQ});
  make_on(tap, kOffered, 2);
  negotiate(kOffered);
  while (!receive(tap).empty()) continue;

  const auto out = joined({bytes_of(VirtioNetHdr{}), test_frame(1514)});
  write(kOut, out);
  drivers[kTx].add_chain(cut(kOut, {3, 30, 1493}, false));
  EXPECT_FALSE(kick(kTx));
  EXPECT_EQ(host_end.receive(), test_frame(1514));

  for (std::uint32_t i = 0; i < 8; ++i) add_rx(1000, plus(kIn, 0x400U * i));
  host_end.send(test_frame(1400));
  EXPECT_TRUE(readable(tap));
  EXPECT_FALSE(host_ready());
  EXPECT_EQ(used(kRx), 1000U);
  EXPECT_EQ(used(kRx), 412U);
  EXPECT_EQ(read(kIn, 1000),
            joined({bytes_of(VirtioNetHdr{.num_buffers = 2}), front(test_frame(1400), 988)}));
  EXPECT_EQ(read(plus(kIn, 0x400), 412), after(test_frame(1400), 988));
  lifecycle.reset();
}

}  // namespace
}  // namespace guestproof::virtio::net
