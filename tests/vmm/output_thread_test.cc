#include "vmm/output_thread.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
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

TEST_F(OutputThreadTest, AWriterWaitsWhileNobodyReads) {
  const std::string full(4096, 'x');
  ASSERT_EQ(::write(writer.get(), full.data(), full.size()), 4096);
  OutputThread output(writer.get());
  output.put(std::byte{'y'});  // which the thread may have in its hands then
  for (std::size_t i = 0; i < OutputThread::kRoom; ++i) output.put(std::byte{'y'});
  std::atomic<bool> passed = false;
  std::thread waiting([&] {
    output.wait_for_room();
    passed = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(passed);
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
