// A pipe of a test.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "guestproof/base/fd.h"

namespace guestproof {

struct Pipe {
  Fd reader, writer;
};

/// Both ends close-on-exec.
[[nodiscard]] inline Pipe make_pipe() {
  std::array<int, 2> ends{-1, -1};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

}  // namespace guestproof
