#include "guestproof/virtio/device/console/fd_port.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "guestproof/virtio/device/console/port_poll.h"
#include "planned_errors.h"
#include "print.h"

// The system calls of a port, replaced for this program.
namespace {
guestproof::PlannedErrors reads, writes;
}  // namespace

extern "C" {
::ssize_t read(int fd, void* into, std::size_t size) {
  return reads.fail() ? -1 : ::syscall(SYS_read, fd, into, size);
}
::ssize_t write(int fd, const void* from, std::size_t size) {
  return writes.fail() ? -1 : ::syscall(SYS_write, fd, from, size);
}
}

namespace guestproof::virtio::console {
namespace {

using WhenFull = FdPort::WhenFull;

struct Pipe {
  Pipe() {
    std::array<int, 2> raw;
    EXPECT_EQ(::pipe(raw.data()), 0);
    from = Fd(raw[0]);
    to = Fd(raw[1]);
  }
  Fd from, to;
};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}
/// What a port gives at once.
std::string read_from(FdPort& port) {
  std::array<std::byte, 64> bytes;
  const auto got = port.read(bytes);
  EXPECT_TRUE(got);
  return {reinterpret_cast<const char*>(bytes.data()), got.value_or(0)};
}
std::string read_from(const Fd& fd) {
  std::array<char, 64> bytes;
  const auto got = ::read(fd.get(), bytes.data(), bytes.size());
  return {bytes.data(), got < 0 ? 0 : static_cast<std::size_t>(got)};
}

TEST(FdPortTest, PassesBytesBothWays) {
  Pipe in, out;
  auto port = FdPort::create(std::move(in.from), std::move(out.to), WhenFull::kWait).value();
  EXPECT_EQ(read_from(*port), "");
  ASSERT_EQ(::write(in.to.get(), "hello", 5), 5);
  EXPECT_EQ(read_from(*port), "hello");
  EXPECT_EQ(port->write(bytes_of("you")), 3U);
  EXPECT_EQ(read_from(out.from), "you");
  port->emergency(std::byte{'!'});
  EXPECT_EQ(read_from(out.from), "!");
}

TEST(FdPortTest, AFullOutputIsWaitedForOrDroppedInto) {
  for (const auto when_full : {WhenFull::kWait, WhenFull::kDrop}) {
    Pipe out;
    auto port = FdPort::create(Fd(), std::move(out.to), when_full).value();
    const std::vector<std::byte> page(4096);
    std::size_t taken = 0;
    for (int i = 0; i < 1000 && taken < (4U << 20); ++i) {
      const auto more = port->write(page);
      ASSERT_TRUE(more);
      if (*more == 0) break;
      taken += *more;
    }
    if (when_full == WhenFull::kWait)
      EXPECT_LT(taken, 1000U * 4096);
    else
      EXPECT_EQ(taken, 1000U * 4096);
  }
}

TEST(FdPortTest, AnInputThatEndsIsNotWaitedForAnyMore) {
  Pipe in;
  auto port = FdPort::create(std::move(in.from), Fd(), WhenFull::kWait).value();
  EXPECT_GE(port->input_fd(), 0);
  in.to = Fd();
  EXPECT_EQ(read_from(*port), "");
  EXPECT_EQ(port->input_fd(), -1);
  EXPECT_EQ(read_from(*port), "");
}

TEST(FdPortTest, ErrorsAreSaidOnceAndEndThatDirection) {
  ::signal(SIGPIPE, SIG_IGN);
  Pipe in, out;
  // A descriptor of the wrong direction fails at once.
  auto port = FdPort::create(std::move(in.to), std::move(out.to), WhenFull::kWait).value();
  std::array<std::byte, 4> bytes{};
  EXPECT_EQ(port->read(bytes).error(), Error(SystemError::kRead, EBADF));
  EXPECT_EQ(port->read(bytes), 0U);
  out.from = Fd();
  EXPECT_EQ(port->write(bytes).error(), Error(SystemError::kWrite, EPIPE));
  EXPECT_EQ(port->output_fd(), -1);
  EXPECT_EQ(port->write(bytes), 4U);
}

TEST(FdPortTest, WithoutAnOutputBytesAreDropped) {
  auto port = FdPort::create(Fd(), Fd(), WhenFull::kWait).value();
  EXPECT_EQ(port->write(bytes_of("gone")), 4U);
  EXPECT_EQ(read_from(*port), "");
  EXPECT_EQ(port->input_fd(), -1);
}

TEST(FdPortTest, LeavesTheOpenFileAsItWas) {
  Pipe in;
  const auto copy = in.from.duplicate().value();
  const auto before = ::fcntl(copy.get(), F_GETFL);
  auto port = FdPort::create(std::move(in.from), Fd(), WhenFull::kWait).value();
  EXPECT_EQ(::fcntl(copy.get(), F_GETFL), before | O_NONBLOCK);
  port.reset();
  EXPECT_EQ(::fcntl(copy.get(), F_GETFL), before);
}

TEST(FdPortTest, WhatIsNoOpenFileIsRefused) {
  Fd closed(::dup(0));
  const int number = closed.get();
  ::close(number);
  EXPECT_EQ(FdPort::create(std::move(closed), Fd(), WhenFull::kWait).error(),
            Error(SystemError::kOpen, EBADF));
}

TEST(FdPortTest, WhatCannotBeMadeNonBlockingIsRefused) {
  const Error refusal(SystemError::kOpen, EBADF);
  EXPECT_EQ(FdPort::create(Fd(::open("/", O_PATH | O_CLOEXEC)), Fd(), WhenFull::kWait).error(),
            refusal);
  Pipe in;
  const auto copy = in.from.duplicate().value();
  const auto before = ::fcntl(copy.get(), F_GETFL);
  EXPECT_EQ(FdPort::create(std::move(in.from), Fd(::open("/", O_PATH | O_CLOEXEC)), WhenFull::kWait)
                .error(),
            refusal);
  EXPECT_EQ(::fcntl(copy.get(), F_GETFL), before);
}

TEST(FdPortTest, CallsThatASignalInterruptsAreMadeAgain) {
  Pipe in, out;
  auto port = FdPort::create(std::move(in.from), std::move(out.to), WhenFull::kWait).value();
  ASSERT_EQ(::write(in.to.get(), "hello", 5), 5);
  reads.next = {EINTR, EINTR};
  EXPECT_EQ(read_from(*port), "hello");
  writes.next = {EINTR, EINTR};
  EXPECT_EQ(port->write(bytes_of("you")), 3U);
  EXPECT_EQ(read_from(out.from), "you");
}

bool readable(const PortPoll& poll) {
  ::epoll_event event;
  return ::epoll_wait(poll.get(), &event, 1, 0) == 1;
}

TEST(PortPollTest, IsReadableWhileAPortIsReadyThatIsWaitedFor) {
  auto poll = PortPoll::create().value();
  Pipe in, out;
  ASSERT_TRUE(poll.wait_for(1, PortPoll::Direction::kInput, in.from.get()));
  EXPECT_FALSE(readable(poll));
  ASSERT_EQ(::write(in.to.get(), "x", 1), 1);
  EXPECT_TRUE(readable(poll));
  ASSERT_TRUE(poll.wait_for(1, PortPoll::Direction::kInput, in.from.get()));
  EXPECT_TRUE(readable(poll));
  ASSERT_TRUE(poll.wait_for(1, PortPoll::Direction::kInput, -1));
  EXPECT_FALSE(readable(poll));
  ASSERT_TRUE(poll.wait_for(0, PortPoll::Direction::kOutput, out.to.get()));
  EXPECT_TRUE(readable(poll));
}

TEST(PortPollTest, FilesAreAlwaysReadyAndNotWaitedFor) {
  auto poll = PortPoll::create().value();
  const Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(file.valid());
  EXPECT_TRUE(poll.wait_for(0, PortPoll::Direction::kInput, file.get()));
  EXPECT_FALSE(readable(poll));
}

TEST(PortPollTest, WhatIsNoDescriptorIsRefused) {
  auto poll = PortPoll::create().value();
  EXPECT_EQ(poll.wait_for(0, PortPoll::Direction::kInput, 1 << 20).error(),
            Error(SystemError::kWatch, EBADF));
}

}  // namespace
}  // namespace guestproof::virtio::console
