#include "vmm/output_thread.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <thread>

#include "pipe.h"

namespace guestproof::vmm {
namespace {

class OutputThreadTest : public testing::Test {
 protected:
  OutputThreadTest() {
    // The smallest that there is: a page.
    EXPECT_EQ(::fcntl(writer.get(), F_SETPIPE_SZ, 4096), 4096);
  }
  /// All that comes until the writing end is closed.
  std::string read_all() {
    std::string all;
    std::array<char, 4096> bytes{};
    for (::ssize_t count = 0; (count = ::read(reader.get(), bytes.data(), bytes.size())) > 0;)
      all.append(bytes.data(), static_cast<std::size_t>(count));
    return all;
  }

  Pipe pipe = make_pipe();
  Fd& reader = pipe.reader;
  Fd& writer = pipe.writer;
};

TEST_F(OutputThreadTest, WritesWhatIsPutInOrder) {
  std::string expected;
  std::thread reading;
  std::string heard;
  {
    OutputThread output(writer.get());
    reading = std::thread([&] { heard = read_all(); });
    for (int i = 0; i < 100000; ++i) {
      expected += static_cast<char>('a' + i % 26);
      output.put(std::byte(expected.back()));
      output.wait_for_room();
    }
  }
  writer = Fd();
  reading.join();
  EXPECT_EQ(heard, expected);
}

TEST_F(OutputThreadTest, AWriterIsNeverAheadByMoreThanTheRoom) {
  constexpr auto kRoom = static_cast<std::ptrdiff_t>(OutputThread::kRoom);
  constexpr std::ptrdiff_t kPipe = 4096;
  OutputThread output(writer.get());
  std::atomic<std::ptrdiff_t> put = 0;
  std::thread writing([&] {
    for (; put < 8 * kRoom; ++put) {
      output.put(std::byte{'x'});
      output.wait_for_room();
    }
  });
  while (put < kRoom - 1) std::this_thread::yield();
  std::ptrdiff_t heard = 0, ahead = 0;
  for (char byte = 0; heard < 8 * kRoom && ::read(reader.get(), &byte, 1) == 1;) {
    ++heard;
    ahead = std::max(ahead, put - heard);
  }
  writing.join();
  EXPECT_LE(ahead, kRoom + kPipe);
}

TEST_F(OutputThreadTest, ARefusalLetsAWriterGo) {
  const std::string full(4096, 'x');
  ASSERT_EQ(::write(writer.get(), full.data(), full.size()), 4096);
  OutputThread output(writer.get());
  output.put(std::byte{'y'});  // which the thread may have in its hands then
  for (std::size_t i = 0; i < OutputThread::kRoom; ++i) output.put(std::byte{'y'});
  std::thread waiting([&] { output.wait_for_room(); });
  output.refuse();
  waiting.join();
  output.close();  // gives up after a second without a reader
  writer = Fd();
  EXPECT_EQ(read_all(), full);
}

TEST_F(OutputThreadTest, WhatIsPutAfterARefusalIsDropped) {
  {
    OutputThread output(writer.get());
    output.put(std::byte{'a'});
    output.refuse();
    output.put(std::byte{'b'});
  }
  writer = Fd();
  EXPECT_EQ(read_all(), "a");
}

TEST_F(OutputThreadTest, ADiskThatWasFullIsWrittenToAgain) {
  const Fd output_end(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  const Fd errors(::dup(STDERR_FILENO));
  auto told = make_pipe();
  ASSERT_EQ(::dup2(told.writer.get(), STDERR_FILENO), STDERR_FILENO);
  told.writer = Fd();
  {
    OutputThread output(output_end.get());
    output.put(std::byte{'a'});
    std::string line(100, '\0');
    line.resize(static_cast<std::size_t>(::read(told.reader.get(), line.data(), line.size())));
    EXPECT_EQ(line, "guestproof-vmm: the serial line's output is lost: No space left on device.\n");
    ASSERT_EQ(::dup2(writer.get(), output_end.get()), output_end.get());
    output.put(std::byte{'b'});
  }
  ASSERT_EQ(::dup2(errors.get(), STDERR_FILENO), STDERR_FILENO);
  ASSERT_EQ(::dup2(errors.get(), output_end.get()), output_end.get());
  writer = Fd();
  EXPECT_EQ(read_all(), "b");
}

TEST_F(OutputThreadTest, AReaderThatHasGoneKeepsNobodyWaiting) {
  struct ::sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  ASSERT_EQ(::sigaction(SIGPIPE, &ignore, nullptr), 0);
  reader = Fd();
  OutputThread output(writer.get());
  for (std::size_t i = 0; i < 3 * OutputThread::kRoom; ++i) {
    output.put(std::byte{'x'});
    output.wait_for_room();
  }
}

TEST_F(OutputThreadTest, WaitsForADescriptorThatDoesNotBlock) {
  ASSERT_EQ(::fcntl(writer.get(), F_SETFL, O_NONBLOCK), 0);
  std::string heard;
  std::thread reading;
  {
    OutputThread output(writer.get());
    for (int i = 0; i < 10000; ++i) output.put(std::byte{'x'});
    reading = std::thread([&] { heard = read_all(); });
  }
  writer = Fd();
  reading.join();
  EXPECT_EQ(heard, std::string(10000, 'x'));
}

}  // namespace
}  // namespace guestproof::vmm
