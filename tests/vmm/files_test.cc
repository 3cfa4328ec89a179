#include "vmm/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "scratch.h"

namespace guestproof::vmm {
namespace {

TEST(Files, AFifosWritersMayComeAndGo) {
  const Scratch scratch;
  const auto path = scratch.path("fifo");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const auto input = open_input("--console", path);
  ASSERT_TRUE(input) << input.error().sentence;
  std::array<char, 10> bytes{};
  for (const std::string_view text : {"one", "two"}) {
    ::pollfd end{input->get(), POLLIN, 0};
    EXPECT_EQ(::poll(&end, 1, 0), 0) << "at its end";
    const Fd writer(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(::write(writer.get(), text.data(), text.size()), 3);
    ASSERT_EQ(::read(input->get(), bytes.data(), bytes.size()), 3);
    EXPECT_EQ(std::string_view(bytes.data(), 3), text);
  }
}

TEST(Files, AnotherInputIsOpenedToBeRead) {
  const Scratch scratch;
  const auto input = open_input("--console", scratch.file("input", "text"));
  ASSERT_TRUE(input) << input.error().sentence;
  EXPECT_EQ(::fcntl(input->get(), F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY);
  EXPECT_EQ(open_input("--console", scratch.path("none")).error().sentence,
            "--console: cannot open '" + scratch.path("none") + "': No such file or directory.");
}

}  // namespace
}  // namespace guestproof::vmm
