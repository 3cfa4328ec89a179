// Linux's own drivers of every virtio device, on both transports.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if.h>
#include <net/route.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>

#include "boot/machine.h"
#include "unix_socket.h"

namespace guestproof::boot {
namespace {

/// A device's bytes, each block different.
std::string pattern(std::size_t bytes) {
  std::string out(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i)
    out[i] = static_cast<char>(i * 7 + i / 4096 * 31 + (i >> 20) * 101);
  return out;
}

/// All that a peer sends until it is done, and sent back to it.
std::string echo(const Fd& peer) {
  const auto heard = read_all(peer);
  EXPECT_EQ(::write(peer.get(), heard.data(), heard.size()), static_cast<::ssize_t>(heard.size()));
  EXPECT_EQ(::shutdown(peer.get(), SHUT_WR), 0);
  return heard;
}

class Devices : public testing::TestWithParam<const char*> {
 protected:
  /// Arguments of a machine that runs the script, and these.
  std::vector<std::string> arguments(std::string_view script, std::vector<std::string> more) {
    const auto guest = stock("cloud-6.1");
    write_initrd(scratch.path("initrd"), guest, script, {GUESTPROOF_GUEST_VSOCK});
    std::vector<std::string> all{
        "--kernel",    "path=" + guest.kernel.string() + ",cmdline=console=ttyS0 quiet",
        "--initrd",    "path=" + scratch.path("initrd"),
        "--transport", std::string("type=") + GetParam()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::string disk(std::string_view bytes) { return scratch.file("disk", bytes); }

  Scratch scratch;
};

TEST_P(Devices, ADiskKeepsWhatTheGuestWrites) {
  const auto before = pattern(4 << 20);
  const auto path = disk(before);
  Machine machine(arguments(R"sh(
echo "size=$(cat /sys/block/vda/size)"
echo "before=$(sha256sum </dev/vda | cut -c1-64)"
dd if=/dev/vda of=/dev/vda bs=64k count=16 seek=48 conv=fsync,notrunc 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
echo "after=$(sha256sum </dev/vda | cut -c1-64)"
)sh",
                            {"--block", "path=" + path}));
  ASSERT_EQ(machine.wait(), 0) << machine.console() << machine.errors();
  EXPECT_EQ(machine.value("size"), "8192");
  EXPECT_NE(machine.value("before"), machine.value("after"));
  auto expected = before;
  expected.replace(3 << 20, 1 << 20, before, 0, 1 << 20);
  EXPECT_EQ(contents(path), expected);
  EXPECT_EQ(machine.errors(), "");
}

TEST_P(Devices, AReadOnlyDiskIsNotWritten) {
  const auto before = pattern(1 << 20);
  const auto path = disk(before);
  Machine machine(arguments(R"sh(
echo "ro=$(cat /sys/block/vda/ro)"
dd if=/dev/zero of=/dev/vda bs=4k count=1 conv=fsync 2>/dev/null && echo "written=yes"
)sh",
                            {"--block", "path=" + path + ",readonly=on"}));
  ASSERT_EQ(machine.wait(), 0) << machine.console() << machine.errors();
  EXPECT_EQ(machine.value("ro"), "1");
  EXPECT_EQ(machine.value("written"), "");
  EXPECT_EQ(contents(path), before);
}

// A guest that was told that its data are stable finds them after the VMM was killed. (What the
// host's cache loses with the host's power is for the tests of the block device.)
TEST_P(Devices, WhatWasFlushedOutlivesAKill) {
  const auto path = disk(std::string(1 << 20, '\0'));
  Machine machine(arguments(R"sh(
i=0
while [ $i -lt 256 ]; do echo "block $i of the guest"; i=$((i + 1)); done >/text
dd if=/text of=/dev/vda bs=4k conv=fsync 2>/dev/null
echo "flushed=yes"
sleep 1000
)sh",
                            {"--block", "path=" + path}));
  ASSERT_TRUE(machine.wait_for_value("flushed")) << machine.console() << machine.errors();
  machine.signal(SIGKILL);
  ASSERT_EQ(machine.wait(), 128 + SIGKILL);
  std::string expected;
  for (int i = 0; i < 256; ++i) expected += "block " + std::to_string(i) + " of the guest\n";
  EXPECT_EQ(contents(path).substr(0, expected.size()), expected);
}

TEST_P(Devices, EntropyComesFromTheHost) {
  Machine machine(arguments(R"sh(
echo "source=$(cat /sys/class/misc/hw_random/rng_current)"
dd if=/dev/hwrng of=/first bs=64 count=4 iflag=fullblock 2>/dev/null
dd if=/dev/hwrng of=/second bs=64 count=4 iflag=fullblock 2>/dev/null
echo "bytes=$(cat /first /second | wc -c)"
echo "first=$(sha256sum </first)"
echo "second=$(sha256sum </second)"
)sh",
                            {"--rng", "num=1"}));
  ASSERT_EQ(machine.wait(), 0) << machine.console() << machine.errors();
  EXPECT_EQ(machine.value("source"), "virtio_rng.0");
  EXPECT_EQ(machine.value("bytes"), "512");
  EXPECT_NE(machine.value("first"), machine.value("second"));
}

TEST_P(Devices, AConsoleGoesBothWays) {
  const auto from_host = scratch.path("in"), from_guest = scratch.path("out");
  ASSERT_EQ(::mkfifo(from_host.c_str(), 0600), 0);
  const Fd host(::open(from_host.c_str(), O_RDWR | O_CLOEXEC));
  const std::string_view question = "the question\n";
  ASSERT_EQ(::write(host.get(), question.data(), question.size()), 13);
  Machine machine(arguments(R"sh(
read line </dev/hvc0
echo "answer to $line" >/dev/hvc0
stty -F /dev/hvc0 sane  # waits until that has gone
)sh",
                            {"--console", "input=" + from_host + ",output=" + from_guest}));
  ASSERT_EQ(machine.wait(), 0) << machine.console() << machine.errors();
  EXPECT_NE(contents(from_guest).find("answer to the question"), std::string::npos)
      << contents(from_guest);
}

TEST_P(Devices, SocketsGoBothWays) {
  const auto path = scratch.path("vsock");
  const auto service = service_at(path + "_1234");
  Machine machine(arguments(R"sh(
echo "heard=$(vsock send 1234 'hello host')"
vsock serve 77
)sh",
                            {"--vsock", "path=" + path + ",cid=5"}));
  const auto from_guest = accept_soon(service);
  EXPECT_EQ(echo(from_guest), "hello host");
  ASSERT_TRUE(machine.wait_for("serving")) << machine.console() << machine.errors();
  EXPECT_EQ(machine.value("heard"), "hello host");

  const auto to_guest = client_of(path);
  limit_waiting(to_guest);
  const std::string_view words = "CONNECT 77\nhello guest";
  say(to_guest, words);
  ::shutdown(to_guest.get(), SHUT_WR);
  const auto answer = read_all(to_guest);
  EXPECT_TRUE(answer.starts_with("OK ")) << answer;
  EXPECT_TRUE(answer.ends_with("\nhello guest")) << answer;
  EXPECT_EQ(machine.wait(), 0) << machine.console() << machine.errors();
}

// Pages that the guest has written are the host's again, though the guest could use them.
TEST_P(Devices, ABalloonGivesMemoryBack) {
  Machine machine(arguments(R"sh(
rmmod virtio_balloon
mount -t tmpfs tmpfs /mnt
dd if=/dev/zero of=/mnt/file bs=1M count=160 2>/dev/null
rm /mnt/file
echo "filled=yes"
read line
insmod /modules/*-virtio_balloon.ko
# Pages that are free are reported, too: what the balloon itself has taken is another matter.
until [ "$(grep ^balloon_inflate /proc/vmstat | cut -d' ' -f2)" -ge 32768 ]; do sleep 1; done
echo "inflated=yes"
read line
)sh",
                            {"--memory", "size_mib=256", "--balloon", "target_mib=128"}));
  ASSERT_TRUE(machine.wait_for_value("filled")) << machine.console() << machine.errors();
  const auto before = machine.resident_mib();
  EXPECT_GT(before, 180u);
  machine.type("\n");
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (machine.resident_mib() > before - 100 && std::chrono::steady_clock::now() < deadline)
    ::usleep(100000);
  EXPECT_LE(machine.resident_mib(), before - 100);
  ASSERT_TRUE(machine.wait_for_value("inflated")) << machine.console() << machine.errors();
  machine.type("\n");
  EXPECT_EQ(machine.wait(), 0) << machine.console() << machine.errors();
  EXPECT_EQ(machine.errors(), "");
}

class Network : public Devices {
 protected:
  /// A network of this test's own: the tap that the VMM makes is in no other.
  void SetUp() override {
    if (::unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "this user may make no network of its own";
  }

  /// The host's end of the tap: an address, and up.
  static void bring_up(const char* tap) {
    const Fd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ::ifreq request{};
    std::strncpy(request.ifr_name, tap, IFNAMSIZ - 1);
    auto* address = reinterpret_cast<::sockaddr_in*>(&request.ifr_addr);
    address->sin_family = AF_INET;
    ::inet_pton(AF_INET, "10.7.0.1", &address->sin_addr);
    ASSERT_EQ(::ioctl(any.get(), SIOCSIFADDR, &request), 0);
    ::inet_pton(AF_INET, "255.255.255.0", &address->sin_addr);
    ASSERT_EQ(::ioctl(any.get(), SIOCSIFNETMASK, &request), 0);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    ASSERT_EQ(::ioctl(any.get(), SIOCSIFFLAGS, &request), 0);
  }
};

TEST_P(Network, APeerIsReached) {
  Machine machine(arguments(R"sh(
echo "mac=$(cat /sys/class/net/eth0/address)"
ifconfig eth0 10.7.0.2 up
echo "up=yes"
dd if=/dev/urandom of=/sent bs=1k count=256 2>/dev/null
i=0
while [ $i -lt 30 ] && ! nc 10.7.0.1 7000 </sent >/heard; do sleep 1; i=$((i + 1)); done
echo "sent=$(sha256sum </sent)"
echo "heard=$(sha256sum </heard)"
)sh",
                            {"--net", "tap=gp0,create=on,mac=02:00:00:00:00:07"}));
  ASSERT_TRUE(machine.wait_for_value("up")) << machine.console() << machine.errors();
  ASSERT_NO_FATAL_FAILURE(bring_up("gp0"));
  const Fd service(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ::sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_port = htons(7000);
  ASSERT_EQ(::bind(service.get(), reinterpret_cast<::sockaddr*>(&here), sizeof here), 0);
  ASSERT_EQ(::listen(service.get(), 1), 0);
  EXPECT_EQ(echo(accept_soon(service)).size(), 256u << 10);
  ASSERT_EQ(machine.wait(), 0) << machine.console() << machine.errors();
  EXPECT_EQ(machine.value("mac"), "02:00:00:00:00:07");
  EXPECT_EQ(machine.value("sent"), machine.value("heard"));
}

INSTANTIATE_TEST_SUITE_P(Transports, Devices, testing::Values("mmio", "pci"));
INSTANTIATE_TEST_SUITE_P(Transports, Network, testing::Values("mmio", "pci"));

}  // namespace
}  // namespace guestproof::boot
