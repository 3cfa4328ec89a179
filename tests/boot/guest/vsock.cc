// A program of the guest, linked statically: what busybox lacks of vsock.
//
//   vsock send PORT TEXT      connects to the host's PORT, sends, and prints what comes back
//   vsock serve PORT          accepts one connection of the host, and sends back what comes
//
// Exit code 1 with errno's name on stderr when a call fails.
#include <sys/socket.h>
// Which takes some of the above.
#include <linux/vm_sockets.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

int failed(const char* what) {
  std::perror(what);
  return 1;
}

sockaddr_vm address(unsigned cid, const char* port) {
  sockaddr_vm out{};
  out.svm_family = AF_VSOCK;
  out.svm_cid = cid;
  out.svm_port = static_cast<unsigned>(std::strtoul(port, nullptr, 10));
  return out;
}

int send(int socket, const char* port, std::string_view text) {
  const auto host = address(VMADDR_CID_HOST, port);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&host), sizeof host) != 0)
    return failed("connect");
  if (::write(socket, text.data(), text.size()) != static_cast<::ssize_t>(text.size()))
    return failed("write");
  if (::shutdown(socket, SHUT_WR) != 0) return failed("shutdown");
  std::array<char, 256> bytes{};
  for (::ssize_t count = 0; (count = ::read(socket, bytes.data(), bytes.size())) > 0;)
    std::printf("%.*s", static_cast<int>(count), bytes.data());
  return 0;
}

int serve(int socket, const char* port) {
  const auto any = address(VMADDR_CID_ANY, port);
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0)
    return failed("bind");
  if (::listen(socket, 1) != 0) return failed("listen");
  std::printf("serving\n");
  std::fflush(stdout);
  const int peer = ::accept(socket, nullptr, nullptr);
  if (peer < 0) return failed("accept");
  std::array<char, 256> bytes{};
  for (::ssize_t count = 0; (count = ::read(peer, bytes.data(), bytes.size())) > 0;)
    if (::write(peer, bytes.data(), static_cast<std::size_t>(count)) != count)
      return failed("write");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view command = argc > 2 ? argv[1] : "";
  const int socket = ::socket(AF_VSOCK, SOCK_STREAM, 0);
  if (socket < 0) return failed("socket");
  if (command == "send" && argc == 4) return send(socket, argv[2], argv[3]);
  if (command == "serve" && argc == 3) return serve(socket, argv[2]);
  std::fputs("usage: vsock send PORT TEXT | vsock serve PORT\n", stderr);
  return 2;
}
