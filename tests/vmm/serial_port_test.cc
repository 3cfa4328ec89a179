#include "vmm/serial_port.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <utility>

#include "pipe.h"

namespace guestproof::vmm {
namespace {

class Line final : public InterruptLine {
 public:
  void set(bool asserted) override { high = asserted; }
  std::atomic<bool> high = false;
};

/// A port between pipes, and the loop that serves it on a thread of its own.
class SerialPortTest : public testing::Test {
 protected:
  SerialPortTest() {
    auto [in_reader, in_writer] = make_pipe();
    input = std::move(in_reader);
    typing = std::move(in_writer);
    auto [out_reader, out_writer] = make_pipe();
    screen = std::move(out_reader);
    output = std::move(out_writer);
  }
  ~SerialPortTest() override { stop(); }
  void create(std::function<void()> leave = {}) {
    port = SerialPort::create({input.get(), output.get(), std::move(leave)}, line, *loop).value();
  }
  void start(std::function<void()> leave = {}) {
    create(std::move(leave));
    serving = std::thread([this] { EXPECT_TRUE(loop->run()); });
  }
  void stop() {
    if (!serving.joinable()) return;
    loop->stop();
    serving.join();
  }
  void type(std::string_view text) const {
    EXPECT_EQ(::write(typing.get(), text.data(), text.size()), static_cast<::ssize_t>(text.size()));
  }
  std::uint8_t in(std::uint64_t offset) {
    std::byte value{};
    EXPECT_TRUE(port->read(offset, std::span(&value, 1)));
    return std::to_integer<std::uint8_t>(value);
  }
  void out(std::uint64_t offset, std::uint8_t value) {
    const std::byte byte{value};
    EXPECT_TRUE(port->write(offset, std::span(&byte, 1)));
  }
  /// What a driver that polls reads until it has so many bytes.
  std::string poll(std::size_t bytes) {
    std::string text;
    while (text.size() < bytes)
      if ((in(5) & 1) != 0) text += static_cast<char>(in(0));
    return text;
  }

  std::unique_ptr<EventLoop> loop = EventLoop::create().value();
  Line line;
  Fd input, typing, screen, output;
  std::unique_ptr<SerialPort> port;
  std::thread serving;
};

TEST_F(SerialPortTest, WhatTheGuestSendsIsWritten) {
  start();
  for (const char each : std::string_view("hello")) out(0, static_cast<std::uint8_t>(each));
  std::array<char, 5> text{};
  for (std::size_t done = 0; done < text.size();)
    done += static_cast<std::size_t>(::read(screen.get(), text.data() + done, text.size() - done));
  EXPECT_EQ(std::string_view(text.data(), text.size()), "hello");
}

TEST_F(SerialPortTest, MoreInputThanTheFifoHoldsArrivesWhole) {
  start();
  out(2, 1);  // FIFOs on
  std::string typed;
  for (int i = 0; i < 5000; ++i) typed += static_cast<char>('a' + i % 23);
  type(typed);
  EXPECT_EQ(poll(typed.size()), typed);
}

TEST_F(SerialPortTest, InputInterrupts) {
  start();
  out(1, 1);
  EXPECT_FALSE(line.high);
  type("x");
  while (!line.high) std::this_thread::yield();
  EXPECT_EQ(poll(1), "x");
  EXPECT_FALSE(line.high);
}

// An end that was still watched is readable for ever, and would keep the loop busy.
TEST_F(SerialPortTest, TheEndOfInputIsNothing) {
  type("x");
  typing = Fd();
  create();
  // Always ready, so that each round of the loop comes here; nothing takes more than a few.
  const auto tick = EventFd::create().value();
  tick.notify();
  std::string text;
  int rounds = 0;
  ASSERT_TRUE(loop->watch(tick.get(), [&] {
    if ((in(5) & 1) != 0) text += static_cast<char>(in(0));
    if (++rounds == 20) loop->stop();
  }));
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(text, "x");
  EXPECT_TRUE(loop->watch(input.get(), [] {})) << "it is still watched";
}

TEST_F(SerialPortTest, AFileIsReadAsTheGuestHasRoom) {
  input = Fd(::memfd_create("typed", MFD_CLOEXEC));
  ASSERT_TRUE(input.valid());
  std::string typed;
  for (int i = 0; i < 10000; ++i) typed += static_cast<char>('a' + i % 23);
  ASSERT_EQ(::pwrite(input.get(), typed.data(), typed.size(), 0),
            static_cast<::ssize_t>(typed.size()));
  start();
  EXPECT_EQ(poll(typed.size()), typed);
}

TEST_F(SerialPortTest, TheEscapeOfATerminalLeaves) {
  std::atomic<bool> left = false;
  start([&] { left = true; });
  type("a\1b\1x");
  while (!left) std::this_thread::yield();
  EXPECT_EQ(poll(3), "a\1b");
}

// Typed one by one, by somebody who waits for an answer.
TEST_F(SerialPortTest, TheEscapeLeavesAGuestThatDoesNotListen) {
  std::atomic<bool> left = false;
  start([&] { left = true; });
  for (const char* key : {"l", "s", "\r", "\1", "x"}) {
    type(key);
    int unread = 1;
    while (unread != 0) ASSERT_EQ(::ioctl(input.get(), FIONREAD, &unread), 0);
  }
  while (!left) std::this_thread::yield();
}

TEST_F(SerialPortTest, ATerminalsInputIsKeptUpToALine) {
  std::atomic<bool> left = false;
  start([&] { left = true; });
  type(std::string(2 * SerialPort::kTyped, 'y') + "\1x");
  while (!left) std::this_thread::yield();
  // One is in the receiver already.
  EXPECT_EQ(poll(SerialPort::kTyped + 1), std::string(SerialPort::kTyped + 1, 'y'));
  type("z");
  EXPECT_EQ(poll(1), "z");
}

TEST_F(SerialPortTest, AVcpuWaitsForASlowReader) {
  constexpr int kPipe = 4096;
  ASSERT_EQ(::fcntl(output.get(), F_SETPIPE_SZ, kPipe), kPipe);
  constexpr auto kRoom = static_cast<std::ptrdiff_t>(OutputThread::kRoom);
  start();
  std::atomic<std::ptrdiff_t> sent = 0;
  std::thread vcpu([&] {
    for (; sent < 8 * kRoom; ++sent) out(0, 'x');
  });
  while (sent < kRoom - 1) std::this_thread::yield();
  std::ptrdiff_t heard = 0, ahead = 0;
  for (char byte = 0; heard < 8 * kRoom && ::read(screen.get(), &byte, 1) == 1;) {
    ++heard;
    ahead = std::max(ahead, sent - heard);
  }
  vcpu.join();
  EXPECT_LE(ahead, kRoom + kPipe);
}

TEST_F(SerialPortTest, APortThatRefusesKeepsNoVcpuWaiting) {
  ASSERT_EQ(::fcntl(output.get(), F_SETPIPE_SZ, 4096), 4096);
  start();
  for (std::size_t i = 0; i < OutputThread::kRoom - 1; ++i) out(0, 'x');
  port->refuse();
  for (std::size_t i = 0; i < 2 * OutputThread::kRoom; ++i) out(0, 'x');
}

}  // namespace
}  // namespace guestproof::vmm
