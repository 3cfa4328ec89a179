// Both ends of a Unix domain socket, for tests of those who are at the other one.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include <string>
#include <string_view>

#include "guestproof/base/fd.h"

namespace guestproof {

[[nodiscard]] inline ::sockaddr_un unix_address(const std::string& path) {
  ::sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

/// A client of the socket at `path`.
[[nodiscard]] inline Fd client_of(const std::string& path) {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = unix_address(path);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const ::sockaddr*>(&address), sizeof address), 0)
      << path;
  return fd;
}

/// A service that listens there; accepting does not wait for a client.
[[nodiscard]] inline Fd service_at(const std::string& path) {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto address = unix_address(path);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const ::sockaddr*>(&address), sizeof address), 0)
      << path;
  EXPECT_EQ(::listen(fd.get(), 8), 0);
  return fd;
}

inline void say(const Fd& fd, std::string_view text) {
  ASSERT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<::ssize_t>(text.size()));
}

/// What is there now.
[[nodiscard]] inline std::string hear(const Fd& fd) {
  std::string text(100'000, '\0');
  const auto got = ::recv(fd.get(), text.data(), text.size(), MSG_DONTWAIT);
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return text;
}

}  // namespace guestproof
